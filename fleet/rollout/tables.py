"""The states of run, stage and cluster as tables: (state, event) → state.

Every tick classifies the evidence into one event for each run, stage and cluster; the tables
answer the state. A pair that is in neither the table nor the ignored set is a defect and raises.

::

    Cluster  Queued → Assigned → Applying → Verifying → Healthy      Healthy → Verifying
             Assigned → Queued | Offline (withdrawn)   Queued ⇄ Offline, Pending
             → Failed | TimedOut | StillUnhealthy      these → Queued only by a retry
             any that is not settled → Removed (it left), and where it is when it is back
             any that was touched → Reverting → Reverted | RevertFailed
    Stage    Waiting → GatedBefore → Updating ⇄ Verifying ⇄ GatedAfter → Done      any → Failed
    Run      Queued → Running ⇄ Paused → Succeeded | Aborted | Superseded
             Failing lasts one tick, then Paused | Aborted | RollingBack
             RollingBack → RolledBack | RollbackFailed | Paused (something had nothing before)

Events describe what *is*, not what changed, so a tick that comes late loses nothing.
"""

from __future__ import annotations

from enum import StrEnum

from fleet.rollout.states import ClusterState, RunState, StageState


class ClusterEvent(StrEnum):
    """What the evidence says of one cluster now."""

    UNKNOWN = "declared, never registered"
    DARK = "offline, nothing offered"
    FREE = "online, nothing offered"
    OFFERED = "offered, not started"
    STARTED = "started, not applied"
    APPLIED = "applied, not healthy"
    WELL = "applied and healthy"
    BROKEN = "failed for good"
    LATE = "past its deadline"
    LATE_AS_BEFORE = "past its deadline, and as unhealthy as before the run"
    RETRIED = "a person asked to try again"
    GOING_BACK = "offered the way back, or on it"
    BACK = "back, applied and healthy"
    NOT_BACK = "the way back failed or took too long"


class StageEvent(StrEnum):
    """What the evidence says of one stage now."""

    BLOCKED = "a stage that it depends on is not Done, or nobody is online"
    GATED = "a gate before it is not open"
    MOVING = "clusters are queued, offered or applying"
    CHECKING = "the last clusters are applied and not yet healthy"
    SOAKING = "every cluster is settled, a gate after it is not open"
    FINISHED = "all holds"
    BREACHED = "a budget, minHealthy or a gate failed"


class RunEvent(StrEnum):
    """What the evidence says of the run now."""

    BLOCKED = "an older run goes first"
    GO = "may move"
    PAUSED = "a person paused it"
    BREACHED = "a budget or gate failed in this tick"
    STOPPED = "a breach is not answered"
    ABORTED = "a person aborted it"
    REPLACED = "a newer run replaces it"
    FINISHED = "every stage is Done"
    GOING_BACK = "touched clusters go back"
    BACK = "every touched cluster is back, but for what the rollback's budget lets fail"
    NOT_BACK = "more clusters could not go back than the rollback's budget lets fail"


BAD_ENDS = frozenset({ClusterState.FAILED, ClusterState.TIMED_OUT, ClusterState.STILL_UNHEALTHY})
"""Terminal for a cluster until a retry."""
IN_FLIGHT = frozenset({ClusterState.ASSIGNED, ClusterState.APPLYING, ClusterState.VERIFYING})
"""These take a slot."""
AWAY = frozenset(
    {ClusterState.OFFLINE, ClusterState.PENDING, ClusterState.SKIPPED, ClusterState.REMOVED}
)
"""In no denominator."""
SETTLED = BAD_ENDS | AWAY | {ClusterState.HEALTHY}
"""A stage does not wait for these."""
WENT_BACK = frozenset({ClusterState.REVERTED, ClusterState.REVERT_FAILED})
"""A rollback is over for these."""
ROLLED = frozenset({RunState.ROLLED_BACK, RunState.ROLLBACK_FAILED})
"""A rollback is over for these runs."""
ENDED = ROLLED | {RunState.SUCCEEDED, RunState.ABORTED, RunState.SUPERSEDED}
"""Terminal for a run."""

_CLUSTER = {
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
_LIVE = frozenset({*_CLUSTER.values(), ClusterState.REMOVED}) - BAD_ENDS
_WAY_BACK = {
    ClusterEvent.GOING_BACK: ClusterState.REVERTING,
    ClusterEvent.BACK: ClusterState.REVERTED,
    ClusterEvent.NOT_BACK: ClusterState.REVERT_FAILED,
}

CLUSTER_STEPS: dict[tuple[ClusterState, ClusterEvent], ClusterState] = {
    **{(state, event): after for state in _LIVE for event, after in _CLUSTER.items()},
    **{(state, ClusterEvent.RETRIED): ClusterState.QUEUED for state in BAD_ENDS},
    **{
        (state, event): after
        for state in _LIVE | BAD_ENDS | {ClusterState.REVERTING, ClusterState.SKIPPED}
        for event, after in _WAY_BACK.items()
    },
}
CLUSTER_IGNORED = frozenset(
    {(state, event) for state in BAD_ENDS for event in _CLUSTER}
    | {(state, ClusterEvent.RETRIED) for state in _LIVE}
    | {(state, event) for state in WENT_BACK for event in ClusterEvent}
)

_STAGE = {
    StageEvent.BLOCKED: StageState.WAITING,
    StageEvent.GATED: StageState.GATED_BEFORE,
    StageEvent.MOVING: StageState.UPDATING,
    StageEvent.CHECKING: StageState.VERIFYING,
    StageEvent.SOAKING: StageState.GATED_AFTER,
    StageEvent.FINISHED: StageState.DONE,
    StageEvent.BREACHED: StageState.FAILED,
}
STAGE_STEPS: dict[tuple[StageState, StageEvent], StageState] = {
    (state, event): after
    for state in frozenset(_STAGE.values()) - {StageState.DONE}
    for event, after in _STAGE.items()
}
STAGE_IGNORED = frozenset((StageState.DONE, event) for event in StageEvent)

_RUN = {
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
RUN_STEPS: dict[tuple[RunState, RunEvent], RunState] = {
    (state, event): after
    for state in frozenset(_RUN.values()) - ENDED
    for event, after in _RUN.items()
}
RUN_IGNORED = frozenset((state, event) for state in ENDED for event in RunEvent)


def cluster_after(state: ClusterState, event: ClusterEvent) -> ClusterState:
    """The next state of a cluster. Errors: `KeyError` for a pair that cannot be."""
    return state if (state, event) in CLUSTER_IGNORED else CLUSTER_STEPS[state, event]


def stage_after(state: StageState, event: StageEvent) -> StageState:
    """The next state of a stage. Errors: `KeyError` for a pair that cannot be."""
    return state if (state, event) in STAGE_IGNORED else STAGE_STEPS[state, event]


def run_after(state: RunState, event: RunEvent) -> RunState:
    """The next state of a run. Errors: `KeyError` for a pair that cannot be."""
    return state if (state, event) in RUN_IGNORED else RUN_STEPS[state, event]
