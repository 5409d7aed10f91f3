"""Shared caps, judged at every assignment: what this tick may still start beyond its slots.

A `Room` is made once for a tick and shared by its stages: what one takes the next one cannot.
Without a RolloutBudget and without invariants there is always room.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fleet.rollout.evidence import Evidence
from fleet.rollout.reasons import Reason
from fleet.rollout.run_plan import RunPlan


@dataclass(slots=True)
class Room:
    """How much of every cap is left in this tick."""

    run: RunPlan
    evidence: Evidence
    now: datetime

    def refusal(self, cluster: str) -> Reason | None:
        """Why no cap lets this cluster start now, or `None`."""
        return None

    def take(self, cluster: str) -> None:
        """The cluster starts: it counts from here on."""
