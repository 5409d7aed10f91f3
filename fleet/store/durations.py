"""How long clusters took, read from the history: offered until Healthy.

Of other runs only earlier ones of the same rollout that have ended count, at most `RUNS`. A cluster
that was offered something several times took as long as from its last offer on.
"""

from __future__ import annotations

from datetime import datetime

from fleet.rollout.forecast import Took
from fleet.rollout.run_plan import RunPlan
from fleet.store.codec import moment_of
from fleet.store.database import Connection

RUNS = 20


def p90_by_stage(c: Connection, plan: RunPlan) -> dict[str, float]:
    """Stage → the 90th percentile of seconds; a stage that nobody finished yet is left out.

    Earlier runs alone count: what a window asks of a run does not change while it goes on.
    """
    return {stage: took.p90 for stage, took in took_by_stage(c, plan, itself=False).items()}


def took_by_stage(c: Connection, plan: RunPlan, *, itself: bool) -> dict[str, Took]:
    """Stage → how long its clusters took, in earlier runs and, if wished, in this one so far."""
    rows = c.execute(
        "SELECT e.run, e.stage, e.cluster, e.kind, e.at FROM event e WHERE (e.run IN"
        " (SELECT uid FROM run WHERE rollout = ? AND number < ? AND ended_at IS NOT NULL"
        "  ORDER BY number DESC LIMIT ?) OR e.run = ?)"
        " AND e.kind IN ('cluster-offered', 'cluster-healthy') ORDER BY e.number",
        (plan.rollout, plan.number, RUNS, plan.uid if itself else ""),
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
    return {stage: Took.of(some.values()) for stage, some in sorted(took.items())}
