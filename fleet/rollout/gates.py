"""What must hold before a stage starts (approval) and before it is Done (soak).

An approval is good only for the run, stage and plan hash that it names; one without a stage
answers nothing here (the hub fills in the stages that wait, see `waiting`). No data never passes.
A run that only restores has no gates; neither has the catch-up lane.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from fleet.rollout.state import Decision, Lane, RunPlan, StagePlan, StageState, Step, Verb


class Verdict(StrEnum):
    """A gate's answer; NONE never passes."""

    PASS = "pass"
    FAIL = "fail"
    NONE = "none"


def is_gated(run: RunPlan) -> bool:
    """Do gates apply to this run at all?"""
    return not run.restores and run.lane is Lane.STAGED


def approval(
    run: RunPlan, stage: StagePlan, decisions: tuple[Decision, ...]
) -> tuple[Verdict, str]:
    """May the stage start, and why (not)? The newest answer counts; a retry voids a rejection."""
    if not stage.approval or not is_gated(run):
        return Verdict.PASS, ""
    retried = max((d.number for d in decisions if d.verb is Verb.RETRY), default=0)
    answers = [d for d in decisions if answers_gate(d, run, stage)]
    answers = [d for d in answers if d.verb is Verb.APPROVE or d.number > retried]
    if not answers:
        asked = f" by {' or '.join(stage.approvers)}" if stage.approvers else ""
        return Verdict.NONE, f"waits for approval{asked}"
    last = max(answers, key=lambda d: d.number)
    if last.verb is Verb.APPROVE:
        return Verdict.PASS, f"approved by {last.actor}"
    return Verdict.FAIL, f"rejected by {last.actor}" + (f": {last.reason}" if last.reason else "")


def answers_gate(decision: Decision, run: RunPlan, stage: StagePlan) -> bool:
    """Is this an answer to exactly this run, stage and plan?"""
    return (
        decision.verb in (Verb.APPROVE, Verb.REJECT)
        and decision.run == run.uid
        and decision.stage == stage.name
        and decision.plan_hash == run.plan_hash
    )


def soak_until(run: RunPlan, stage: StagePlan, anchor: datetime | None) -> datetime | None:
    """When the soak ends, counted from the last cluster that became Healthy; `None`: no soak.

    Pausing changes nothing here: baking is a property of the clusters.
    """
    if anchor is None or stage.soak_seconds <= 0 or not is_gated(run):
        return None
    return anchor + timedelta(seconds=stage.soak_seconds)


def waiting(step: Step) -> tuple[str, ...]:
    """The stages that wait for an approval now: what `approve RUN` without a stage answers."""
    return tuple(s.name for s in step.stages if s.state is StageState.GATED_BEFORE)
