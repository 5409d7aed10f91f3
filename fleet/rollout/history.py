"""What a tick adds to a run's history: one event for each state that is new.

Events come from the difference between what was last told (`Marks.seen_…`) and what is, so a tick
that is asked again after its marks were stored tells nothing twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from fleet.rollout import tables
from fleet.rollout.memory import Memory
from fleet.rollout.progress import View
from fleet.rollout.states import ClusterState, RunState, StageState
from fleet.rollout.step import Event

_RUN = {
    RunState.QUEUED: "run-queued",
    RunState.RUNNING: "run-started",
    RunState.PAUSED: "run-paused",
    RunState.FAILING: "run-failing",
    RunState.SUCCEEDED: "run-succeeded",
    RunState.ABORTED: "run-aborted",
    RunState.SUPERSEDED: "run-superseded",
    RunState.ROLLING_BACK: "rollback-started",
    RunState.ROLLED_BACK: "run-rolled-back",
    RunState.ROLLBACK_FAILED: "rollback-failed",
}
_STAGE = {
    StageState.WAITING: "",
    StageState.GATED_BEFORE: "approval-needed",
    StageState.UPDATING: "stage-started",
    StageState.VERIFYING: "",
    StageState.GATED_AFTER: "stage-soaking",
    StageState.DONE: "stage-done",
    StageState.FAILED: "stage-failed",
}
_CLUSTER = {
    ClusterState.ASSIGNED: "cluster-offered",
    ClusterState.APPLYING: "cluster-started",
    ClusterState.VERIFYING: "cluster-applied",
    ClusterState.HEALTHY: "cluster-healthy",
    ClusterState.FAILED: "cluster-failed",
    ClusterState.TIMED_OUT: "cluster-timed-out",
    ClusterState.STILL_UNHEALTHY: "cluster-still-unhealthy",
    ClusterState.SKIPPED: "cluster-skipped",
    ClusterState.REMOVED: "",  # the amendment has told it
    ClusterState.REVERTING: "cluster-goes-back",
    ClusterState.REVERTED: "cluster-reverted",
    ClusterState.REVERT_FAILED: "cluster-revert-failed",
}


def tell(state: RunState, reason: str, views: Sequence[View], memory: Memory) -> list[Event]:
    """The new lines, in the order of cause; remembers in `memory` that they were told.

    A run opens before its stages move and ends after them, and a stage does as its clusters move.
    """
    course: list[Event] = []
    if memory.seen_run != state.value:
        resumed = state is RunState.RUNNING and memory.seen_run in (
            RunState.PAUSED.value,
            RunState.FAILING.value,
        )
        course.append(Event("run-resumed" if resumed else _RUN[state], reason))
        memory.seen_run = state.value
    moves: list[Event] = []
    for view in views:
        stage: list[Event] = []
        _tell_stage(view, memory, stage)
        clusters: list[Event] = []
        if _is_told(view) or memory.failure.back_since is not None:
            _tell_clusters(view, memory, clusters)
        starts = view.state is StageState.UPDATING
        moves += [*stage, *clusters] if starts else [*clusters, *stage]
    return [*course, *moves] if state in _OPENING else [*moves, *course]


_OPENING = (RunState.QUEUED, RunState.RUNNING, RunState.ROLLING_BACK)


def _is_told(view: View) -> bool:
    """Clusters of a stage whose turn has not come are not worth a line each."""
    return view.state not in (StageState.WAITING, StageState.GATED_BEFORE)


def _tell_stage(view: View, memory: Memory, events: list[Event]) -> None:
    name, state = view.plan.name, view.state
    before = memory.seen_stages.get(name, StageState.WAITING)
    if state is before:
        return
    memory.seen_stages[name] = state
    kind = _STAGE[state]
    if state is StageState.GATED_BEFORE and not _asks_people(view):
        kind = "stage-gated"
    if state is StageState.UPDATING and before in _STARTED:
        kind = "stage-resumed" if before is not StageState.VERIFYING else ""
    if kind:
        events.append(Event(kind, view.reason, stage=name))


def _asks_people(view: View) -> bool:
    return any(gate.kind == "approval" and gate.verdict == "none" for gate in view.gates)


_STARTED = (StageState.UPDATING, StageState.VERIFYING, StageState.GATED_AFTER, StageState.FAILED)


def _tell_clusters(view: View, memory: Memory, events: list[Event]) -> None:
    seen = memory.seen_clusters
    for one in view.standings:
        before = seen.get(one.cluster, ClusterState.QUEUED)
        if one.state is before:
            continue
        if one.state is ClusterState.QUEUED:
            del seen[one.cluster]
        else:
            seen[one.cluster] = one.state
        kind = _kind(before, one.state)
        if kind:
            events.append(Event(kind, one.reason, stage=view.plan.name, cluster=one.cluster))


def _kind(before: ClusterState, after: ClusterState) -> str:
    if before is ClusterState.HEALTHY and after in (ClusterState.VERIFYING, ClusterState.APPLYING):
        return "cluster-regressed"
    if after in _CLUSTER:
        return _CLUSTER[after]
    if before in tables.BAD_ENDS:
        return "cluster-retried"
    return "offer-withdrawn" if before is ClusterState.ASSIGNED else ""
