"""Which gates a run has at all: none if it only restores, in the catch-up lane only windows."""

from __future__ import annotations

from fleet.rollout.decisions import Decision, Verb
from fleet.rollout.evidence import Evidence
from fleet.rollout.gate_kinds import Gate, Side, Window, gate_id
from fleet.rollout.run_plan import RunPlan, StagePlan
from fleet.rollout.states import Lane


def is_gated(run: RunPlan) -> bool:
    """Do gates apply to this run at all?"""
    return not run.restores and run.lane is Lane.STAGED


def forced_by(evidence: Evidence, gate: str) -> Decision | None:
    """Who decided (`override`) that the gate of this `gate_id` passes, whatever it says?"""
    return next((d for d in evidence.decisions if d.verb is Verb.OVERRIDE and d.gate == gate), None)


def gates_of(run: RunPlan, stage: StagePlan, side: Side) -> list[tuple[str, Gate]]:
    """The gates of a list that apply to this run, each with its `gate_id`."""
    found: tuple[Gate, ...] = stage.before if side is Side.BEFORE else stage.after
    named = ((gate_id(stage.name, side, index), gate) for index, gate in enumerate(found))
    if is_gated(run):
        return list(named)
    is_late = run.lane is Lane.CATCH_UP and not run.restores
    return [(name, gate) for name, gate in named if is_late and isinstance(gate, Window)]
