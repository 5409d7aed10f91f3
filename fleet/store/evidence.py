"""What `advance` is given: one run's clusters as the rows say at one moment.

Reports count only for what the hub granted: the columns `reported*` never hold anything else (see
`reports`), and a row whose report is older than its grant is evidence of the older one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from sqlite3 import Row

from agents.protocol import Health, SyncState
from fleet.rollout.state import (
    AssignmentEvidence,
    BundleEvidence,
    ClusterEvidence,
    Evidence,
    RunPlan,
)
from fleet.store.codec import moment_of, moment_or_none
from fleet.store.database import Connection
from fleet.store.runs import RunRow, decisions_of

UNSETTLED_SYNC = ("Syncing", "Waiting", "Unknown")
UNSETTLED_HEALTH = ("Progressing", "Unknown")


def read_evidence(c: Connection, run: RunRow, plan: RunPlan, waits_for: str = "") -> Evidence:
    """Everything that the hub knows of the clusters of a run."""
    assignments = _assignments(c, run.uid)
    agents = {row["cluster"]: bool(row["online"]) for row in _agents(c)}
    bundles = _bundles(c, plan)
    holders = _holders(c, run.uid, plan.bundles)
    unsettled = _unsettled(c, run.uid, plan.bundles)
    clusters = {
        name: ClusterEvidence(
            registered=name in agents,
            online=agents.get(name, False),
            held_by=holders.get(name, ""),
            assignment=assignments.get(name),
            bundles=bundles.get(name, {}),
            unsettled_since=unsettled.get(name),
        )
        for name in plan.changes
    }
    return Evidence(
        clusters=clusters,
        decisions=decisions_of(c, run.uid),
        superseded_by=run.superseded_by,
        waits_for=waits_for,
    )


def _agents(c: Connection) -> Iterator[Row]:
    """A cluster that Git does not declare any more starts nothing: it counts as offline."""
    yield from c.execute(
        "SELECT a.cluster, a.online AND k.declared AS online FROM agent a"
        " JOIN cluster k ON k.name = a.cluster"
    )


def _assignments(c: Connection, run: str) -> dict[str, AssignmentEvidence]:
    rows = c.execute(
        "SELECT cluster, generation, offered_at, started_at, withdrawn_at FROM assignment"
        " WHERE run = ? ORDER BY cluster, generation",
        (run,),
    )
    return {
        row["cluster"]: AssignmentEvidence(
            generation=row["generation"],
            offered_at=moment_of(row["offered_at"]),
            started_at=moment_or_none(row["started_at"]),
            withdrawn_at=moment_or_none(row["withdrawn_at"]),
        )
        for row in rows
    }


def _bundles(c: Connection, plan: RunPlan) -> dict[str, dict[str, BundleEvidence]]:
    found: dict[str, dict[str, BundleEvidence]] = {}
    rows = c.execute(
        "SELECT cluster, bundle, reported, reported_generation, sync, health, since, code, message"
        f" FROM bundle_deployment WHERE bundle IN ({_marks(plan.bundles)})"
        " AND reported <> '' AND since IS NOT NULL",
        plan.bundles,
    )
    for row in rows:
        if row["cluster"] not in plan.changes:
            continue
        found.setdefault(row["cluster"], {})[row["bundle"]] = BundleEvidence(
            bundle=row["bundle"],
            digest=row["reported"],
            generation=row["reported_generation"],
            sync=SyncState(row["sync"]),
            health=Health(row["health"]),
            since=moment_of(row["since"]),
            code=row["code"],
            message=row["message"],
        )
    return found


def _holders(c: Connection, run: str, bundles: tuple[str, ...]) -> dict[str, str]:
    """Clusters where another live run has an offer or an unsettled start of one of the bundles."""
    rows = c.execute(
        "SELECT rc.cluster, rc.run FROM run_cluster rc JOIN run r ON r.uid = rc.run"
        " WHERE r.ended_at IS NULL AND rc.run <> ? AND EXISTS ("
        " SELECT 1 FROM assignment a JOIN assignment_bundle ab USING (cluster, generation)"
        " WHERE a.run = rc.run AND a.cluster = rc.cluster AND a.withdrawn_at IS NULL"
        f" AND ab.bundle IN ({_marks(bundles)})"
        " AND (a.started_at IS NULL OR rc.state IN ('Assigned', 'Applying', 'Verifying')))",
        (run, *bundles),
    )
    return {row["cluster"]: row["run"] for row in rows}


def _unsettled(c: Connection, run: str, bundles: tuple[str, ...]) -> dict[str, datetime]:
    """Clusters where a run that ended left a start that may still be changing things."""
    rows = c.execute(
        "SELECT d.cluster, min(r.ended_at) AS since FROM bundle_deployment d"
        " JOIN run r ON r.uid = d.current_run WHERE r.ended_at IS NOT NULL AND r.uid <> ?"
        f" AND d.bundle IN ({_marks(bundles)}) AND (d.reported_generation <> d.generation"
        f" OR d.sync IN ({_marks(UNSETTLED_SYNC)}) OR d.health IN ({_marks(UNSETTLED_HEALTH)}))"
        " AND r.state <> 'Succeeded' GROUP BY d.cluster",
        (run, *bundles, *UNSETTLED_SYNC, *UNSETTLED_HEALTH),
    )
    return {row["cluster"]: moment_of(row["since"]) for row in rows}


def _marks(values: Iterable[object]) -> str:
    return ", ".join("?" for _ in values)
