"""Why a cluster of a run is not moving: every binding reason, the nearest first.

`words_for` gives each cluster of a stage its one-line status; `explain` gives one cluster all that
the step knows to keep it (`fleet.rollout.obstacles` asks gates and caps besides). Removing every
reason makes the cluster assignable; one that moves has none.
"""

from __future__ import annotations

from collections.abc import Iterator

from fleet.rollout import starts, tables, vetoes
from fleet.rollout.evidence import ClusterEvidence, Evidence
from fleet.rollout.gates import Verdict
from fleet.rollout.progress import View
from fleet.rollout.reasons import Reason
from fleet.rollout.run_plan import RunPlan, StagePlan
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
    turn = no_slot(view.plan, sum(view.count[state] for state in tables.IN_FLIGHT))
    for one in view.standings:
        if one.state is not ClusterState.QUEUED:
            yield ClusterStatus(one.cluster, stage, one.state, one.reason, one.code)
            continue
        why = shared or _own(one, evidence) or turn
        yield ClusterStatus(one.cluster, stage, held or one.state, why.what, why.code)


def _shared(view: View, state: RunState, reason: str) -> Reason | None:
    """What keeps every queued cluster of the stage, if something does."""
    if state in tables.ENDED:
        return Reason(_RUN_CODES[state], f"not changed: {reason}")
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


def no_slot(stage: StagePlan, moving: int) -> Reason:
    """Its turn in the stage has not come."""
    code = "BatchNotHealthy" if len(stage.parallelism.steps) > 1 else "NoFreeSlot"
    return Reason(code, f"waits for its turn: {moving} in flight in stage {stage.name}")


def explain(run: RunPlan, step: Step, evidence: Evidence, cluster: str) -> tuple[Reason, ...]:
    """What keeps `cluster` as the step tells it; `obstacles` adds what would keep it besides.

    Empty if it moves or is Healthy.
    """
    status = next((one for one in step.clusters if one.cluster == cluster), None)
    if status is None:
        return (Reason("Unchanged", f"run {run.uid} changes nothing in {cluster}"),)
    stage = next(one for one in step.stages if one.name == status.stage)
    return reasons_of(step, evidence, status, stage) or own_words(status)


def own_words(status: ClusterStatus) -> tuple[Reason, ...]:
    """What the cluster's own line says, if it neither moves nor is Healthy."""
    return () if is_well(status) else (Reason(status.code, status.reason),)


def is_well(status: ClusterStatus) -> bool:
    """Does the cluster move, or is it Healthy?"""
    return status.state in tables.IN_FLIGHT or status.state is ClusterState.HEALTHY


def reasons_of(
    step: Step, evidence: Evidence, status: ClusterStatus, stage: StageStatus
) -> tuple[Reason, ...]:
    """What keeps it of run, vetoes, stage and its own state; empty if it is only its turn."""
    if is_well(status):
        return ()
    if status.state is REVERTING:
        return (*_of_run(step), *_of_cluster(status, NOWHERE))
    return (
        *_of_run(step),
        *_of_vetoes(evidence),
        *_of_stage(stage),
        *_of_cluster(status, evidence.clusters.get(status.cluster, NOWHERE)),
    )


def _of_run(step: Step) -> Iterator[Reason]:
    if step.state in _RUN_CODES:
        yield Reason(_RUN_CODES[step.state], step.reason)


def _of_vetoes(evidence: Evidence) -> Iterator[Reason]:
    if evidence.vetoed:
        yield Reason("Vetoed", vetoes.in_words(evidence.vetoed))


def _of_stage(stage: StageStatus) -> Iterator[Reason]:
    if stage.state not in _SHUT:
        return
    code = f"Stage{stage.state.value}"
    shut = [gate for gate in stage.gates if gate.verdict != Verdict.PASS.value and gate.reason]
    if stage.state is not StageState.GATED_BEFORE or not shut:
        said = stage.reason or "stays as it is"
        yield Reason(code, f"stage {stage.name}: {said}")
        return
    for gate in shut:
        yield Reason(code, f"stage {stage.name}: {gate.reason}", gate.until)


def _of_cluster(status: ClusterStatus, known: ClusterEvidence) -> Iterator[Reason]:
    if status.state in tables.BAD_ENDS | tables.WENT_BACK or status.state is REVERTING:
        yield Reason(status.state.value, status.reason)
    if status.state in tables.AWAY:
        yield Reason(status.code or status.state.value, status.reason)
    if known.held_by:
        yield starts.held_by(known)
