"""What people decided about a run, carried out once.

A retry puts failed clusters back into the queue under a new generation and answers the breach of
their stage if nothing that failed is left standing; the failures stay counted. `refusal` says
which decisions make no sense now, before the hub stores them.
"""

from __future__ import annotations

from fleet.rollout.decisions import FLEET_WIDE, Decision, Verb
from fleet.rollout.evidence import Evidence
from fleet.rollout.gates import is_gated
from fleet.rollout.marks import Marks
from fleet.rollout.memory import Memory
from fleet.rollout.run_plan import RunPlan
from fleet.rollout.states import RunState
from fleet.rollout.tables import ENDED, ROLLED

REOPENED = ROLLED | {RunState.ABORTED}
"""A retry of a run that ended so opens a new one of what it carried."""


def carry_out_retries(run: RunPlan, memory: Memory, evidence: Evidence) -> None:
    """Every retry of this run that was not carried out yet, in order."""
    for decision in sorted(evidence.decisions, key=lambda d: d.number):
        if decision.verb is not Verb.RETRY or decision.run != run.uid:
            continue
        if decision.number > memory.retried.get("", 0):
            _retry(decision, memory, evidence)


def _retry(decision: Decision, memory: Memory, evidence: Evidence) -> None:
    memory.retried[""] = decision.number
    chosen = [c for c in memory.failed if not decision.clusters or c in decision.clusters]
    stages = {memory.failed[cluster][0] for cluster in chosen}
    for cluster in chosen:
        del memory.failed[cluster]
        memory.retried[cluster] = decision.number
        known = evidence.clusters.get(cluster)
        if known is not None and known.assignment is not None:
            memory.retired[cluster] = known.assignment.generation
    for stage in list(memory.breached):
        asked = stage in stages or not decision.clusters
        if asked and not memory.failed_in(stage):
            del memory.breached[stage]


def refusal(verb: Verb, run: RunPlan, state: RunState, marks: Marks, stage: str = "") -> str:
    """Why this decision cannot be taken now; empty if it can."""
    if verb is Verb.RETRY and state in REOPENED:
        return ""
    if state in ENDED:
        return f"run {run.uid} has ended ({state.value})"
    if marks.failure.back_since is not None and verb not in (Verb.ABORT, Verb.ROLLBACK):
        return (
            f"run {run.uid} rolls back; a rollback ends by itself, and a commit takes it from there"
        )
    if state is RunState.ROLLING_BACK:
        return f"run {run.uid} rolls back already; that ends by itself"
    if verb is Verb.ROLLBACK and state is RunState.QUEUED:
        return f"run {run.uid} has touched nothing yet; abort it"
    if verb in FLEET_WIDE:
        return f"{verb} is about the whole fleet, not about one run; to hold a run, pause it"
    if verb is Verb.RESUME and marks.breached:
        where, why = marks.breached[0]
        return f"stage {where} failed ({why}); retry what failed, or abort"
    if verb is Verb.RETRY and not (marks.failed or marks.breached):
        return f"nothing has failed in run {run.uid}"
    if verb in (Verb.APPROVE, Verb.REJECT):
        return _refuse_answer(run, marks, stage)
    return ""


def _refuse_answer(run: RunPlan, marks: Marks, name: str) -> str:
    stage = next((one for one in run.stages if one.name == name), None)
    if stage is None:
        known = ", ".join(one.name for one in run.stages)
        return f"run {run.uid} has no stage {name!r}; it has {known}"
    if not stage.approvals or not is_gated(run):
        return f"stage {name} of run {run.uid} asks for no approval"
    if any(started == name for started, _ in marks.started):
        return f"stage {name} of run {run.uid} has started already"
    return ""
