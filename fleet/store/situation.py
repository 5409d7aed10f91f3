"""What `propose` is given from the rows, and what becomes of its answer.

Plans of runs change by recorded amendments only, so the caller keeps them (`plan_of`); wanted
digests come from the plan in memory, everything else from the rows of one moment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from sqlite3 import Row

from agents.protocol import ABSENT
from clusters.objects import Digest
from fleet.rollout import Held, Proposal, RunRecord
from fleet.rollout.run_plan import RunPlan
from fleet.rollout.situation import CommitRecord
from fleet.store.amendments import add_amendment
from fleet.store.codec import json_text, json_value, moment_of, moment_or_none
from fleet.store.database import Connection
from fleet.store.runs import Remembered, add_run, let_finish, remembered_runs, supersede

UNWELL = ("Degraded", "Missing")


def granted_digests(c: Connection) -> dict[str, dict[str, Digest]]:
    """Cluster → bundle → digest last granted; what is gone is left out."""
    found: dict[str, dict[str, Digest]] = {}
    rows = c.execute(
        "SELECT cluster, bundle, current FROM bundle_deployment"
        " WHERE current <> '' AND NOT (current = ? AND gone = 1)",
        (ABSENT,),
    )
    for row in rows:
        found.setdefault(row["cluster"], {})[row["bundle"]] = row["current"]
    return found


def online_clusters(c: Connection) -> frozenset[str]:
    """Declared clusters whose agent is online."""
    rows = c.execute(
        "SELECT a.cluster FROM agent a JOIN cluster k ON k.name = a.cluster"
        " WHERE a.online = 1 AND k.declared = 1"
    )
    return frozenset(row["cluster"] for row in rows)


def declared_clusters(c: Connection) -> dict[str, datetime | None]:
    """Every cluster that Git declares, since when; `None`: since before Fleet took note of it."""
    rows = c.execute("SELECT name, declared_at FROM cluster WHERE declared = 1")
    return {row["name"]: moment_or_none(row["declared_at"] or None) for row in rows}


def origins(c: Connection) -> tuple[dict[str, dict[str, str]], dict[str, CommitRecord]]:
    """Cluster → bundle → the commit that brought what is wanted there; and those commits."""
    found: dict[str, dict[str, str]] = {}
    for row in c.execute("SELECT cluster, bundle, wanted_commit FROM bundle_deployment"):
        found.setdefault(row["cluster"], {})[row["bundle"]] = row["wanted_commit"]
    named = {commit for some in found.values() for commit in some.values()}
    rows = c.execute(
        "SELECT id, number, title, author, authors, trailers FROM plan_commit"
        " WHERE id IN (SELECT value FROM json_each(?))",
        (json_text(sorted(named)),),
    )
    return found, {row["id"]: _commit(row) for row in rows}


def _commit(row: Row) -> CommitRecord:
    return CommitRecord(
        *(row["id"], row["number"], row["title"], row["author"]),
        authors=tuple(json_value(row["authors"])),
        trailers=tuple((key, value) for key, value in json_value(row["trailers"])),
    )


PUSHES_LOOKED_AT = 100


def pushes(c: Connection) -> tuple[datetime, ...]:
    """When each of the newest commits was first seen, the newest first."""
    rows = c.execute(
        "SELECT seen_at FROM plan_commit ORDER BY number DESC LIMIT ?", (PUSHES_LOOKED_AT,)
    )
    return tuple(moment_of(row["seen_at"]) for row in rows)


def unwell(c: Connection) -> frozenset[tuple[str, str]]:
    """(cluster, bundle) that are unhealthy now under what they were last granted."""
    rows: Iterable[Row] = c.execute(
        "SELECT cluster, bundle FROM bundle_deployment WHERE health IN (?, ?)"
        " AND reported = current AND reported_generation = generation AND gone = 0",
        UNWELL,
    )
    return frozenset((row["cluster"], row["bundle"]) for row in rows)


def unbaked(c: Connection) -> dict[str, frozenset[str]]:
    """Bundle → the runs whose content some cluster runs and has not baked."""
    rows = c.execute(
        "SELECT DISTINCT bundle, current_run FROM bundle_deployment"
        " WHERE current NOT IN ('', ?) AND current <> baked AND gone = 0",
        (ABSENT,),
    )
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(row["bundle"], set()).add(row["current_run"])
    return {bundle: frozenset(runs) for bundle, runs in found.items()}


def run_records(c: Connection, plan_of: Callable[[str], RunPlan]) -> tuple[RunRecord, ...]:
    """The runs that newer ones care about, oldest first."""
    return tuple(_record(plan_of(r.uid), r) for r in remembered_runs(c))


def _record(plan: RunPlan, r: Remembered) -> RunRecord:
    return RunRecord(
        plan,
        r.state,
        r.breached,
        r.finishing,
        r.reopened,
        r.ended_at,
        r.failed,
        r.started,
        r.done,
        r.touched,
        is_hotfix=r.has_hotfix or bool(plan.hotfix_of),
    )


def record_proposal(c: Connection, proposal: Proposal, now: datetime) -> set[str]:
    """Store amendments, new runs, what they replace, what is held; whose target changed."""
    changed: set[str] = set()
    for run, amendment in proposal.amendments.items():
        changed |= add_amendment(c, run, amendment, now)
    for plan in proposal.runs:
        add_run(c, plan, now)
    for old, new in proposal.superseded.items():
        changed |= supersede(c, old, new, now)
    for old, new in proposal.finishing.items():
        let_finish(c, old, new, now)
    _record_held(c, proposal.held)
    return changed


def _record_held(c: Connection, held: Iterable[Held]) -> None:
    rows = {(h.bundle, h.cluster, h.code, h.reason) for h in held}
    had = {tuple(row) for row in c.execute("SELECT bundle, cluster, code, reason FROM held_change")}
    c.executemany(
        "DELETE FROM held_change WHERE bundle = ? AND cluster = ? AND code = ? AND reason = ?",
        sorted(had - rows),
    )
    c.executemany(
        "INSERT INTO held_change (bundle, cluster, code, reason) VALUES (?, ?, ?, ?)",
        sorted(rows - had),
    )
