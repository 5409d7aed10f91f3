"""Opening and superseding runs: which are wanted, what they carry, what is held instead."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.protocol import ABSENT
from fleet.model import Cluster, ClusterGroup, PolicyDocument
from fleet.rollout import Proposal, RunRecord, Situation, propose, read_policies, waits_for
from fleet.rollout.run_plan import RunPlan
from fleet.rollout.states import Lane, RunState
from tests.fleet.rollout.builders import NOW

NAMES = ("p1", "p2", "s1", "s2")
GROUPS = (ClusterGroup("production", ("p1", "p2")), ClusterGroup("staging", ("s1", "s2")))
STAGES = [
    {"name": "staging", "group": "staging", "parallelism": "50%"},
    {"name": "production", "group": "production", "minHealthy": "50%"},
]


def book(**said: Any) -> Any:
    spec = {"stages": STAGES, **said}
    found = read_policies(
        [PolicyDocument("Rollout", "default", spec, "r.yaml")], ("staging", "production")
    )
    assert not found.problems, found.problems
    return found


def situation(
    wanted: dict[str, str | None], assigned: dict[str, str] | None = None, **said: Any
) -> Situation:
    """The same digests wanted and granted on every cluster, or `have`: what each was granted."""
    given_names = said.pop("names", NAMES)
    have = dict.fromkeys(NAMES, assigned or {})
    base = Situation(
        commit="abcdef0123",
        now=NOW,
        wanted={name: dict(wanted) for name in given_names},
        assigned=said.pop("have", {name: dict(some) for name, some in have.items() if some}),
        policies=book(),
        clusters=tuple(Cluster(name) for name in given_names),
        groups=GROUPS,
        bundles={bundle: {} for bundle in wanted},
        online=frozenset(given_names),
    )
    return replace(base, **said)


def record(proposal: Proposal, state: RunState, index: int = 0, **said: Any) -> RunRecord:
    """A proposed run, as it is stored later."""
    return RunRecord(proposal.runs[index], state, **said)


def words(run: RunPlan) -> dict[str, list[tuple[str, str, str]]]:
    """Cluster → (bundle, from, to)."""
    return {
        name: [(c.bundle, c.previous, c.wanted) for c in changes]
        for name, changes in run.changes.items()
    }


def codes(proposal: Proposal) -> set[tuple[str, str, str]]:
    return {(held.bundle, held.cluster, held.code) for held in proposal.held}


def test_a_change_makes_a_run_with_resolved_stages() -> None:
    (run,) = propose(situation({"app": "v2"}, {"app": "v1"}, title="t", author="a")).runs
    assert run.uid == "app-abcdef0-1"
    assert (run.rollout, run.bundles, run.lane) == ("default", ("app",), Lane.STAGED)
    assert (run.title, run.author, run.number, run.restores) == ("t", "a", 1, False)
    assert [(s.name, s.clusters, s.depends_on) for s in run.stages] == [
        ("staging", ("s1", "s2"), ()),
        ("production", ("p1", "p2"), ("staging",)),
    ]
    assert run.stages[0].parallelism.steps == (1,)
    assert words(run) == {name: [("app", "v1", "v2")] for name in NAMES}


def test_equal_digests_make_no_run() -> None:
    assert propose(situation({"app": "v1"}, {"app": "v1"})) == Proposal()


def test_only_clusters_that_change_are_in_the_run() -> None:
    wanted = {name: {"app": "v2" if name == "p1" else "v1"} for name in NAMES}
    (run,) = propose(replace(situation({"app": "v1"}, {"app": "v1"}), wanted=wanted)).runs
    assert list(run.changes) == ["p1"]
    assert [s.clusters for s in run.stages] == [(), ("p1",)]
    assert [s.members for s in run.stages] == [2, 2]
    assert run.stages[1].min_healthy == 1


def test_every_bundle_has_a_run_of_its_own_unless_dependencies_join_them() -> None:
    wanted: dict[str, str | None] = {"app": "2", "db": "2", "web": "2", "zoo": "2"}
    edges = {"web": ("app",), "zoo": ("still",), "app": ("web",)}
    runs = propose(
        situation(
            wanted,
            {**dict.fromkeys(wanted, "1"), "still": "1"},
            depends_on=edges,
            held=frozenset({"still"}),
        )
    ).runs
    assert [run.bundles for run in runs] == [("app", "web"), ("db",), ("zoo",)]
    assert [run.uid for run in runs] == [*("app-and-1-abcdef0-1", "db-abcdef0-2", "zoo-abcdef0-3")]


@given(st.permutations(NAMES), st.permutations(["app", "db", "web"]))
def test_the_order_of_the_input_changes_nothing(names: list[str], bundles: list[str]) -> None:
    base = situation({"app": "2", "db": "2", "web": "2"}, {"app": "1", "db": "1"})
    shuffled = replace(
        base,
        wanted={n: {b: base.wanted[n][b] for b in bundles} for n in names},
        assigned={n: base.assigned[n] for n in names},
        clusters=tuple(Cluster(name) for name in names),
        groups=GROUPS[::-1],
        bundles={bundle: {} for bundle in bundles},
    )
    assert propose(shuffled) == propose(base)


@pytest.mark.parametrize("state", [s for s in RunState if s is not RunState.SUPERSEDED])
def test_a_bundle_gets_no_new_run_while_its_newest_carries_what_is_wanted(state: RunState) -> None:
    base = situation({"app": "v2"}, {"app": "v1"}, next_number=2)
    first = propose(base)
    again = propose(replace(base, commit="later", runs=(record(first, state),), online=frozenset()))
    assert (again.runs, again.superseded) == ((), {})


def test_a_newer_change_waits_behind_a_healthy_run_as_queued() -> None:
    first = propose(situation({"app": "v2"}, {"app": "v1"}))
    live = record(first, RunState.RUNNING)
    second = propose(situation({"app": "v3"}, {"app": "v1"}, runs=(live,), next_number=2))
    (run,) = second.runs
    assert second.superseded == {}
    assert second.waits == {run.uid: live.plan.uid}
    assert words(run)["s1"] == [("app", "v2", "v3")], "as it will be by then"
    queued = RunRecord(run, RunState.QUEUED)
    assert waits_for(run, (live, queued)) == live.plan.uid
    assert waits_for(live.plan, (live, queued)) == ""
    assert waits_for(run, (replace(live, state=RunState.SUCCEEDED), queued)) == ""


def test_only_the_newest_queued_run_is_kept() -> None:
    first = record(propose(situation({"app": "v2"}, {"app": "v1"})), RunState.RUNNING)
    two = situation({"app": "v3"}, {"app": "v1"}, runs=(first,), next_number=2)
    second = record(propose(two), RunState.QUEUED)
    three = propose(situation({"app": "v4"}, {"app": "v1"}, runs=(first, second), next_number=3))
    assert three.superseded == {second.plan.uid: three.runs[0].uid}
    assert three.waits == {three.runs[0].uid: first.plan.uid}


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.PAUSED])
def test_a_run_whose_failure_nobody_answered_is_replaced_by_any_newer_one(state: RunState) -> None:
    first = record(propose(situation({"app": "v2"}, {"app": "v1"})), state, breached=True)
    second = propose(situation({"app": "v3"}, {"app": "v1"}, runs=(first,), next_number=2))
    assert second.superseded == {first.plan.uid: second.runs[0].uid}
    assert second.waits == {}
    assert not second.runs[0].restores


def test_a_queued_run_takes_over_when_the_one_before_it_fails() -> None:
    first = record(propose(situation({"app": "v2"}, {"app": "v1"})), RunState.RUNNING)
    base = situation({"app": "v3"}, {"app": "v1"}, runs=(first,), next_number=2)
    queued = record(propose(base), RunState.QUEUED)
    later = propose(replace(base, runs=(replace(first, breached=True), queued), next_number=3))
    (made,) = later.runs
    assert words(made)["p1"] == [("app", "v1", "v3")], "made anew for what was granted in fact"
    assert later.superseded == {first.plan.uid: made.uid, queued.plan.uid: made.uid}


def test_a_hub_that_dies_after_it_stored_a_successor_makes_no_second_one() -> None:
    """The replaced run is still there, as it is until its next step; nothing is left over of it."""
    rules = {"policies": book(supersede={"policy": "Immediate"})}
    first = propose(situation({"web": "v2"}, {"web": "v1"}, **rules))
    running = record(first, RunState.RUNNING)
    asked = situation({"web": "v3"}, {"web": "v1"}, runs=(running,), next_number=2, **rules)
    second = propose(asked)
    assert second.superseded == {first.runs[0].uid: second.runs[0].uid}
    again = propose(replace(asked, runs=(running, record(second, RunState.QUEUED))))
    assert again.runs == ()
    assert again.superseded == second.superseded


def test_a_queued_run_whose_turn_comes_is_kept_if_it_was_made_for_what_came_true() -> None:
    first = record(propose(situation({"app": "v2"}, {"app": "v1"})), RunState.RUNNING)
    base = situation({"app": "v3"}, {"app": "v1"}, runs=(first,), next_number=2)
    queued = record(propose(base), RunState.QUEUED)
    done = replace(first, state=RunState.SUCCEEDED)
    after_it = situation({"app": "v3"}, {"app": "v2"}, runs=(done, queued), next_number=3)
    assert propose(after_it) == Proposal()


def test_a_revert_supersedes_at_once_whatever_the_state_and_passes_no_gate() -> None:
    first = propose(situation({"app": "v2"}, {"app": "v1"}))
    touched = {**{name: {"app": "v1"} for name in NAMES}, "s1": {"app": "v2"}}
    for state in (RunState.RUNNING, RunState.PAUSED):
        base = situation({"app": "v1"}, runs=(record(first, state),), next_number=2)
        back = propose(replace(base, assigned=touched))
        (run,) = back.runs
        assert run.restores
        assert words(run) == {"s1": [("app", "v2", "v1")]}
        assert back.superseded == {first.runs[0].uid: run.uid}


def test_a_revert_before_anything_started_ends_the_run_with_an_empty_one() -> None:
    first = propose(situation({"app": "v2"}, {"app": "v1"}))
    base = situation({"app": "v1"}, {"app": "v1"}, next_number=2)
    back = propose(replace(base, runs=(record(first, RunState.RUNNING),)))
    assert back.superseded == {first.runs[0].uid: back.runs[0].uid}
    assert (back.runs[0].changes, back.runs[0].restores) == ({}, True)


def test_a_revert_of_two_bad_commits_in_a_row_restores_too() -> None:
    first = record(propose(situation({"app": "v2"}, {"app": "v1"})), RunState.PAUSED, breached=True)
    touched = {**{name: {"app": "v1"} for name in NAMES}, "s1": {"app": "v2"}}
    base = situation({"app": "v3"}, runs=(first,), next_number=2, have=touched)
    second = record(propose(base), RunState.PAUSED, breached=True)
    worse = {**touched, "s1": {"app": "v3"}}
    runs = (replace(first, state=RunState.SUPERSEDED), second)
    back = propose(situation({"app": "v1"}, runs=runs, next_number=3, have=worse))
    assert back.runs[0].restores
    assert words(back.runs[0]) == {"s1": [("app", "v3", "v1")]}


def test_a_revert_of_a_succeeded_run_is_a_change_like_any_other() -> None:
    first = record(propose(situation({"app": "v2"}, {"app": "v1"})), RunState.SUCCEEDED)
    back = propose(situation({"app": "v1"}, {"app": "v2"}, runs=(first,), next_number=2))
    assert not back.runs[0].restores


def test_a_partial_revert_is_no_restoring() -> None:
    first = record(propose(situation({"app": "v2"}, {"app": "v1"})), RunState.PAUSED, breached=True)
    wanted = {name: {"app": "v3" if name == "p1" else "v1"} for name in NAMES}
    base = situation({"app": "v1"}, {"app": "v2"}, runs=(first,), next_number=2)
    assert not propose(replace(base, wanted=wanted)).runs[0].restores


def test_what_a_replaced_run_carried_besides_is_wanted_again() -> None:
    edges = {"web": ("app",)}
    two: dict[str, str | None] = {"app": "2", "web": "2"}
    first = propose(situation(two, {"app": "1", "web": "1"}, depends_on=edges))
    failed = record(first, RunState.PAUSED, breached=True)
    fix: dict[str, str | None] = {"app": "3", "web": "2"}
    second = propose(
        situation(fix, {"app": "1", "web": "1"}, depends_on=edges, runs=(failed,), next_number=2)
    )
    assert [run.bundles for run in second.runs] == [("app",), ("web",)]
    assert second.superseded == {failed.plan.uid: second.runs[0].uid}
    ended = replace(failed, state=RunState.SUPERSEDED)
    late = propose(
        situation(
            fix,
            {"app": "1", "web": "1"},
            depends_on=edges,
            next_number=3,
            runs=(ended, RunRecord(second.runs[0], RunState.RUNNING)),
        )
    )
    assert [run.bundles for run in late.runs] == [("web",)], "also if it was not made then"


def test_runs_without_a_common_bundle_go_side_by_side() -> None:
    first = record(propose(situation({"app": "2"}, {"app": "1"})), RunState.PAUSED, breached=True)
    both: dict[str, str | None] = {"app": "2", "web": "2"}
    second = propose(situation(both, {"app": "1", "web": "1"}, runs=(first,), next_number=2))
    assert [run.bundles for run in second.runs] == [("web",)]
    assert (second.waits, second.superseded) == ({}, {})


def test_a_bundle_that_git_names_no_more_is_removed_by_a_run() -> None:
    first = record(propose(situation({"app": "1", "web": "1"})), RunState.SUCCEEDED)
    suspected = situation({"app": "1"}, {"app": "1", "web": "1"}, runs=(first,))
    assert propose(suspected).runs == ()
    assert {one.code for one in propose(suspected).held} == {"TurndownSuspected"}
    meant = replace(suspected, removals_approved=frozenset((n, "web", "1") for n in NAMES))
    second = propose(meant)
    assert words(second.runs[0])["p1"] == [("web", "1", ABSENT)]
    assert [stage.name for stage in second.runs[0].stages] == ["staging", "production"]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"held": frozenset({"web"})}, "DeclarationUnreadable"),
        ({"held_clusters": frozenset(NAMES)}, "DeclarationUnreadable"),
    ],
)
def test_missing_data_is_no_order_to_remove(said: dict[str, Any], code: str) -> None:
    found = propose(situation({"app": "1"}, {"app": "1", "web": "1"}, **said))
    assert found.runs == ()
    assert ("web", "p1", code) in codes(found)


def test_what_did_not_render_keeps_what_it_has() -> None:
    found = propose(situation({"app": None, "web": "2"}, {"app": "1", "web": "1"}))
    assert [run.bundles for run in found.runs] == [("web",)]
    assert ("app", "s1", "NotRendered") in codes(found)


@pytest.mark.parametrize("wanted", [{}, {"app": ABSENT, "web": ABSENT}])
def test_an_empty_set_of_bundles_is_no_turn_down(wanted: dict[str, str | None]) -> None:
    found = propose(situation(wanted, {"app": "1", "web": "1"}))
    assert found.runs == ()
    assert {code for _, _, code in codes(found)} == {"TurndownSuspected"}


def test_an_empty_set_of_clusters_is_no_turn_down() -> None:
    found = propose(situation({}, {"app": "1"}, names=()))
    assert found.runs == ()
    assert codes(found) == {("", "", "TurndownSuspected")}


def test_a_cluster_that_is_declared_no_more_is_released_and_not_emptied() -> None:
    found = propose(situation({"app": "1"}, {"app": "1"}, names=("p1", "s1")))
    assert found == Proposal()


def test_a_cluster_outside_the_targets_or_in_no_stage_keeps_what_it_runs() -> None:
    names = (*NAMES, "x1")
    policies = book(targets={"exclude": {"matchLabels": {"lab": "true"}}})
    base = situation({"app": "2"}, {"app": "1"}, names=names, policies=policies)
    clusters = tuple(Cluster(name, {"lab": "true"} if name == "p1" else {}) for name in names)
    found = propose(replace(base, clusters=clusters))
    assert list(found.runs[0].changes) == ["p2", "s1", "s2"]
    assert codes(found) == {("app", "p1", "OutsideTargets"), ("app", "x1", "Unmatched")}
    again = replace(
        base,
        clusters=clusters,
        runs=(record(found, RunState.SUCCEEDED),),
        assigned={n: {"app": "1" if n in ("p1",) else "2"} for n in NAMES},
        next_number=2,
    )
    assert propose(again).runs == (), "and makes no run again and again"


def test_a_stage_that_can_never_be_healthy_enough_is_refused_at_plan() -> None:
    stages = [{"name": "all", "select": {"catchAll": True}, "minHealthy": 5}]
    found = propose(situation({"app": "2"}, {"app": "1"}, policies=book(stages=stages)))
    assert found.runs == ()
    assert codes(found) == {("app", "", "min-healthy-unsatisfiable")}


def test_the_plan_hash_covers_stages_and_digests_but_not_who_is_a_member() -> None:
    def hash_of(wanted: str = "2", **said: Any) -> str:
        return propose(situation({"app": wanted}, {"app": "1"}, **said)).runs[0].plan_hash

    slower = [{**STAGES[0], "gates": {"after": [{"soak": "1m"}]}}, STAGES[1]]
    assert hash_of() == hash_of(names=("p1", "s1"))
    assert (
        len(
            {
                hash_of(),
                hash_of("3"),
                hash_of(policies=book(stages=slower)),
                hash_of(commit="other00"),
            }
        )
        == 4
    )


def late(**said: Any) -> Situation:
    """v2 succeeded everywhere but on p2, which was away."""
    first = record(propose(situation({"app": "v2"}, {"app": "v1"})), RunState.SUCCEEDED)
    have = {name: {"app": "v1" if name == "p2" else "v2"} for name in NAMES}
    base = situation({"app": "v2"}, runs=(first,), have=have, next_number=2)
    return replace(base, **said)


def test_a_cluster_that_comes_back_is_caught_up_by_the_lane() -> None:
    (run,) = propose(late()).runs
    assert (run.lane, run.bundles, list(run.changes)) == (Lane.CATCH_UP, ("app",), ["p2"])
    assert run.uid == "catch-up-default-abcdef0-2"
    (stage,) = run.stages
    assert (stage.before, stage.after, stage.min_healthy) == ((), (), 0)
    assert stage.parallelism.steps == (1,), "two, but never more than there are"


def test_a_cluster_that_is_still_away_waits_and_is_shown() -> None:
    found = propose(late(online=frozenset()))
    assert found.runs == ()
    assert codes(found) == {("app", "p2", "WaitsToComeOnline")}


def test_the_lane_has_one_live_run_for_each_rollout() -> None:
    base = late()
    lane = RunRecord(propose(base).runs[0], RunState.RUNNING)
    have = {**base.assigned, "p1": {"app": "v1"}}
    found = propose(replace(base, runs=(*base.runs, lane), assigned=have, next_number=3))
    assert found.runs == ()
    assert ("app", "p1", "WaitsForLane") in codes(found)


def test_a_newer_change_replaces_the_lane_of_its_bundle() -> None:
    base = late()
    lane = RunRecord(propose(base).runs[0], RunState.RUNNING)
    wanted = {name: {"app": "v3"} for name in NAMES}
    found = propose(replace(base, runs=(*base.runs, lane), wanted=wanted, next_number=3))
    assert [run.lane for run in found.runs] == [Lane.STAGED]
    assert found.superseded == {lane.plan.uid: found.runs[0].uid}


def test_a_new_cluster_is_brought_up_by_the_lane_once_the_bundle_is_out() -> None:
    base = late(assigned={name: {"app": "v2"} for name in NAMES})
    new = replace(
        base,
        wanted={name: {"app": "v2"} for name in (*NAMES, "p3")},
        clusters=(*base.clusters, Cluster("p3")),
        groups=(ClusterGroup("production", ("p1", "p2", "p3")), GROUPS[1]),
        online=frozenset({*NAMES, "p3"}),
    )
    (run,) = propose(new).runs
    assert (run.lane, list(run.changes)) == (Lane.CATCH_UP, ["p3"])
    live = replace(new.runs[0], state=RunState.RUNNING)
    waiting = propose(replace(new, runs=(live,)))
    assert waiting.runs == ()
    assert codes(waiting) == {("app", "p3", "WaitsForRun")}


def test_a_new_cluster_is_no_way_past_the_stages() -> None:
    """The bundle never was in production: its first clusters there pass the gates."""
    base = situation({"app": "v1"}, names=("s1", "s2"))
    first = record(propose(base), RunState.SUCCEEDED)
    have = {"s1": {"app": "v1"}, "s2": {"app": "v1"}}
    found = propose(situation({"app": "v1"}, runs=(first,), have=have, next_number=2))
    assert [(run.lane, list(run.changes)) for run in found.runs] == [(Lane.STAGED, ["p1", "p2"])]


def test_what_was_unhealthy_before_is_exempt_unless_a_failed_run_brought_it() -> None:
    ill = frozenset({("s1", "app")})
    first = propose(situation({"app": "v2"}, {"app": "v1"}, unhealthy=ill))
    change = {name: changes[0] for name, changes in first.runs[0].changes.items()}
    assert (change["s1"].was_unhealthy, change["s2"].was_unhealthy) == (True, False)
    for state, exempt in ((RunState.SUCCEEDED, True), (RunState.ABORTED, False)):
        again = propose(
            situation(
                {"app": "v3"},
                {"app": "v2"},
                unhealthy=ill,
                runs=(record(first, state),),
                next_number=2,
            )
        )
        assert again.runs[0].changes["s1"][0].was_unhealthy is exempt


def test_a_broken_policy_holds_its_bundles_and_no_others() -> None:
    documents = [
        PolicyDocument(
            "Rollout",
            "a",
            {
                "source": {"bundles": {"matchLabels": {"t": "a"}}},
                "stages": [{"name": "x", "group": "nowhere"}],
            },
            "a.yaml",
        ),
        PolicyDocument("Rollout", "rest", {"stages": STAGES}, "r.yaml"),
    ]
    policies = read_policies(documents, ("staging", "production"))
    found = propose(
        situation(
            {"app": "2", "web": "2"},
            {"app": "1", "web": "1"},
            policies=policies,
            bundles={"app": {"t": "a"}, "web": {}},
        )
    )
    assert [run.bundles for run in found.runs] == [("web",)]
    assert codes(found) == {("app", "", "policy-not-readable")}


def test_a_queued_run_takes_on_what_the_failed_ones_before_it_would_have_brought() -> None:
    """I8: else the next look would make one more run of the same commit."""
    base = situation({"app": "v2"}, {"app": "v1"})
    failing = replace(record(propose(base), RunState.RUNNING), breached=True)
    newer = replace(base, commit="later", next_number=2)
    newer = replace(newer, wanted={**newer.wanted, "p1": {"app": "v3"}})
    live = replace(failing, breached=False)
    queued = RunRecord(propose(replace(newer, runs=(live,))).runs[0], RunState.QUEUED)
    queued = replace(queued, plan=replace(queued.plan, changes={"p1": queued.plan.changes["p1"]}))
    last = replace(newer, commit="last", runs=(failing, queued), next_number=3)
    made = propose(last)
    (run,) = made.runs
    assert {c: some[0].wanted for c, some in run.changes.items()} == {
        **dict.fromkeys(NAMES, "v2"),
        "p1": "v3",
    }
    assert made.superseded.keys() == {failing.plan.uid, queued.plan.uid}
