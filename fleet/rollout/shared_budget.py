"""`kind: RolloutBudget` as values: caps that all runs share, quiet time, the freeze; always live.

A budget is read anew at every step (it is no part of a run's plan), so an edit holds at once, also
for runs that are on their way. Without one there are no such caps. Values only.
"""

from __future__ import annotations

from dataclasses import dataclass

from fleet.rollout.numbers import Amount


@dataclass(frozen=True, slots=True)
class Freeze:
    """Nothing starts, but for allowed classes of runs and (mostly) rollbacks."""

    active: bool = False
    reason: str = ""
    allow_classes: tuple[str, ...] = ()
    """`hotfix` is the one class there is."""
    blocks_rollback: bool = False


@dataclass(frozen=True, slots=True)
class PerCluster:
    """Caps on one cluster; `None`: no cap."""

    max_concurrent_runs: int | None = None
    """Runs with a started, unsettled assignment there."""
    quiet_after_seconds: float | None = None
    """No new start of a bundle so soon after its last change there."""


@dataclass(frozen=True, slots=True)
class PerDomain:
    """Caps on each value of a cluster label; at least one is said."""

    key: str
    max_in_flight: Amount | None = None
    max_unavailable: Amount | None = None


@dataclass(frozen=True, slots=True)
class FleetCaps:
    """Caps on all clusters together; `None`: no cap."""

    max_in_flight: Amount | None = None
    max_starts_per_minute: int | None = None


@dataclass(frozen=True, slots=True)
class RolloutBudget:
    """One document; several hold together, the tightest counts."""

    name: str
    freeze: Freeze = Freeze()
    per_cluster: PerCluster = PerCluster()
    per_domain: tuple[PerDomain, ...] = ()
    fleet: FleetCaps = FleetCaps()
    at: str = ""
