"""Removals: held while they look like missing data; last in their run, a few at a time.

Mutations that break these: `suspicion` always empty, `removing >= having` left out, `>` for `>=`
there, an approval that is not bound to its digest, removals that keep their stage's parallelism,
`_behind` without `every`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agents.protocol import ABSENT
from fleet.model import Cluster, ClusterGroup, PolicyDocument
from fleet.rollout import Proposal, Situation, propose, read_policies
from fleet.rollout.decisions import Verb
from fleet.rollout.removals import approved, removals_last, suspicion
from fleet.rollout.rules import MembershipRules, RemovalRules, Rules
from fleet.rollout.situation import RunRecord
from fleet.rollout.states import RunState
from tests.fleet.rollout.builders import NOW, decision, stage

NAMES = tuple(f"c{number:02}" for number in range(40))
RINGS = ("two", "one")
GROUP = ClusterGroup("all", NAMES)


def situation(
    gone: int, have: dict[str, str], rest: dict[str, str | None], **said: Any
) -> Situation:
    """Forty clusters that have all of `have`; the first `gone` want only `rest`."""
    stages = [
        {"name": "one", "select": {"matchLabels": {"ring": "one"}}, "parallelism": 9},
        {"name": "two", "select": {"catchAll": True}, "parallelism": "100%"},
    ]
    spec = {"stages": stages, **said.pop("spec", {})}
    book = read_policies([PolicyDocument("Rollout", "default", spec, "r.yaml")], ["all"])
    assert not book.problems
    wanted = {n: dict(rest if i < gone else have) for i, n in enumerate(NAMES)}
    base = Situation(
        commit="abcdef0",
        now=NOW,
        wanted=wanted,
        assigned={name: dict(have) for name in NAMES},
        policies=book,
        clusters=tuple(Cluster(n, labels={"ring": RINGS[i % 2]}) for i, n in enumerate(NAMES)),
        groups=(GROUP,),
        bundles={bundle: {} for bundle in have},
        online=frozenset(NAMES),
    )
    return replace(base, **said)


def held(found: Proposal) -> set[str]:
    """The clusters whose removal waits for a person."""
    return {one.cluster for one in found.held if one.code == "TurndownSuspected"}


BOTH = {"app": "1", "web": "1"}


def test_few_removals_go_by_themselves_and_more_wait() -> None:
    few = propose(situation(2, BOTH, {"app": "1"}))
    assert [len(run.changes) for run in few.runs] == [2], "5 % of forty"
    more = propose(situation(3, BOTH, {"app": "1"}))
    assert more.runs == ()
    assert held(more) == set(NAMES[:3])


def test_only_the_removals_are_held_and_the_rest_of_the_commit_goes_on() -> None:
    found = propose(situation(5, BOTH, {"app": "2"}))
    assert [run.bundles for run in found.runs] == [("app",)]
    assert held(found) == set(NAMES[:5])


def test_the_last_clusters_of_a_bundle_wait_however_few_they_are() -> None:
    made = situation(0, {"app": "1"}, {})
    assigned = {**made.assigned, "c00": dict(BOTH)}
    assert held(propose(replace(made, assigned=assigned))) == {"c00"}


def test_an_approval_lets_go_what_it_names_while_the_same_thing_runs_there() -> None:
    made = situation(5, BOTH, {"app": "1"})
    said = decision(
        1, Verb.APPROVE_REMOVALS, run="", bundle="web", clusters=NAMES[:5], digests=("1",)
    )
    meant = propose(replace(made, removals_approved=approved([said])))
    assert [set(run.changes) for run in meant.runs] == [set(NAMES[:5])]
    assert held(meant) == set()
    other = {name: {"app": "1", "web": "7"} for name in NAMES}
    again = propose(replace(made, assigned=other, removals_approved=approved([said])))
    assert held(again) == set(NAMES[:5]), "something else runs there by now"


def test_a_cluster_that_wants_nothing_any_more_is_emptied_only_by_an_approval() -> None:
    made = situation(1, BOTH, {})
    assert held(propose(made)) == {"c00"}
    pairs = frozenset(("c00", bundle, "1") for bundle in BOTH)
    found = propose(replace(made, removals_approved=pairs))
    assert {run.bundles for run in found.runs} == {("app",), ("web",)}


def test_removals_that_a_run_carries_are_not_judged_again() -> None:
    pairs = frozenset((name, "web", "1") for name in NAMES[:5])
    made = situation(5, BOTH, {"app": "1"}, removals_approved=pairs)
    live = RunRecord(propose(made).runs[0], RunState.RUNNING)
    after_restart = replace(made, removals_approved=frozenset(), runs=(live,), next_number=2)
    again = propose(after_restart)
    assert (again.runs, held(again)) == ((), set())


def test_a_revert_of_a_new_bundle_that_failed_needs_nobody() -> None:
    new = situation(0, BOTH, {}, assigned={name: {"app": "1"} for name in NAMES})
    first = propose(new).runs[0]
    tried = {name: {"app": "1"} for name in NAMES} | {"c00": dict(BOTH)}
    back = situation(40, {"app": "1"}, {"app": "1"}, assigned=tried)
    failed = RunRecord(first, RunState.PAUSED, breached=True)
    found = propose(replace(back, runs=(failed,), next_number=2))
    assert [run.restores for run in found.runs] == [True]
    assert held(found) == set()


@pytest.mark.parametrize(
    ("members", "removing", "having", "above", "waits"),
    [
        (20, 1, 20, None, False),
        (21, 2, 20, None, False),
        (20, 2, 20, None, True),
        (100, 1, 1, None, True),
        (100, 3, 100, 2, True),
    ],
)
def test_what_is_suspected(
    members: int, removing: int, having: int, above: int | None, waits: bool
) -> None:
    rules = Rules(membership=MembershipRules(), removal=RemovalRules(require_approval_above=above))
    assert bool(suspicion(rules, members, removing, having)) is waits


def test_removals_pass_the_stages_after_everything_else_and_slowly() -> None:
    stages = (
        stage("one", "a", "b", parallelism=2, soak_seconds=60),
        stage("two", "c", "d", parallelism=2, approval=True, depends_on=("one",)),
    )
    found = {one.name: one for one in removals_last(stages, {"b", "d"}, RemovalRules())}
    assert list(found) == ["one", "two", "one/removal", "two/removal"]
    assert [one.clusters for one in found.values()] == [("a",), ("c",), ("b",), ("d",)]
    assert found["one/removal"].depends_on == ("one", "two")
    assert found["two/removal"].depends_on == ("one", "two", "one/removal")
    assert found["two/removal"].parallelism.steps == (1,)
    assert found["two/removal"].before == found["two"].before
    assert found["one/removal"].after == found["one"].after


def test_a_run_that_only_removes_has_its_stages_as_they_are_but_slow() -> None:
    stages = (stage("one", "a", parallelism=2), stage("two", "b", depends_on=("one",)))
    found = removals_last(stages, {"a", "b"}, RemovalRules())
    assert [(s.name, s.parallelism.steps) for s in found] == [("one", (1,)), ("two", (1,))]


def test_one_run_changes_first_and_removes_last() -> None:
    mixed = situation(2, BOTH, {"app": "1"})
    mixed = replace(
        mixed, wanted={n: {**w, "web": "2"} if "web" in w else w for n, w in mixed.wanted.items()}
    )
    (run,) = propose(mixed).runs
    assert [one.name for one in run.stages] == ["one", "two", "one/removal", "two/removal"]
    last = {c for one in run.stages[2:] for c in one.clusters}
    assert last == {"c00", "c01"}
    assert {run.changes[c][0].wanted for c in last} == {ABSENT}
    assert sorted(c for one in run.stages for c in one.clusters) == list(NAMES), "I16"
