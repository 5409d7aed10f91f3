"""What `advance` is given: one run's clusters as the rows say at one moment.

Reports count only for what the hub granted: the columns `reported*` never hold anything else (see
`reports`), and a row whose report is older than its grant is evidence of the older one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from sqlite3 import Row

from agents.protocol import Health, SyncState
from fleet.model import Labels
from fleet.rollout import hotfix
from fleet.rollout.evidence import AssignmentEvidence, BundleEvidence, ClusterEvidence, Evidence
from fleet.rollout.gate_kinds import P90, Window
from fleet.rollout.run_plan import RunPlan, StagePlan
from fleet.rollout.shared_budget import RolloutBudget
from fleet.store.baked import baked_before
from fleet.store.budgets import read_budgets
from fleet.store.census import MOVING, Census, last_changes, others_moving, read_rest
from fleet.store.codec import json_value, moment_of, moment_or_none
from fleet.store.database import Connection
from fleet.store.decisions import decisions_of
from fleet.store.durations import p90_by_stage
from fleet.store.proofs import dependencies, proofs
from fleet.store.readings import readings_of
from fleet.store.runs import RunRow, commits_since_success
from fleet.store.vetoes import held_by_vetoes

UNSETTLED_SYNC = frozenset({"Syncing", "Waiting", "Unknown"})
UNSETTLED_HEALTH = frozenset({"Progressing", "Unknown"})

NO_LABELS: Labels = {}

Agents = Mapping[str, bool]
"""Registered clusters, and whether each is online."""


def read_agents(c: Connection) -> tuple[Agents, dict[str, datetime]]:
    """Who is registered, and since when declared clusters that are offline are silent.

    One that Git does not declare any more starts nothing: it is offline.
    """
    rows = c.execute(
        "SELECT a.cluster, a.online AND k.declared AS online, k.declared, a.last_seen FROM agent a"
        " JOIN cluster k ON k.name = a.cluster"
    ).fetchall()
    silent = {
        row["cluster"]: moment_of(row["last_seen"])
        for row in rows
        if row["declared"] and not row["online"]
    }
    return {row["cluster"]: bool(row["online"]) for row in rows}, silent


NOBODY = Census()


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all runs share that are stepped together."""

    census: Census = NOBODY
    budgets: tuple[RolloutBudget, ...] = ()
    silent: Mapping[str, datetime] = field(default_factory=dict)
    """Cluster that is offline → when it was last heard."""

    def dark_at(self, plan: RunPlan, now: datetime) -> dict[str, datetime]:
        """Cluster that is silent, and not yet for as long as `staleAfter` says → until when."""
        stale = plan.rules.connectivity.stale_after_seconds
        if stale is None:
            return {}
        ends = {name: at + timedelta(seconds=stale) for name, at in self.silent.items()}
        return {name: at for name, at in ends.items() if at > now}


def read_surroundings(c: Connection) -> Surroundings:
    """Who is there, and which shared caps hold."""
    declared = labels_by_cluster(c, declared=True)
    online, silent = read_agents(c)
    return Surroundings(Census(online, declared), read_budgets(c), silent)


def read_evidence(
    c: Connection,
    run: RunRow,
    plan: RunPlan,
    shared: Surroundings,
    now: datetime,
    waits_for: str = "",
) -> Evidence:
    """Everything that the hub knows of the clusters of a run. One pass over the bundles' rows."""
    dark_at = shared.dark_at(plan, now)
    agents, labels, budgets = shared.census.online, shared.census.labels, shared.budgets
    runs, changed = _for_cluster_caps(c, plan, budgets)
    assignments, touched = _assignments(c, run.uid)
    baked = baked_before(c, plan) if touched else {}
    bundles, unsettled = _bundles(c, plan)
    holders, decisions = _holders(c, run.uid, plan.bundles), decisions_of(c, run.uid)
    waiting, moving = _without(plan, run.marks.started), _without(plan, run.marks.done)
    clusters = {
        name: ClusterEvidence(
            registered=name in agents,
            online=agents.get(name, False) or name in dark_at,
            dark_at=dark_at.get(name),
            held_by=holders.get(name, ""),
            assignment=assignments.get(name),
            bundles=bundles.get(name, {}),
            unsettled_since=unsettled.get(name),
            labels=labels.get(name, NO_LABELS),
            runs=runs.get(name, ()),
            changed_at=changed.get(name),
            baked=baked.get(name, {}),
            touched_at=touched.get(name),
        )
        for name in plan.changes
    }
    return Evidence(
        clusters=clusters,
        decisions=decisions,
        superseded_by="" if run.finishing else run.superseded_by,
        finishing_for=run.superseded_by if run.finishing else "",
        waits_for=waits_for,
        readings=readings_of(c, plan.uid),
        proofs=proofs(c, plan, waiting, {name for name, on in agents.items() if on}),
        dependencies=dependencies(c, moving),
        budgets=budgets,
        rest=read_rest(c, plan, budgets, shared.census, now),
        durations=_durations(c, plan),
        vetoed=held_by_vetoes(c, plan.bundles),
        suspects=_suspects(c, plan),
        is_hotfix=hotfix.is_open(plan, decisions),
    )


def _without(plan: RunPlan, marked: Iterable[tuple[str, datetime]]) -> list[StagePlan]:
    """The stages that are not marked."""
    names = {name for name, _ in marked}
    return [stage for stage in plan.stages if stage.name not in names]


def _suspects(c: Connection, plan: RunPlan) -> dict[str, tuple[str, ...]]:
    """The commits that a report on failures may name, if it is to name any."""
    bisect = plan.rules.on_failure.bisect
    return commits_since_success(c, plan) if bisect and bisect.revisions else {}


def _durations(c: Connection, plan: RunPlan) -> dict[str, float]:
    """How long stages took before, if a window asks for it."""
    windows = [gate for stage in plan.stages for gate in stage.before if isinstance(gate, Window)]
    return p90_by_stage(c, plan) if any(w.min_remaining == P90 for w in windows) else {}


def _for_cluster_caps(
    c: Connection, plan: RunPlan, budgets: Iterable[RolloutBudget]
) -> tuple[dict[str, tuple[str, ...]], dict[str, datetime]]:
    """Which other runs move each cluster, and when it last changed, as far as a cap asks."""
    said = [budget.per_cluster for budget in budgets]
    counts = any(one.max_concurrent_runs is not None for one in said)
    quiet = any(one.quiet_after_seconds is not None for one in said)
    runs = others_moving(c, plan.uid) if counts else {}
    return runs, last_changes(c, plan.bundles) if quiet else {}


def labels_by_cluster(c: Connection, *, declared: bool = False) -> dict[str, Labels]:
    """Every cluster's labels as Git last declared them; equal texts are parsed once."""
    rows = c.execute("SELECT name, labels FROM cluster WHERE declared >= ?", (declared,))
    return {row["name"]: _labels(row["labels"]) for row in rows}


@lru_cache(maxsize=32768)
def _labels(text: str) -> Labels:
    found: Labels = json_value(text)
    return found


def _assignments(
    c: Connection, run: str
) -> tuple[dict[str, AssignmentEvidence], dict[str, datetime]]:
    """The newest assignment of every cluster, and when the newest started one was offered."""
    rows = c.execute(
        "SELECT cluster, generation, offered_at, started_at, withdrawn_at, reverts FROM assignment"
        " WHERE run = ? ORDER BY cluster, generation",
        (run,),
    )
    newest: dict[str, AssignmentEvidence] = {}
    touched: dict[str, datetime] = {}
    for row in rows:
        found = newest[row["cluster"]] = AssignmentEvidence(
            generation=row["generation"],
            offered_at=moment_of(row["offered_at"]),
            started_at=moment_or_none(row["started_at"]),
            withdrawn_at=moment_or_none(row["withdrawn_at"]),
            reverts=bool(row["reverts"]),
        )
        if found.started_at is not None and not found.reverts:
            touched[row["cluster"]] = found.offered_at
    return newest, touched


def _bundles(
    c: Connection, plan: RunPlan
) -> tuple[dict[str, dict[str, BundleEvidence]], dict[str, datetime]]:
    """The reports on the run's bundles, and where a run that ended left something unsettled."""
    found: dict[str, dict[str, BundleEvidence]] = {}
    unsettled: dict[str, datetime] = {}
    ended = _ended_badly(c, plan)
    rows = c.execute(
        "SELECT cluster, bundle, reported, reported_generation, sync, health, since, code, message,"
        " drifted, generation, current_run"
        " FROM bundle_deployment INDEXED BY bundle_deployment_by_bundle"
        f" WHERE bundle IN ({_marks(plan.bundles)})",
        plan.bundles,
    )
    for row in rows:
        cluster = row["cluster"]
        if cluster not in plan.changes:
            continue
        if row["reported"] and row["since"]:
            found.setdefault(cluster, {})[row["bundle"]] = _report(row)
        since = ended.get(row["current_run"])
        if since is not None and _is_unsettled(row):
            unsettled[cluster] = min(since, unsettled.get(cluster, since))
    return found, unsettled


def _report(row: Row) -> BundleEvidence:
    return BundleEvidence(
        bundle=row["bundle"],
        digest=row["reported"],
        generation=row["reported_generation"],
        sync=SyncState(row["sync"]),
        health=Health(row["health"]),
        since=moment_of(row["since"]),
        code=row["code"],
        message=row["message"],
        drifted=row["drifted"],
    )


def _is_unsettled(row: Row) -> bool:
    """A start of which no report says how it ended: it may still be changing things."""
    return (
        row["reported_generation"] != row["generation"]
        or row["sync"] in UNSETTLED_SYNC
        or row["health"] in UNSETTLED_HEALTH
    )


def _ended_badly(c: Connection, plan: RunPlan) -> dict[str, datetime]:
    """Other runs of the same bundles that ended without success, and when."""
    rows = c.execute(
        "SELECT DISTINCT r.uid, r.ended_at FROM run_bundle rb JOIN run r ON r.uid = rb.run"
        f" WHERE rb.bundle IN ({_marks(plan.bundles)}) AND r.uid <> ?"
        " AND r.ended_at IS NOT NULL AND r.state <> 'Succeeded'",
        (*plan.bundles, plan.uid),
    )
    return {row["uid"]: moment_of(row["ended_at"]) for row in rows}


def _holders(c: Connection, run: str, bundles: tuple[str, ...]) -> dict[str, str]:
    """Clusters where another live run has an offer or an unsettled start of one of the bundles."""
    others = c.execute(
        "SELECT DISTINCT r.uid FROM run_bundle rb JOIN run r ON r.uid = rb.run"
        f" WHERE rb.bundle IN ({_marks(bundles)}) AND r.uid <> ? AND r.ended_at IS NULL",
        (*bundles, run),
    ).fetchall()
    found: dict[str, str] = {}
    for other in others:
        rows = c.execute(
            "SELECT DISTINCT a.cluster FROM assignment a"
            " JOIN assignment_bundle ab USING (cluster, generation)"
            " JOIN run_cluster rc ON rc.run = a.run AND rc.cluster = a.cluster"
            " WHERE a.run = ? AND a.withdrawn_at IS NULL"
            f" AND ab.bundle IN ({_marks(bundles)})"
            f" AND (a.started_at IS NULL OR rc.state IN {MOVING})",
            (other["uid"], *bundles),
        )
        found |= {row["cluster"]: other["uid"] for row in rows}
    return found


def _marks(values: Iterable[object]) -> str:
    return ", ".join("?" for _ in values)
