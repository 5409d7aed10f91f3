"""The gate `approval`: a person says yes to exactly this run, stage and plan.

An approval is good only for the run, stage and plan hash that it names; one without a stage
answers nothing here (the hub fills in the stages that wait, see `waiting`). The newest answer
counts; a retry voids a rejection.
"""

from __future__ import annotations

from fleet.rollout.decisions import Decision, Verb
from fleet.rollout.gate_kinds import Approval
from fleet.rollout.gates.verdict import Judgement, Question, Verdict
from fleet.rollout.run_plan import RunPlan, StagePlan


def judge(asked: Question, gate: Approval) -> Judgement:
    """May the stage start, and why (not)?"""
    decisions = asked.evidence.decisions
    retried = max((d.number for d in decisions if d.verb is Verb.RETRY), default=0)
    answers = [d for d in decisions if answers_gate(d, asked.run, asked.stage)]
    answers = [d for d in answers if d.verb is Verb.APPROVE or d.number > retried]
    if not answers:
        asks = f" by {' or '.join(gate.groups)}" if gate.groups else ""
        return Judgement(Verdict.NONE, f"waits for approval{asks}", "WaitsForApproval")
    last = max(answers, key=lambda d: d.number)
    if last.verb is Verb.APPROVE:
        return Judgement(Verdict.PASS, f"approved by {last.actor}")
    why = f": {last.reason}" if last.reason else ""
    return Judgement(Verdict.FAIL, f"rejected by {last.actor}{why}", "Rejected")


def answers_gate(decision: Decision, run: RunPlan, stage: StagePlan) -> bool:
    """Is this an answer to exactly this run, stage and plan?"""
    return (
        decision.verb in (Verb.APPROVE, Verb.REJECT)
        and decision.run == run.uid
        and decision.stage == stage.name
        and decision.plan_hash == run.plan_hash
    )
