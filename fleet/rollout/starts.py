"""May this one cluster start now? Every reason that is its own, in one place and one order.

::

    the stage's gates, if only what goes back may pass them
    → held by another run → lease just ended → a gate per cluster → spread → shared caps

The stage's slots and order are `slots`; the stage's state and the run's are `progress` and
`advance`. One `Starts` serves one stage in one tick; `take` counts a start, so that the next
question knows of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from fleet.rollout import tables
from fleet.rollout.caps import Room
from fleet.rollout.evidence import ClusterEvidence, Evidence
from fleet.rollout.gates import Turnstile
from fleet.rollout.memory import Memory
from fleet.rollout.reasons import Reason
from fleet.rollout.run_plan import RunPlan, StagePlan
from fleet.rollout.standing import NOWHERE, Standing

LEASE_ENDED = Reason("LeaseEnded", "its offer was not started in time; others go first")


@dataclass(slots=True)
class Starts:
    """What one stage may still start in this tick."""

    run: RunPlan
    stage: StagePlan
    evidence: Evidence
    memory: Memory
    room: Room
    now: datetime
    turnstile: Turnstile
    in_domain: Counter[str] = field(default_factory=Counter)
    gated: Reason | None = None
    """A gate of the whole stage that is not open: only what goes back may start."""

    @classmethod
    def of(
        cls,
        run: RunPlan,
        stage: StagePlan,
        standings: Iterable[Standing],
        evidence: Evidence,
        memory: Memory,
        room: Room,
        now: datetime,
    ) -> Starts:
        """Those of a stage whose clusters stand there."""
        turnstile = Turnstile.of(run, stage, evidence, memory, now)
        found = cls(run, stage, evidence, memory, room, now, turnstile)
        if stage.spread is not None:
            found.in_domain.update(
                stage.spread.domain_of.get(one.cluster, "")
                for one in standings
                if one.state in tables.IN_FLIGHT
            )
        return found

    def refusal(self, one: Standing) -> Reason | None:
        """Why this cluster may not start now, or `None`."""
        return next(self.refusals(one), None)

    def refusals(self, one: Standing) -> Iterator[Reason]:
        """Everything that keeps this cluster from starting now, in the order above."""
        known = self.evidence.clusters.get(one.cluster, NOWHERE)
        if self.gated is not None and one.cluster not in self.run.restoring:
            yield self.gated
        if known.held_by:
            yield held_by(known)
        if one.lapsed:
            yield LEASE_ENDED
        yield from self.turnstile.refusals(one.cluster)
        yield from filter(None, (self._spread(one.cluster),))
        yield from self.room.refusals(one.cluster)

    def _spread(self, cluster: str) -> Reason | None:
        spread = self.stage.spread
        if spread is None:
            return None
        value = spread.domain_of.get(cluster, "")
        moving, most = self.in_domain[value], spread.limits.get(value, 1)
        if moving < most:
            return None
        where = f"{spread.key}={value}" if value else f"clusters without label {spread.key}"
        return Reason("SpreadFull", f"{moving} in flight of {where}, {most} may be")

    def take(self, cluster: str) -> None:
        """The cluster starts."""
        if self.stage.spread is not None:
            self.in_domain[self.stage.spread.domain_of.get(cluster, "")] += 1
        self.room.take(cluster)


def held_by(known: ClusterEvidence) -> Reason:
    """Another run is moving the same bundle there."""
    return Reason("HeldByRun", f"run {known.held_by} is changing the same bundle here")
