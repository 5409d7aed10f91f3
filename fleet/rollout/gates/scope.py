"""Which gates a run has at all: none if it only restores, none in the catch-up lane."""

from __future__ import annotations

from fleet.rollout.gate_kinds import Gate, Side, gate_id
from fleet.rollout.run_plan import RunPlan, StagePlan
from fleet.rollout.states import Lane


def is_gated(run: RunPlan) -> bool:
    """Do gates apply to this run at all?"""
    return not run.restores and run.lane is Lane.STAGED


def gates_of(run: RunPlan, stage: StagePlan, side: Side) -> list[tuple[str, Gate]]:
    """The gates of a list that apply to this run, each with its `gate_id`."""
    if not is_gated(run):
        return []
    found: tuple[Gate, ...] = stage.before if side is Side.BEFORE else stage.after
    return [(gate_id(stage.name, side, index), gate) for index, gate in enumerate(found)]
