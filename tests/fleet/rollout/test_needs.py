"""What new clusters are owed when the newest run of a bundle did not succeed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fleet.model import Cluster, ClusterGroup
from fleet.rollout import Proposal, RunRecord, propose
from fleet.rollout.states import Lane, RunState
from tests.fleet.rollout.test_runs import NAMES, codes, record, situation, words

JOINED = (*NAMES, "p3")
ONE_MORE: dict[str, Any] = {
    "names": JOINED,
    "clusters": tuple(Cluster(name) for name in JOINED),
    "groups": (
        ClusterGroup("production", ("p1", "p2", "p3")),
        ClusterGroup("staging", ("s1", "s2")),
    ),
}
ENDED_BADLY = (RunState.ROLLED_BACK, RunState.ROLLBACK_FAILED, RunState.ABORTED)


def failed_run(state: RunState) -> RunRecord:
    return record(propose(situation({"app": "v2"}, {"app": "v1"})), state)


def joins(wanted: str, state: RunState, **have: str) -> Proposal:
    """p3 is new; every other cluster has v1 unless `have` says otherwise."""
    granted = {name: {"app": have.get(name, "v1")} for name in NAMES}
    return propose(situation({"app": wanted}, have=granted, runs=(failed_run(state),), **ONE_MORE))


@pytest.mark.parametrize("state", ENDED_BADLY)
def test_a_new_cluster_gets_what_a_revert_brought_back(state: RunState) -> None:
    (run,) = joins("v1", state).runs
    assert run.lane is Lane.CATCH_UP
    assert words(run) == {"p3": [("app", "", "v1")]}


@pytest.mark.parametrize("state", ENDED_BADLY)
def test_a_new_cluster_never_gets_what_a_failed_run_was_to_bring(state: RunState) -> None:
    proposal = joins("v2", state, p1="v2", s1="v2", s2="v2")
    assert proposal.runs == ()
    assert {(bundle, cluster) for bundle, cluster, _ in codes(proposal)} >= {("app", "p3")}


def test_one_cluster_that_still_wants_the_failed_content_keeps_a_new_one_waiting() -> None:
    granted = {name: {"app": "v1"} for name in NAMES}
    base = situation({"app": "v1"}, have=granted, runs=(failed_run(RunState.ABORTED),), **ONE_MORE)
    base = replace(base, wanted={**base.wanted, "p2": {"app": "v2"}})
    assert propose(base).runs == ()
    assert ("app", "p3", "RunAborted") in codes(propose(base))
