"""What people decided about a run, carried out once.

A retry puts failed clusters back into the queue under a new generation, a skip leaves clusters out
of the run, a forgiveness leaves them as they are and charges them to no budget. Each answers the
breach of a stage if nothing that failed there is left standing; the failures stay counted.
`refusal` says which decisions make no sense now, before the hub stores them; whom the policy lets
pass it is `overrides`.
"""

from __future__ import annotations

from dataclasses import replace

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


def carry_out(run: RunPlan, memory: Memory, evidence: Evidence) -> None:
    """Every answer to what failed in this run that was not carried out yet, in order."""
    for decision in sorted(evidence.decisions, key=lambda d: d.number):
        deed = _DEEDS.get(decision.verb)
        if deed is None or decision.run != run.uid:
            continue
        if decision.number > memory.retried.get("", 0):
            memory.retried[""] = decision.number
            deed(decision, memory, evidence)


def _retry(decision: Decision, memory: Memory, evidence: Evidence) -> None:
    chosen = [c for c in memory.failed if not decision.clusters or c in decision.clusters]
    stages = {memory.failed[cluster][0] for cluster in chosen}
    for cluster in chosen:
        del memory.failed[cluster]
        memory.retried[cluster] = decision.number
        known = evidence.clusters.get(cluster)
        if known is not None and known.assignment is not None:
            memory.retired[cluster] = known.assignment.generation
    _answer(decision, stages, memory)


def _forgive(decision: Decision, memory: Memory, evidence: Evidence) -> None:
    chosen = [c for c in memory.failed if not decision.clusters or c in decision.clusters]
    stages = {memory.failed[cluster][0] for cluster in chosen}
    forgiven = {(memory.failed[cluster][0], cluster) for cluster in chosen}
    if not decision.clusters:
        forgiven |= {(stage, "") for stage in memory.breached}
    memory.failure = replace(memory.failure, forgiven=memory.failure.forgiven | forgiven)
    _answer(decision, stages, memory)


def _skip(decision: Decision, memory: Memory, evidence: Evidence) -> None:
    """What has started meanwhile is not skipped; what failed is, and is forgiven with it."""
    skipped, forgiven = dict(memory.failure.skipped), set(memory.failure.forgiven)
    stages = set()
    for cluster in decision.clusters:
        known = evidence.clusters.get(cluster)
        begun = known is not None and known.assignment is not None and known.assignment.started_at
        if begun and cluster not in memory.failed:
            continue
        skipped[cluster] = f"skipped by {decision.actor}: {decision.reason}".rstrip(": ")
        if cluster in memory.failed:
            stage = memory.failed.pop(cluster)[0]
            stages.add(stage)
            forgiven.add((stage, cluster))
    memory.failure = replace(
        memory.failure, skipped=tuple(sorted(skipped.items())), forgiven=frozenset(forgiven)
    )
    if stages:
        _answer(decision, stages, memory)


_DEEDS = {Verb.RETRY: _retry, Verb.FORGIVE: _forgive, Verb.SKIP: _skip}
ANSWERS = frozenset(_DEEDS)
"""These answer a breach, and lift what the run vetoed at it."""


def _answer(decision: Decision, stages: set[str], memory: Memory) -> None:
    """The breach of a stage is answered when nothing that failed there is left standing."""
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
    if verb in (Verb.VETO, Verb.UNVETO):
        return f"a veto is about a bundle, not about one run: `fleet rollout {verb} BUNDLE`"
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
        return f"stage {where} failed ({why}); retry, skip or forgive what failed, or abort"
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
