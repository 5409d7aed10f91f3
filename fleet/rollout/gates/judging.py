"""All gates of a stage together: kind → function, and how several answers become one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from fleet.rollout.evidence import Evidence
from fleet.rollout.gate_kinds import Approval, Gate, Side, Soak, gate_id
from fleet.rollout.gates import approval, soak
from fleet.rollout.gates.verdict import PASS, Judgement, Question, Verdict
from fleet.rollout.memory import Memory
from fleet.rollout.reasons import Reason
from fleet.rollout.run_plan import RunPlan, StagePlan
from fleet.rollout.states import Lane, StageState
from fleet.rollout.step import GateStatus, StageStatus

JUDGES: Mapping[type[Gate], Callable[[Question, Any], Judgement]] = {
    Approval: approval.judge,
    Soak: soak.judge,
}
"""Gates of a stage as a whole."""

REFUSALS: Mapping[type[Gate], Callable[[Question, Any, str], Reason | None]] = {}
"""Gates that are judged for each cluster by itself, when it is to start."""


def is_gated(run: RunPlan) -> bool:
    """Do gates apply to this run at all?"""
    return not run.restores and run.lane is Lane.STAGED


def judge(
    run: RunPlan, stage: StagePlan, side: Side, evidence: Evidence, memory: Memory, now: datetime
) -> Judgement:
    """May the stage start (BEFORE) or be Done (AFTER), and why (not)?"""
    answers = [
        (name, gate, JUDGES[type(gate)](Question(run, stage, name, evidence, memory, now), gate))
        for name, gate in gates_of(run, stage, side)
        if type(gate) not in REFUSALS
    ]
    return replace(
        _together([found for _, _, found in answers]),
        gates=tuple(
            GateStatus(name, gate.kind, found.verdict.value, found.reason, found.until)
            for name, gate, found in answers
        ),
    )


def gates_of(run: RunPlan, stage: StagePlan, side: Side) -> list[tuple[str, Gate]]:
    """The gates of a list that apply to this run, each with its `gate_id`."""
    if not is_gated(run):
        return []
    found: tuple[Gate, ...] = stage.before if side is Side.BEFORE else stage.after
    return [(gate_id(stage.name, side, index), gate) for index, gate in enumerate(found)]


def _together(answers: list[Judgement]) -> Judgement:
    """FAIL outweighs NONE, NONE outweighs PASS; the latest `until` of those that decide."""
    for verdict in (Verdict.FAIL, Verdict.NONE, Verdict.PASS):
        same = [one for one in answers if one.verdict is verdict]
        if same:
            reasons = "; ".join(dict.fromkeys(one.reason for one in same if one.reason))
            untils = [one.until for one in same if one.until is not None]
            return Judgement(verdict, reasons, same[0].code, max(untils, default=None))
    return PASS


def refusal(
    run: RunPlan,
    stage: StagePlan,
    cluster: str,
    evidence: Evidence,
    memory: Memory,
    now: datetime,
) -> Reason | None:
    """Why a gate keeps this one cluster from starting now, or `None`."""
    for name, gate in gates_of(run, stage, Side.BEFORE):
        if type(gate) in REFUSALS:
            asked = Question(run, stage, name, evidence, memory, now)
            found = REFUSALS[type(gate)](asked, gate, cluster)
            if found is not None:
                return found
    return None


def waiting(stages: Iterable[StageStatus]) -> tuple[str, ...]:
    """The stages that wait for an approval now: what `approve RUN` without a stage answers."""
    return tuple(
        stage.name
        for stage in stages
        if stage.state is StageState.GATED_BEFORE
        and any(g.kind == "approval" and g.verdict == Verdict.NONE.value for g in stage.gates)
    )
