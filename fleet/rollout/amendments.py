"""What joins, leaves and relabels did to a live run: facts beside the pinned plan, never edits.

::

    plan as it was made ──amended(plan, amendment)──► the plan as it is now

An amendment is recorded once, with time, cluster, stage and reason; the plan as it is now follows
from the plan and its amendments in order, so a crash loses nothing. It changes who is in a stage
and what counts its members: never a stage, a gate, or a number that failures are judged by. So the
plan hash, which covers none of it, stays, and every approval with it. A cluster is in exactly one
stage before and after (I16). Pure; `fleet.rollout.membership` decides what is recorded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from fleet.rollout.run_plan import Change, Ramp, RunPlan, StagePlan


class MoveKind(StrEnum):
    """What a cluster did."""

    JOINED = "Joined"
    LEFT = "Left"
    LOST = "Lost"
    """It left, and counts as failed unless it is Healthy (`onLeave: Fail`)."""
    RESTAGED = "Restaged"


@dataclass(frozen=True, slots=True)
class Move:
    """One cluster that joined, left or changed its stage."""

    cluster: str
    kind: MoveKind
    stage: str
    """The one that it is in from now on; of a leaver the one that it stays shown in."""
    why: str
    changes: tuple[Change, ...] = ()
    """What a joiner gets."""
    domain: str = ""
    """Its value of the label that the stage spreads over."""


@dataclass(frozen=True, slots=True)
class Size:
    """How many members a stage has now, and what its parallelism and spread come to."""

    stage: str
    members: int
    steps: tuple[int, ...]
    limits: Mapping[str, int] = field(default_factory=dict)
    """Domain → clusters; empty without `spread`."""


@dataclass(frozen=True, slots=True)
class Amendment:
    """All that one look at the fleet changed in a run."""

    at: datetime
    moves: tuple[Move, ...] = ()
    sizes: tuple[Size, ...] = ()
    """Only of stages where one of the numbers is another now."""


def amended(plan: RunPlan, amendments: Iterable[Amendment]) -> RunPlan:
    """The plan as it is after these, in their order."""
    for amendment in amendments:
        for move in amendment.moves:
            plan = _moved(plan, move)
        sizes = {size.stage: size for size in amendment.sizes}
        plan = replace(plan, stages=tuple(_sized(s, sizes.get(s.name)) for s in plan.stages))
    return plan


def but_for(amendment: Amendment, started: Collection[str]) -> Amendment:
    """Without the changes of stage of clusters that have started meanwhile: they keep theirs.

    Numbers of members that counted on such a move are left to the next look.
    """
    moves = tuple(
        move
        for move in amendment.moves
        if move.kind is not MoveKind.RESTAGED or move.cluster not in started
    )
    return amendment if moves == amendment.moves else replace(amendment, moves=moves, sizes=())


def _moved(plan: RunPlan, move: Move) -> RunPlan:
    if move.kind in (MoveKind.LEFT, MoveKind.LOST):
        lost = {move.cluster} if move.kind is MoveKind.LOST else set()
        left = {**plan.left, move.cluster: move.why}
        return replace(plan, left=left, lost=plan.lost | lost)
    left = {name: why for name, why in plan.left.items() if name != move.cluster}
    changes = dict(plan.changes)
    if move.changes:
        changes[move.cluster] = move.changes
    stages = tuple(_with(stage, move) for stage in plan.stages)
    return replace(plan, left=left, lost=plan.lost - {move.cluster}, changes=changes, stages=stages)


def _with(stage: StagePlan, move: Move) -> StagePlan:
    """The stage with the cluster in it if it is this one, last in its order, or without it."""
    here = stage.name == move.stage
    if here == (move.cluster in stage.clusters):
        return stage
    others = tuple(name for name in stage.clusters if name != move.cluster)
    if not here:
        return replace(stage, clusters=others)
    spread = stage.spread
    if spread is not None:
        spread = replace(spread, domain_of={**spread.domain_of, move.cluster: move.domain})
    proving = stage.proving and tuple(sorted({*stage.proving, move.cluster}))
    return replace(stage, clusters=(*others, move.cluster), spread=spread, proving=proving)


def _sized(stage: StagePlan, size: Size | None) -> StagePlan:
    if size is None:
        return stage
    spread = stage.spread and replace(stage.spread, limits=size.limits)
    return replace(stage, members=size.members, parallelism=Ramp(size.steps), spread=spread)
