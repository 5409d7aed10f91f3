"""What goes on in the whole fleet at one moment: what shared caps are judged by.

::

    in flight     an open offer, an unsettled start of a live run, a start that nobody reported on
    unavailable   in flight, failed in a live run, offline, or with anything not well
    exposed       on what an unsuccessful run of these bundles brought, before any stage was Done

Only what is not well is read (by partial indexes), so the cost goes with trouble, not with the
fleet. A cluster that is not declared any more or never registered is in no domain.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fleet.model import Labels
from fleet.rollout import caps
from fleet.rollout.evidence import Domain, Rest
from fleet.rollout.run_plan import RunPlan
from fleet.rollout.shared_budget import RolloutBudget
from fleet.store.codec import json_value, moment_of, text_of
from fleet.store.database import Connection

NOT_WELL = (
    "current <> '' AND gone = 0 AND (reported_generation <> generation OR sync IN ('Syncing',"
    " 'Waiting', 'Failed', 'Unknown') OR health NOT IN ('Healthy', 'Suspended'))"
)
"""Also the condition of the index `bundle_deployment_not_well`, word for word."""
MOVING = "('Assigned', 'Applying', 'Verifying', 'Reverting')"
_NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Census:
    """Who is there: taken once for all runs that are stepped together."""

    online: Mapping[str, bool] = field(default_factory=dict)
    """Registered clusters; one that is not declared any more is offline."""
    labels: Mapping[str, Labels] = field(default_factory=dict)
    """Declared clusters."""


def read_rest(
    c: Connection, plan: RunPlan, budgets: Iterable[RolloutBudget], census: Census, now: datetime
) -> Rest:
    """What the caps on a run are judged by; nothing is read if there are none."""
    keys = caps.keys(plan, budgets)
    starts = _starts(c, now) if any(b.fleet.max_starts_per_minute for b in budgets) else ()
    if not keys:
        return Rest(starts=starts)
    moving = _moving(c)
    away = {name for name, online in census.online.items() if not online}
    unavailable = moving | _failed(c) | _not_well(c) | away
    exposed = _exposed(c, plan) if any(i.max_exposed for i in plan.rules.invariants) else set()
    return Rest(_domains(keys, census, moving, unavailable, exposed), starts)


def _domains(
    keys: Collection[str],
    census: Census,
    moving: Collection[str],
    unavailable: Collection[str],
    exposed: Collection[str],
) -> tuple[Domain, ...]:
    found = []
    who = [name for name in census.online if name in census.labels]
    for key in sorted(keys):
        value_of = {name: census.labels[name].get(key, "") if key else "" for name in who}
        parts = [_by_value(some, value_of) for some in (moving, unavailable, exposed)]
        for value, size in sorted(Counter(value_of.values()).items()):
            sets = (frozenset(part.get(value, _NOBODY)) for part in parts)
            found.append(Domain(key, value, size, *sets))
    return tuple(found)


def _by_value(clusters: Iterable[str], value_of: Mapping[str, str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for name in clusters:
        if name in value_of:
            found[value_of[name]].add(name)
    return found


def _starts(c: Connection, now: datetime) -> tuple[datetime, ...]:
    since = text_of(now - timedelta(minutes=1))
    rows = c.execute("SELECT offered_at FROM assignment WHERE offered_at > ?", (since,))
    return tuple(sorted(moment_of(row["offered_at"]) for row in rows))


def _moving(c: Connection) -> set[str]:
    return _clusters(
        c,
        "SELECT cluster FROM assignment WHERE started_at IS NULL AND withdrawn_at IS NULL"
        " UNION SELECT rc.cluster FROM run r JOIN run_cluster rc ON rc.run = r.uid"
        f" WHERE r.ended_at IS NULL AND rc.state IN {MOVING}"
        f" UNION SELECT cluster FROM bundle_deployment WHERE {NOT_WELL}"
        " AND (reported_generation <> generation OR sync = 'Syncing')",
    )


def _failed(c: Connection) -> set[str]:
    return _clusters(
        c,
        "SELECT rc.cluster FROM run r JOIN run_cluster rc ON rc.run = r.uid"
        " WHERE r.ended_at IS NULL AND rc.state IN ('Failed', 'TimedOut')",
    )


def _not_well(c: Connection) -> set[str]:
    return _clusters(c, f"SELECT DISTINCT cluster FROM bundle_deployment WHERE {NOT_WELL}")


def _exposed(c: Connection, plan: RunPlan) -> set[str]:
    """Where other runs of these bundles left what they brought, and no stage was ever Done."""
    marks = ", ".join("?" for _ in plan.bundles)
    rows = c.execute(
        "SELECT d.cluster, r.uid, r.stages FROM bundle_deployment d JOIN run r"
        " ON r.uid = d.current_run"
        f" WHERE d.bundle IN ({marks}) AND d.gone = 0 AND r.uid <> ? AND r.lane = 'Staged'"
        " AND r.state <> 'Succeeded'",
        (*plan.bundles, plan.uid),
    )
    proven: dict[str, bool] = {}
    found = set()
    for row in rows:
        if row["uid"] not in proven:
            stages = json_value(row["stages"])
            proven[row["uid"]] = any(s["state"] == "Done" and s["healthy"] for s in stages)
        if not proven[row["uid"]]:
            found.add(row["cluster"])
    return found


def _clusters(c: Connection, sql: str) -> set[str]:
    return {row["cluster"] for row in c.execute(sql)}


def others_moving(c: Connection, run: str) -> dict[str, tuple[str, ...]]:
    """Cluster → other live runs with an offer or an unsettled start there."""
    rows = c.execute(
        "SELECT DISTINCT rc.cluster, r.uid FROM run r JOIN run_cluster rc ON rc.run = r.uid"
        f" WHERE r.ended_at IS NULL AND r.uid <> :run AND rc.state IN {MOVING}"
        " UNION SELECT cluster, run FROM assignment"
        " WHERE started_at IS NULL AND withdrawn_at IS NULL AND run <> :run ORDER BY 1, 2",
        {"run": run},
    )
    found: dict[str, tuple[str, ...]] = {}
    for row in rows:
        found[row["cluster"]] = (*found.get(row["cluster"], ()), row["uid"])
    return found


def last_changes(c: Connection, bundles: tuple[str, ...]) -> dict[str, datetime]:
    """Cluster → when one of these bundles was last started there, by whatever run."""
    marks = ", ".join("?" for _ in bundles)
    rows = c.execute(
        "SELECT cluster, max(granted_at) AS at FROM bundle_deployment"
        f" WHERE bundle IN ({marks}) AND granted_at IS NOT NULL GROUP BY cluster",
        bundles,
    )
    return {row["cluster"]: moment_of(row["at"]) for row in rows}
