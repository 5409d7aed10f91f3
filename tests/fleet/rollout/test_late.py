"""What new and late clusters are owed while the newest run has not succeeded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from fleet.model import Cluster, ClusterGroup
from fleet.rollout import Proposal, RunRecord, Situation, propose
from fleet.rollout.states import Lane, RunState
from tests.fleet.rollout.builders import NOW, after
from tests.fleet.rollout.test_runs import NAMES, record, situation

V1_COMMIT = "1" * 40
AS_OF = {(V1_COMMIT, "app"): dict.fromkeys([*NAMES, "p3"], "v1")}


def at(wanted: str, have: Mapping[str, str], **said: Any) -> Situation:
    """Git wants that of `app` everywhere; p3 was declared long after everybody else."""
    names = said.pop("names", (*NAMES, "p3"))
    base = situation({"app": wanted}, names=names, have={n: {"app": d} for n, d in have.items()})
    groups = (ClusterGroup("production", ("p1", "p2", "p3")), ClusterGroup("staging", ("s1", "s2")))
    declared = {name: after(1000) if name == "p3" else after(-1000) for name in names}
    clusters = tuple(Cluster(name) for name in names)
    return replace(base, groups=groups, declared=declared, clusters=clusters, **said)


ALL_V1 = dict.fromkeys(NAMES, "v1")


def history(state: RunState, **said: Any) -> tuple[RunRecord, RunRecord]:
    """v1 succeeded on everybody but p3; the run to v2 is in that state."""
    old = propose(at("v1", {}, names=NAMES, commit=V1_COMMIT))
    new = propose(at("v2", ALL_V1, names=NAMES, next_number=2))
    return record(old, RunState.SUCCEEDED), record(new, state, **said)


def lane(proposal: Proposal) -> dict[str, list[tuple[str, str]]]:
    """Cluster → (from, to) of what the catch-up lane brings."""
    return {
        name: [(c.previous, c.wanted) for c in changes]
        for run in proposal.runs
        if run.lane is Lane.CATCH_UP
        for name, changes in run.changes.items()
    }


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.PAUSED, RunState.ABORTED])
def test_a_new_cluster_is_owed_what_last_succeeded(state: RunState) -> None:
    now = at("v2", ALL_V1, runs=history(state), as_of=AS_OF)
    assert lane(propose(now)) == {"p3": [("", "v1")]}


def test_what_is_not_known_yet_is_asked_for_and_waited_for() -> None:
    now = at("v2", ALL_V1, runs=history(RunState.ABORTED))
    found = propose(now)
    assert found.asked == {(V1_COMMIT, "app")}
    assert found.runs == ()
    assert {(h.cluster, h.code) for h in found.held} >= {("p3", "RunAborted")}
    gone = propose(replace(now, as_of={(V1_COMMIT, "app"): {}}))
    assert (gone.asked, gone.runs) == (frozenset(), ())


def test_a_new_cluster_starts_no_aborted_run_again() -> None:
    found = propose(at("v2", ALL_V1, runs=history(RunState.ABORTED), as_of=AS_OF))
    assert [run.lane for run in found.runs] == [Lane.CATCH_UP]


def test_a_late_cluster_is_owed_what_passed_it_by() -> None:
    have = ALL_V1 | {"p1": "v0"}
    found = propose(at("v2", have, runs=history(RunState.RUNNING), as_of=AS_OF))
    assert lane(found)["p1"] == [("v0", "v1")]


def test_what_a_newer_run_has_touched_does_not_go_back() -> None:
    runs = history(RunState.ABORTED, touched=frozenset({"p1"}))
    have = ALL_V1 | {"p1": "v2-half"}
    assert "p1" not in lane(propose(at("v2", have, runs=runs, as_of=AS_OF)))


def test_a_cluster_whose_turn_comes_now_does_not_take_the_long_way() -> None:
    have = ALL_V1 | {"s1": "v0", "p1": "v0"}
    said = {"started": frozenset({"staging"})}
    moving = propose(at("v2", have, runs=history(RunState.RUNNING, **said), as_of=AS_OF))
    assert "s1" not in lane(moving)
    assert "p1" in lane(moving)
    failed = history(RunState.PAUSED, breached=True, **said)
    assert "s1" in lane(propose(at("v2", have, runs=failed, as_of=AS_OF)))


def test_a_cluster_that_was_reached_and_whose_declaration_changes_is_not_late() -> None:
    other = {(V1_COMMIT, "app"): AS_OF[V1_COMMIT, "app"] | {"p1": "v1-for-other-labels"}}
    assert "p1" not in lane(propose(at("v2", ALL_V1, runs=history(RunState.RUNNING), as_of=other)))


def test_what_was_never_released_is_owed_to_nobody() -> None:
    (_, new) = history(RunState.ABORTED)
    found = propose(at("v2", {}, runs=(new,), as_of=AS_OF))
    assert lane(found) == {}
    assert found.asked == frozenset()


def test_the_lane_goes_beside_the_live_run_and_replaces_nothing() -> None:
    found = propose(at("v2", ALL_V1, runs=history(RunState.RUNNING), as_of=AS_OF))
    assert found.superseded == {}
    assert [run.created for run in found.runs] == [NOW]
