"""How long clusters took in earlier runs, read from the history: offered until Healthy.

Only runs of the same rollout that have ended count, the newest first, at most `RUNS`. A cluster
that was offered something several times took as long as from its last offer on.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from math import ceil

from fleet.rollout.run_plan import RunPlan
from fleet.store.codec import moment_of
from fleet.store.database import Connection

RUNS = 20


def p90_by_stage(c: Connection, plan: RunPlan) -> dict[str, float]:
    """Stage → the 90th percentile of seconds; a stage that nobody finished yet is left out."""
    rows = c.execute(
        "SELECT e.run, e.stage, e.cluster, e.kind, e.at FROM event e WHERE e.run IN"
        " (SELECT uid FROM run WHERE rollout = ? AND number < ? AND ended_at IS NOT NULL"
        "  ORDER BY number DESC LIMIT ?)"
        " AND e.kind IN ('cluster-offered', 'cluster-healthy') ORDER BY e.number",
        (plan.rollout, plan.number, RUNS),
    )
    offered: dict[tuple[str, str], datetime] = {}
    took: dict[str, dict[tuple[str, str], float]] = {}
    for row in rows:
        who = (row["run"], row["cluster"])
        if row["kind"] == "cluster-offered":
            offered[who] = moment_of(row["at"])
        elif who in offered:
            seconds = (moment_of(row["at"]) - offered[who]).total_seconds()
            took.setdefault(row["stage"], {})[who] = seconds
    return {stage: percentile_90(some.values()) for stage, some in sorted(took.items())}


def percentile_90(seconds: Iterable[float]) -> float:
    """The least of them that nine of ten are not above (nearest rank)."""
    ordered = sorted(seconds)
    return ordered[ceil(0.9 * len(ordered)) - 1]
