"""The tables of states: every pair of state and event has one answer, or is an error."""

from __future__ import annotations

import pytest

from fleet.rollout import tables
from fleet.rollout.states import ClusterState, RunState, StageState
from fleet.rollout.tables import ClusterEvent, RunEvent, StageEvent

NOT_IN_THE_SHORT_FORM = {ClusterState.SKIPPED, ClusterState.HELD}

SEEN = {
    ClusterEvent.UNKNOWN: ClusterState.PENDING,
    ClusterEvent.DARK: ClusterState.OFFLINE,
    ClusterEvent.FREE: ClusterState.QUEUED,
    ClusterEvent.OFFERED: ClusterState.ASSIGNED,
    ClusterEvent.STARTED: ClusterState.APPLYING,
    ClusterEvent.APPLIED: ClusterState.VERIFYING,
    ClusterEvent.WELL: ClusterState.HEALTHY,
    ClusterEvent.BROKEN: ClusterState.FAILED,
    ClusterEvent.LATE: ClusterState.TIMED_OUT,
    ClusterEvent.LATE_AS_BEFORE: ClusterState.STILL_UNHEALTHY,
}
WAY_BACK = {
    ClusterEvent.GOING_BACK: ClusterState.REVERTING,
    ClusterEvent.BACK: ClusterState.REVERTED,
    ClusterEvent.NOT_BACK: ClusterState.REVERT_FAILED,
}
GONE_BACK = (ClusterState.REVERTED, ClusterState.REVERT_FAILED)
BAD = (ClusterState.FAILED, ClusterState.TIMED_OUT, ClusterState.STILL_UNHEALTHY)
CLUSTER_STATES = [state for state in ClusterState if state not in NOT_IN_THE_SHORT_FORM]


@pytest.mark.parametrize("event", ClusterEvent)
@pytest.mark.parametrize("state", CLUSTER_STATES)
def test_a_cluster_is_what_is_seen_of_it_until_it_has_failed(
    state: ClusterState, event: ClusterEvent
) -> None:
    if state is ClusterState.REVERTING and event not in WAY_BACK:
        with pytest.raises(KeyError):
            tables.cluster_after(state, event)
        return
    after = tables.cluster_after(state, event)
    if state in GONE_BACK:
        assert after is state, "a rollback is not undone"
    elif event in WAY_BACK:
        assert after is WAY_BACK[event]
    elif event is ClusterEvent.RETRIED:
        assert after is (ClusterState.QUEUED if state in BAD else state)
    elif state in BAD:
        assert after is state, "only a retry ends a failure"
    else:
        assert after is SEEN[event]


@pytest.mark.parametrize("event", StageEvent)
@pytest.mark.parametrize("state", [s for s in StageState if s is not StageState.SKIPPED])
def test_a_stage_that_is_done_stays_done(state: StageState, event: StageEvent) -> None:
    expected = {
        StageEvent.BLOCKED: StageState.WAITING,
        StageEvent.GATED: StageState.GATED_BEFORE,
        StageEvent.MOVING: StageState.UPDATING,
        StageEvent.CHECKING: StageState.VERIFYING,
        StageEvent.SOAKING: StageState.GATED_AFTER,
        StageEvent.FINISHED: StageState.DONE,
        StageEvent.BREACHED: StageState.FAILED,
    }
    done = state is StageState.DONE
    assert tables.stage_after(state, event) is (StageState.DONE if done else expected[event])


@pytest.mark.parametrize("event", RunEvent)
@pytest.mark.parametrize("state", RunState)
def test_a_run_that_has_ended_stays_so(state: RunState, event: RunEvent) -> None:
    expected = {
        RunEvent.BLOCKED: RunState.QUEUED,
        RunEvent.GO: RunState.RUNNING,
        RunEvent.PAUSED: RunState.PAUSED,
        RunEvent.BREACHED: RunState.FAILING,
        RunEvent.STOPPED: RunState.PAUSED,
        RunEvent.ABORTED: RunState.ABORTED,
        RunEvent.REPLACED: RunState.SUPERSEDED,
        RunEvent.FINISHED: RunState.SUCCEEDED,
        RunEvent.GOING_BACK: RunState.ROLLING_BACK,
        RunEvent.BACK: RunState.ROLLED_BACK,
        RunEvent.NOT_BACK: RunState.ROLLBACK_FAILED,
    }
    rolled = (RunState.ROLLED_BACK, RunState.ROLLBACK_FAILED)
    ended = state in (RunState.SUCCEEDED, RunState.ABORTED, RunState.SUPERSEDED, *rolled)
    assert tables.run_after(state, event) is (state if ended else expected[event])


@pytest.mark.parametrize("state", sorted(NOT_IN_THE_SHORT_FORM))
def test_a_pair_that_cannot_be_is_an_error_and_never_ignored(state: ClusterState) -> None:
    with pytest.raises(KeyError):
        tables.cluster_after(state, ClusterEvent.WELL)


def test_no_pair_is_both_a_step_and_ignored() -> None:
    assert not tables.CLUSTER_STEPS.keys() & tables.CLUSTER_IGNORED
    assert not tables.STAGE_STEPS.keys() & tables.STAGE_IGNORED
    assert not tables.RUN_STEPS.keys() & tables.RUN_IGNORED
