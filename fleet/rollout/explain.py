"""Why a cluster of a run is not moving: every binding reason, the nearest first.

`words_for` gives each cluster of a stage its one-line status; `explain` gives one cluster all of
its reasons. Removing every reason makes the cluster assignable; one that moves has none.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from fleet.rollout import starts, tables, vetoes
from fleet.rollout.evidence import ClusterEvidence, Evidence
from fleet.rollout.progress import View
from fleet.rollout.reasons import Reason
from fleet.rollout.run_plan import RunPlan
from fleet.rollout.standing import NOWHERE, Standing
from fleet.rollout.states import ClusterState, RunState, StageState
from fleet.rollout.step import ClusterStatus, StageStatus, Step

_RUN_CODES = {
    RunState.QUEUED: "RunQueued",
    RunState.PAUSED: "RunPaused",
    RunState.FAILING: "RunFailing",
    RunState.SUCCEEDED: "RunEnded",
    RunState.ABORTED: "RunEnded",
    RunState.SUPERSEDED: "RunEnded",
    RunState.ROLLING_BACK: "RunRollsBack",
    RunState.ROLLED_BACK: "RunEnded",
    RunState.ROLLBACK_FAILED: "RunEnded",
}
REVERTING = ClusterState.REVERTING
_SHUT = (StageState.WAITING, StageState.GATED_BEFORE, StageState.FAILED, StageState.DONE)


def words_for(
    view: View, state: RunState, reason: str, evidence: Evidence
) -> Iterator[ClusterStatus]:
    """The status of every cluster of a stage, in its order."""
    stage = view.plan.name
    shared = _shared(view, state, reason)
    held = ClusterState.HELD if evidence.vetoed and state not in tables.ENDED else None
    if held is not None:
        shared = Reason("Vetoed", vetoes.in_words(evidence.vetoed))
    turn = _no_slot(view)
    for one in view.standings:
        if one.state is not ClusterState.QUEUED:
            yield ClusterStatus(one.cluster, stage, one.state, one.reason, one.code)
            continue
        why = shared or _own(one, evidence) or turn
        yield ClusterStatus(one.cluster, stage, held or one.state, why.what, why.code)


def _shared(view: View, state: RunState, reason: str) -> Reason | None:
    """What keeps every queued cluster of the stage, if something does."""
    if state in _RUN_CODES:
        return Reason(_RUN_CODES[state], reason)
    if view.state in _SHUT:
        return Reason(view.code or view.state.value, view.reason)
    return None


def _own(one: Standing, evidence: Evidence) -> Reason | None:
    known = evidence.clusters.get(one.cluster, NOWHERE)
    if known.held_by:
        return starts.held_by(known)
    if one.refused is None and one.lapsed:
        return starts.LEASE_ENDED
    return one.refused


def _no_slot(view: View) -> Reason:
    moving = sum(view.count[state] for state in tables.IN_FLIGHT)
    ramp = len(view.plan.parallelism.steps) > 1
    code = "BatchNotHealthy" if ramp else "NoFreeSlot"
    return Reason(code, f"waits for its turn: {moving} in flight in stage {view.plan.name}")


def explain(run: RunPlan, step: Step, evidence: Evidence, cluster: str) -> tuple[Reason, ...]:
    """Every reason why `cluster` is not assigned in this run; empty if it moves or is Healthy."""
    status = next((one for one in step.clusters if one.cluster == cluster), None)
    if status is None:
        return (Reason("Unchanged", f"run {run.uid} changes nothing in {cluster}"),)
    return _reasons(step, evidence, status, {stage.name: stage for stage in step.stages})


def explain_all(step: Step, evidence: Evidence) -> dict[str, tuple[Reason, ...]]:
    """Cluster → every reason why it is not assigned, of those that neither move nor are Healthy."""
    stages = {stage.name: stage for stage in step.stages}
    found = ((one.cluster, _reasons(step, evidence, one, stages)) for one in step.clusters)
    return {cluster: reasons for cluster, reasons in found if reasons}


def _reasons(
    step: Step, evidence: Evidence, status: ClusterStatus, stages: Mapping[str, StageStatus]
) -> tuple[Reason, ...]:
    if status.state in tables.IN_FLIGHT or status.state is ClusterState.HEALTHY:
        return ()
    reasons = [
        *_of_run(step),
        *_of_vetoes(evidence),
        *_of_stage(stages[status.stage]),
        *_of_cluster(status, evidence.clusters.get(status.cluster, NOWHERE)),
    ]
    return tuple(reasons) or (Reason(status.code, status.reason),)


def _of_run(step: Step) -> Iterator[Reason]:
    if step.state in _RUN_CODES:
        yield Reason(_RUN_CODES[step.state], step.reason)


def _of_vetoes(evidence: Evidence) -> Iterator[Reason]:
    if evidence.vetoed:
        yield Reason("Vetoed", vetoes.in_words(evidence.vetoed))


def _of_stage(stage: StageStatus) -> Iterator[Reason]:
    if stage.state in _SHUT:
        yield Reason(f"Stage{stage.state.value}", f"stage {stage.name}: {stage.reason}")


def _of_cluster(status: ClusterStatus, known: ClusterEvidence) -> Iterator[Reason]:
    if status.state in tables.BAD_ENDS | tables.WENT_BACK or status.state is REVERTING:
        yield Reason(status.state.value, status.reason)
    if status.state in tables.AWAY:
        yield Reason(status.code or status.state.value, status.reason)
    if known.held_by:
        yield starts.held_by(known)
