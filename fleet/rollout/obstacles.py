"""Every reason why each cluster of a run waits, those included that would come after the nearest.

`advance` asks a cluster only when its turn has come, and stops at the first thing in its way. Here
every waiting cluster is asked everything: the run, vetoes, freezes, its stage, each gate of it,
its own state, other runs, windows and dependencies (with when they open), spread, every shared cap
with its domain and count, and its turn. What the step starts already counts. Pure; for people only.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from fleet.rollout import freezing, gates, slots, tables
from fleet.rollout.caps import Room
from fleet.rollout.evidence import Evidence
from fleet.rollout.explain import is_well, no_slot, own_words, reasons_of
from fleet.rollout.gate_kinds import Side
from fleet.rollout.gates import Verdict
from fleet.rollout.memory import Memory
from fleet.rollout.reasons import Reason
from fleet.rollout.run_plan import RunPlan
from fleet.rollout.standing import Standing
from fleet.rollout.starts import LEASE_ENDED, Starts
from fleet.rollout.states import ClusterState, Intent, RunState, StageState
from fleet.rollout.step import ClusterStatus, GateStatus, Step

PAUSED = Reason("RunPaused", "paused by a person")
_COULD_START = frozenset(
    {ClusterState.QUEUED, ClusterState.HELD, ClusterState.OFFLINE, ClusterState.PENDING}
)


@dataclass(frozen=True, slots=True)
class _Door:
    """What one stage may still start after the step."""

    starts: Starts
    turn: tuple[Reason, ...]
    """Why nobody else's turn has come, if all slots are taken."""
    ahead: tuple[Reason, ...]
    """What would keep the stage from starting even if the nearest reason were gone."""


def obstacles(
    run: RunPlan, step: Step, evidence: Evidence, now: datetime, intent: Intent = Intent.RUN
) -> dict[str, tuple[Reason, ...]]:
    """Cluster → its reasons, of those that neither move nor are Healthy; each has at least one.

    `intent`: what people want of the run, as the step was asked with.
    """
    stages = {stage.name: stage for stage in step.stages}
    doors = {} if step.state in tables.ENDED else _doors(run, step, evidence, now)
    found: dict[str, tuple[Reason, ...]] = {}
    paused = intent is Intent.PAUSE and step.state is RunState.QUEUED
    for one in step.clusters:
        if is_well(one):
            continue
        told = reasons_of(step, evidence, one, stages[one.stage])
        told = (*told, PAUSED) if paused else told
        more = _of_start(run, one, doors.get(one.stage), evidence)
        found[one.cluster] = tuple(dict.fromkeys([*told, *more])) or own_words(one)
    return found


def gates_ahead(
    run: RunPlan, step: Step, evidence: Evidence, now: datetime
) -> dict[str, tuple[GateStatus, ...]]:
    """Stage that waits for others → its gates as they would be judged now, were it its turn.

    So for one that failed before it started: what its gates say stands before it still.
    """
    memory = Memory.of(step.marks)
    waits = {
        one.name
        for one in step.stages
        if one.state is StageState.WAITING
        or (one.state is StageState.FAILED and one.name not in memory.started)
    }
    return {
        stage.name: gates.judge(run, stage, Side.BEFORE, evidence, memory, now).gates
        for stage in run.stages
        if stage.name in waits
    }


def _of_start(
    run: RunPlan, one: ClusterStatus, door: _Door | None, evidence: Evidence
) -> Iterator[Reason]:
    if door is None or one.state not in _COULD_START or one.cluster not in evidence.clusters:
        return
    frozen = freezing.frozen(evidence, rollback=run.restores)
    if frozen is not None:
        yield frozen
    lapsed = one.code == LEASE_ENDED.code
    yield from door.ahead
    yield from door.starts.refusals(Standing(one.cluster, one.state, lapsed=lapsed))
    yield from door.turn


def _doors(run: RunPlan, step: Step, evidence: Evidence, now: datetime) -> dict[str, _Door]:
    memory = Memory.of(step.marks)
    room = Room.of(run, evidence, memory, now, [])
    for cluster in step.offer:
        room.take(cluster)
    standings: dict[str, list[Standing]] = {}
    for one in step.clusters:
        standings.setdefault(one.stage, []).append(Standing(one.cluster, one.state))
    shut = gates_ahead(run, step, evidence, now)
    found: dict[str, _Door] = {}
    for stage in run.stages:
        here = standings.get(stage.name, [])
        _, left = slots.free(stage, here, memory)
        moving = sum(one.state in tables.IN_FLIGHT for one in here)
        turn = () if left > 0 else (no_slot(stage, moving),)
        starts = Starts.of(run, stage, here, evidence, memory, room, now)
        missing = [name for name in stage.depends_on if name not in memory.done]
        waits = f"stage {stage.name}: waits for stage {', '.join(missing)}"
        ahead = (
            *((Reason("StageWaiting", waits),) if missing else ()),
            *(
                Reason("GateAhead", f"then {gate.kind}: {gate.reason}", gate.until)
                for gate in shut.get(stage.name, ())
                if gate.verdict != Verdict.PASS.value
            ),
        )
        found[stage.name] = _Door(starts, turn, ahead)
    return found
