"""The little that is remembered of a run between two steps; everything else is recomputed.

What one idea remembers stands in a class of its own (`GateMarks`, `FailureMarks`, `CapMarks`),
empty as long as that idea has nothing to remember. Equal content gives equal marks, so a step in
which nothing happened writes nothing. `fleet.rollout.memory` opens them for one step. A field that
is added needs a default: marks that are stored already must stay readable.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class GateMarks:
    """What gates remember."""

    opened: tuple[tuple[str, datetime], ...] = ()
    """(gate_id, since when it has been judged): for noDataTimeout and a webhook's timeout."""
    paused: tuple[tuple[str, int, str], ...] = ()
    """(gate_id, number of the newest decision then, why): gates that had no data for too long."""
    soaking: tuple[tuple[str, str], ...] = ()
    """(stage, cluster) that were Healthy in it: those whose regression resets no soak."""
    shut: tuple[str, ...] = ()
    """Stages that have started for clusters that go back alone: the gates before are not open."""


@dataclass(frozen=True, slots=True)
class FailureMarks:
    """What failures and the way back remember."""

    streaks: tuple[tuple[str, int], ...] = ()
    """(stage, failures in a row in finish order): for `failureBudget.consecutive`."""
    back_since: datetime | None = None
    """When the rollback began."""
    capped_since: datetime | None = None
    """Since when nothing goes back because shared caps have no room."""
    forgiven: frozenset[tuple[str, str]] = frozenset()
    """(stage, cluster) whose failure a person forgave: still counted, no longer charged. Cluster ""
    is the stage itself: its minHealthy and its deadline."""
    skipped: tuple[tuple[str, str], ...] = ()
    """(cluster, why): it is left out of this run."""


@dataclass(frozen=True, slots=True)
class CapMarks:
    """What shared caps, removals and the catch-up lane remember."""


@dataclass(frozen=True, slots=True)
class Marks:
    """All that is persisted besides assignments, reports and decisions."""

    ever_failed: frozenset[tuple[str, str]] = frozenset()
    """(stage, cluster); never shrinks."""
    failed: tuple[tuple[str, str, str], ...] = ()
    """(stage, cluster, why) that stand now: terminal until a retry Decision. `why` starts with the
    cluster's state and a colon: `TimedOut: not Healthy within 1800 s`."""
    breached: tuple[tuple[str, str], ...] = ()
    """(stage, why): budgets that were breached and not answered by a retry."""
    denominators: tuple[tuple[str, int], ...] = ()
    started: tuple[tuple[str, datetime], ...] = ()
    done: tuple[tuple[str, datetime], ...] = ()
    soak_anchor: tuple[tuple[str, datetime], ...] = ()
    """(stage, when its last cluster became Healthy)."""
    ramp_step: tuple[tuple[str, int], ...] = ()
    retried: tuple[tuple[str, int], ...] = ()
    """(cluster, number of the last retry Decision that was carried out); cluster "" is the run."""
    retired: tuple[tuple[str, int], ...] = ()
    """(cluster, generation): assignments up to this one were set aside by a retry."""
    clocks: tuple[tuple[str, float, datetime | None], ...] = ()
    """(cluster, seconds in flight so far, since when the clock runs): for clusterDeadline."""
    batch: tuple[tuple[str, str], ...] = ()
    """(stage, cluster) of the batch that a ramp waits for."""
    gates: GateMarks = GateMarks()
    failure: FailureMarks = FailureMarks()
    caps: CapMarks = CapMarks()
    seen_run: str = ""
    """The run's state as last told to the history; likewise the next two."""
    seen_stages: tuple[tuple[str, str], ...] = ()
    seen_clusters: tuple[tuple[str, str], ...] = ()
