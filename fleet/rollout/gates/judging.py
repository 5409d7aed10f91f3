"""All gates of a stage together: kind → function, and how several answers become one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from fleet.rollout.evidence import Evidence
from fleet.rollout.gate_kinds import Analysis, Approval, Gate, Proven, Side, Soak, Webhook
from fleet.rollout.gates import analysis, approval, proven, soak, webhook
from fleet.rollout.gates.scope import forced_by, gates_of
from fleet.rollout.gates.verdict import PASS, Judgement, Question, Verdict
from fleet.rollout.memory import Memory
from fleet.rollout.run_plan import RunPlan, StagePlan
from fleet.rollout.states import StageState
from fleet.rollout.step import GateStatus, StageStatus

JUDGES: Mapping[type[Gate], Callable[[Question, Any], Judgement]] = {
    Analysis: analysis.judge,
    Approval: approval.judge,
    Proven: proven.judge,
    Soak: soak.judge,
    Webhook: webhook.judge,
}
"""Gates of a stage as a whole."""


def judge(
    run: RunPlan, stage: StagePlan, side: Side, evidence: Evidence, memory: Memory, now: datetime
) -> Judgement:
    """May the stage start (BEFORE) or be Done (AFTER), and why (not)?"""
    answers = [
        (name, gate, _judge_one(Question(run, stage, name, evidence, memory, now), gate))
        for name, gate in gates_of(run, stage, side)
        if type(gate) in JUDGES
    ]
    return replace(
        _together([found for _, _, found in answers]),
        gates=tuple(
            GateStatus(name, gate.kind, found.verdict.value, found.reason, found.until)
            for name, gate, found in answers
        ),
    )


def _judge_one(asked: Question, gate: Gate) -> Judgement:
    by = forced_by(asked.evidence, asked.gate)
    if by is not None:
        return Judgement(Verdict.PASS, f"forced by {by.actor}: {by.reason}")
    return JUDGES[type(gate)](asked, gate)


def _together(answers: list[Judgement]) -> Judgement:
    """FAIL outweighs NONE, NONE outweighs PASS; the latest `until` of those that decide."""
    for verdict in (Verdict.FAIL, Verdict.NONE, Verdict.PASS):
        same = [one for one in answers if one.verdict is verdict]
        if same:
            reasons = "; ".join(dict.fromkeys(one.reason for one in same if one.reason))
            untils = [one.until for one in same if one.until is not None]
            agains = [one.again for one in answers if one.again is not None]
            return Judgement(
                verdict,
                reasons,
                same[0].code,
                max(untils, default=None),
                again=min(agains, default=None),
            )
    return PASS


def waiting(stages: Iterable[StageStatus]) -> tuple[str, ...]:
    """The stages that wait for an approval now: what `approve RUN` without a stage answers."""
    return tuple(
        stage.name
        for stage in stages
        if stage.state in (StageState.GATED_BEFORE, StageState.UPDATING)
        and any(g.kind == "approval" and g.verdict == Verdict.NONE.value for g in stage.gates)
    )
