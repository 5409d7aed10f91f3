"""What a newer run does to a live one, under every policy, and that production still moves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.rollout import RunRecord, propose
from fleet.rollout.gate_kinds import OpenHours, Window
from fleet.rollout.states import RunState
from tests.fleet.rollout.builders import cluster, run, stage, stage_states, tick
from tests.fleet.rollout.pull_fleet import PullFleet
from tests.fleet.rollout.stories import fleet, only, released
from tests.fleet.rollout.test_runs import NAMES, book, record, situation

SHUT = Window(allow=(OpenHours("0 9 * * *", 3600),), zone_label="tz", zone_default="UTC")
"""The tests' now is midnight."""


def world(policy: str, **more: Any) -> PullFleet:
    spec: dict[str, Any] = {"supersede": {"policy": policy, **more}}
    return released(fleet(**spec))


def commits(found: PullFleet, count: int, rounds: int = 1) -> None:
    """A new commit every few moments, while the fleet works on the one before."""
    for number in range(count):
        found.want("app", f"n{number}")
        found.tick(1)
        found.serve_all(rounds, seconds=5)


def ended(found: PullFleet) -> list[RunState]:
    return [run.state for run in found.runs.values()][1:]


def test_queue_releases_every_commit_in_its_order() -> None:
    found = world("Queue")
    commits(found, 4)
    assert len(found.live()) > 1
    found.serve_all(60)
    assert ended(found) == [RunState.SUCCEEDED] * 4
    assert set(found.running("app").values()) == {"n3"}


def test_queue_brings_every_commit_however_many_wait() -> None:
    found = world("Queue")
    commits(found, 5, rounds=0)
    assert len(found.live()) == 5
    found.serve_all(90)
    assert ended(found) == [RunState.SUCCEEDED] * 5
    assert brought(found, "production-0") == ["n0", "n1", "n2", "n3", "n4"]


def test_what_waits_behind_a_failure_goes_on_in_its_order() -> None:
    found = world("Queue")
    found.bad["n1"] = "failed"
    commits(found, 4, rounds=0)
    found.serve_all(90)
    assert not found.live()
    assert brought(found, "production-0") == ["n0", "n2", "n3"], "n1 fell over in staging"
    last = [r for r in found.runs.values() if r.state is RunState.SUCCEEDED]
    assert len({run.plan.commit for run in last}) == 4, "each is of its own commit"
    previous = [r.plan.changes["production-0"][0].previous for r in last]
    assert previous == ["", "v1", "n0", "n2"]


def brought(found: PullFleet, cluster: str) -> list[str]:
    """What succeeded runs brought there, in their order."""
    runs = [run.plan for run in found.runs.values() if run.state is RunState.SUCCEEDED][1:]
    return [plan.changes[cluster][0].wanted for plan in runs]


def test_coalesce_latest_keeps_the_live_one_and_only_the_newest_that_waits() -> None:
    found = world("CoalesceLatest")
    commits(found, 4, rounds=0)
    assert len(found.live()) == 2
    found.serve_all(40)
    states = ended(found)
    assert (states[0], states[-1]) == (RunState.SUCCEEDED, RunState.SUCCEEDED)
    assert set(states[1:-1]) == {RunState.SUPERSEDED}


def test_immediate_ends_the_live_run_at_once() -> None:
    found = world("Immediate")
    found.want("app", "v2")
    found.tick(1)
    first = only(found)
    found.want("app", "v3")
    found.tick(1)
    assert first.state is RunState.SUPERSEDED
    found.serve_all(20)
    assert set(found.running("app").values()) == {"v3"}


def test_finish_stage_finishes_what_has_started_and_starts_no_other() -> None:
    found = world("FinishStage")
    found.want("app", "v2")
    found.tick(1)
    first = only(found)
    found.want("app", "v3")
    found.tick(1)
    assert (first.state, len(found.live())) == (RunState.RUNNING, 2)
    found.serve_all(4)
    assert first.state == "Superseded"
    mine = {a.cluster for a in found.assignments if a.run == first.plan.uid}
    assert mine == {"staging-0", "staging-1"}, "it finished staging and did not start production"
    found.serve_all(20)
    assert set(found.running("app").values()) == {"v3"}


def test_finish_stage_finishes_nothing_where_nothing_could_start() -> None:
    """The stage is open, but a window is closed: a newer run is not held until it opens.

    Mutation that breaks it: `progress` leaves such a stage among those that have started.
    """
    plan = run(stage("one", "a", before=(SHUT,)), stage("two", "b", depends_on=("one",)))
    waits = tick(plan, {})
    assert (stage_states(waits)["one"], waits.offer) == ("Updating", ())
    replaced = tick(plan, {}, waits.marks, finishing_for="r2")
    assert (replaced.state, replaced.offer) == (RunState.SUPERSEDED, ())
    moving = tick(plan, {"a": cluster(offered=0, started=0)}, waits.marks, finishing_for="r2")
    assert moving.state is RunState.RUNNING, "what has started is finished"


def test_what_waits_for_stages_to_be_finished_is_made_for_what_they_bring() -> None:
    """So it need not be made anew when its turn comes, and an early approval is not lost."""
    spec: dict[str, Any] = {"policies": book(supersede={"policy": "FinishStage"})}
    first = record(
        propose(situation({"app": "v2"}, {"app": "v1"}, **spec)),
        RunState.RUNNING,
        started=frozenset({"staging"}),
        touched=frozenset({"s1"}),
    )
    have = {name: {"app": "v2" if name == "s1" else "v1"} for name in NAMES}
    newer = propose(situation({"app": "v3"}, have=have, runs=(first,), next_number=2, **spec))
    (waits,) = newer.runs
    assert newer.finishing == {first.plan.uid: waits.uid}
    assert {c: changes[0].previous for c, changes in waits.changes.items()} == {
        **dict.fromkeys(("s1", "s2"), "v2"),
        **dict.fromkeys(("p1", "p2"), "v1"),
    }
    done = {name: {"app": "v2" if name in ("s1", "s2") else "v1"} for name in NAMES}
    ended = (replace(first, state=RunState.SUPERSEDED), RunRecord(waits, RunState.QUEUED))
    turn = propose(situation({"app": "v3"}, have=done, runs=ended, next_number=3, **spec))
    assert turn.runs == ()


def test_what_takes_the_place_of_a_failed_run_brings_what_that_one_did_not() -> None:
    """A run for one cluster waited behind one for all, which failed, and nobody vetoed its content:
    the others must not be forgotten until the next look."""
    have = {name: {"app": "v1"} for name in NAMES}
    first = record(propose(situation({"app": "v2"}, have=have)), RunState.RUNNING)
    wanted = {name: {"app": "v3" if name == "p2" else "v2"} for name in NAMES}
    base = replace(situation({}, have=have), wanted=wanted, bundles={"app": {}})
    waits = record(propose(replace(base, runs=(first,), next_number=2)), RunState.QUEUED)
    assert list(waits.plan.changes) == ["p2"]
    failed = (replace(first, breached=True), waits)
    turn = propose(replace(base, commit="later", runs=failed, next_number=3))
    (anew,) = turn.runs
    assert {c: changes[0].wanted for c, changes in anew.changes.items()} == {
        **dict.fromkeys(("p1", "s1", "s2"), "v2"),
        "p2": "v3",
    }
    assert turn.superseded == {record.plan.uid: anew.uid for record in failed}
    stored = (*failed, RunRecord(anew, RunState.QUEUED))
    after = tuple(replace(r, state=RunState.SUPERSEDED) for r in stored[:2])
    assert propose(replace(base, runs=(*after, stored[2]), next_number=4)).runs == ()


def test_what_a_failed_run_did_not_bring_is_no_newer_runs_to_lose_either() -> None:
    """As above, and two more for another cluster wait in the queue."""
    have = {name: {"app": "v1"} for name in NAMES}
    queue = replace(
        situation({}, have=have, policies=book(supersede={"policy": "Queue"})), bundles={"app": {}}
    )
    wanted: dict[str, dict[str, str | None]] = {name: {"app": "v2"} for name in NAMES}
    runs: tuple[RunRecord, ...] = ()
    for name, digest in (("p2", "v2"), ("p2", "v3"), ("p1", "v4"), ("p1", "v2")):
        wanted = {**wanted, name: {"app": digest}}
        asked = replace(queue, wanted=wanted, runs=runs, next_number=len(runs) + 1)
        runs = (*runs, record(propose(asked), RunState.QUEUED))
    failed = (replace(runs[0], state=RunState.RUNNING, breached=True), *runs[1:])
    asked = replace(queue, wanted=wanted, commit="later", runs=failed, next_number=5)
    turn = propose(asked)
    assert [{c: x[0].wanted for c, x in run.changes.items()} for run in turn.runs] == [
        {"p2": "v3", "s1": "v2", "s2": "v2"},
        {"p1": "v4"},
        {"p1": "v2"},
    ]


def test_a_run_that_finishes_its_stages_and_fails_is_replaced_at_once() -> None:
    found = world("FinishStage")
    found.bad["v2"] = "failed"
    found.want("app", "v2")
    found.tick(1)
    first = only(found)
    found.want("app", "v3")
    found.tick(1)
    found.serve_all(20)
    assert first.state is RunState.SUPERSEDED
    assert set(found.running("app").values()) == {"v3"}


def test_a_success_ends_the_row_of_deferrals() -> None:
    found = world("Immediate", maxDeferrals=1)
    for digest in ("v2", "v3"):
        found.want("app", digest)
        found.tick(1)
    found.serve_all(20)
    found.want("app", "v4")
    found.tick(1)
    fresh = only(found)
    found.want("app", "v5")
    found.tick(1)
    assert fresh.state is RunState.SUPERSEDED, "the one before it has succeeded"


@pytest.mark.parametrize("policy", ["Immediate", "FinishStage"])
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(deferrals=st.integers(1, 4), gaps=st.lists(st.integers(0, 2), min_size=10, max_size=14))
def test_production_moves_once_every_so_many_revisions(
    policy: str, deferrals: int, gaps: list[int]
) -> None:
    """I19: no more than `maxDeferrals` runs that had started are superseded in a row.

    Mutation that breaks it: `superseding.deferrals` answers 0.
    """
    found = world(policy, maxDeferrals=deferrals, maxLiveUnbaked=50)
    in_a_row = 0
    for number, rounds in enumerate(gaps):
        found.want("app", f"n{number}")
        found.tick(1)
        found.serve_all(rounds, seconds=5)
    found.serve_all(30)
    for one in list(found.runs.values())[1:]:
        if one.state is RunState.SUCCEEDED:
            in_a_row = 0
        elif one.marks.started:
            in_a_row += 1
        assert in_a_row <= deferrals, ended(found)
    assert ended(found)[-1] is RunState.SUCCEEDED
    assert found.running("app")["production-0"] == f"n{len(gaps) - 1}"


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(most=st.integers(1, 2), gaps=st.lists(st.integers(1, 3), min_size=6, max_size=10))
def test_no_more_unbaked_revisions_live_than_the_policy_says(most: int, gaps: list[int]) -> None:
    """I17. Mutation that breaks it: `superseding.live_unbaked` answers 0."""
    spec: dict[str, Any] = {"policy": "Immediate", "maxDeferrals": 50, "maxLiveUnbaked": most}
    found = released(fleet(staging=8, supersede=spec))
    for number, rounds in enumerate(gaps):
        found.want("app", f"n{number}")
        found.tick(1)
        for _ in range(rounds):
            found.serve_all(1, seconds=5)
            assert len(found.unbaked().get("app", ())) <= most
