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
    work = _Work(plan)
    for amendment in amendments:
        for move in amendment.moves:
            work.move(move)
        work.sizes |= {size.stage: size for size in amendment.sizes}
    return work.plan()


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


class _Work:
    """A plan opened for many moves; each costs no more than one."""

    def __init__(self, plan: RunPlan) -> None:
        self._plan = plan
        self._left, self._lost = dict(plan.left), set(plan.lost)
        self._changes = dict(plan.changes)
        self._stages = {stage.name: dict.fromkeys(stage.clusters) for stage in plan.stages}
        self._stage_of = {c: stage.name for stage in plan.stages for c in stage.clusters}
        self._domains: dict[str, dict[str, str]] = {}
        self.sizes: dict[str, Size] = {}

    def move(self, move: Move) -> None:
        """One cluster joins, leaves or changes its stage; it is last in the one that it enters."""
        if move.kind in (MoveKind.LEFT, MoveKind.LOST):
            self._left[move.cluster] = move.why
            if move.kind is MoveKind.LOST:
                self._lost.add(move.cluster)
            return
        self._left.pop(move.cluster, None)
        self._lost.discard(move.cluster)
        if move.changes:
            self._changes[move.cluster] = move.changes
        before = self._stage_of.get(move.cluster)
        if before == move.stage:
            return
        if before is not None:
            del self._stages[before][move.cluster]
        self._stages[move.stage][move.cluster] = None
        self._stage_of[move.cluster] = move.stage
        self._domains.setdefault(move.stage, {})[move.cluster] = move.domain

    def plan(self) -> RunPlan:
        """The plan as it is now."""
        return replace(
            self._plan,
            left=self._left,
            lost=frozenset(self._lost),
            changes=self._changes,
            stages=tuple(self._stage(stage) for stage in self._plan.stages),
        )

    def _stage(self, stage: StagePlan) -> StagePlan:
        clusters, entered = tuple(self._stages[stage.name]), self._domains.get(stage.name, {})
        size, spread, proving = self.sizes.get(stage.name), stage.spread, stage.proving
        if spread is not None:
            limits = size.limits if size else spread.limits
            spread = replace(spread, domain_of={**spread.domain_of, **entered}, limits=limits)
        if proving:
            proving = tuple(sorted({*proving, *entered}))
        stage = replace(stage, clusters=clusters, spread=spread, proving=proving)
        if size is None:
            return stage
        return replace(stage, members=size.members, parallelism=Ramp(size.steps))
