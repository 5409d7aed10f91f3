"""What Git declares, as of the last good plan. One transaction; only what differs is written.

Missing data is not an order to delete. A bundle deployment becomes wanted `absent` only if the
plan knows the cluster, says nothing of the bundle, and nothing in the plan says that it could not
read something. What becomes of a cluster that Git no longer declares is `leaving`.

`wanted_commit` is the commit that brought the wanted digest, not the last one seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from agents.protocol import ABSENT
from fleet.model import Repo, Severity
from fleet.plan.entries import Plan, PlanEntry
from fleet.rollout.situation import CommitRecord
from fleet.store.codec import json_text, text_of
from fleet.store.database import Connection
from fleet.store.events import add_event
from fleet.store.leaving import Departures, settle
from fleet.store.proofs import keep_material
from fleet.store.targets import keep_bodies

UNREADABLE = frozenset({"", "Bundle", "Cluster", "ClusterGroup"})
"""Kinds whose unread documents make absence meaningless."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a plan changed."""

    changed: int
    """Bundle deployments whose wanted digest is another one now."""
    removed: int
    """Those among them that are wanted absent."""
    departures: Departures


def record_wanted(c: Connection, repo: Repo, plan: Plan, now: datetime) -> Recorded:
    """Make the rows say what this plan says."""
    departures = _declare_clusters(c, repo, plan, now)
    _declare_groups(c, repo)
    _declare_bundles(c, repo, plan)
    keep_content(c, plan)
    changed = _write_entries(c, plan)
    removed = _write_absences(c, plan)
    c.execute(
        "UPDATE plan_commit SET state = 'planned', planned_at = ?, clusters = ?,"
        " bundle_deployments = ?, changed = ? WHERE id = ?",
        (
            *(text_of(now), len(plan.class_of)),
            *(sum(len(plan.classes[i]) for i in plan.class_of.values()), changed + removed),
            plan.commit,
        ),
    )
    return Recorded(changed + removed, removed, departures)


def keep_content(c: Connection, plan: Plan) -> None:
    """Keep what the plan's digests mean, so that they can be offered; nothing becomes wanted."""
    made = [(e, e.deployment) for e in _entries(plan) if e.deployment]
    keep_bodies(c, {wanted.digest: wanted for _, wanted in made}.values())
    keep_material(c, {wanted.artifact: (e.images, e.charts) for e, wanted in made})


def note_commit(c: Connection, commit: CommitRecord, now: datetime) -> None:
    """A commit is the newest from now on; one that came before comes back when Git goes back."""
    newest = c.execute("SELECT id FROM plan_commit ORDER BY number DESC LIMIT 1").fetchone()
    if newest is not None and newest["id"] == commit.id:
        return
    c.execute(
        "INSERT INTO plan_commit (id, number, title, author, authors, trailers, seen_at, state)"
        " VALUES (?, (SELECT coalesce(max(number), 0) + 1 FROM plan_commit), ?, ?, ?, ?, ?, 'seen')"
        " ON CONFLICT (id) DO UPDATE SET number = excluded.number",
        (
            *(commit.id, commit.title, commit.author, json_text(list(commit.authors))),
            *(json_text([list(pair) for pair in commit.trailers]), text_of(now)),
        ),
    )
    add_event(c, now, "commit-seen", f"commit {commit.id[:12]}: {commit.title}")


def fail_commit(c: Connection, commit: str) -> None:
    """The commit could not be planned; the last good plan stays."""
    c.execute("UPDATE plan_commit SET state = 'failed' WHERE id = ?", (commit,))


def removals_are_safe(plan: Plan) -> bool:
    """May absence from this plan be read as an order to remove?"""
    unclear = any(
        p.severity is Severity.ERROR and not p.bundle and not p.cluster for p in plan.problems
    )
    return not unclear and not (plan.unread & UNREADABLE)


def _entries(plan: Plan) -> Iterator[PlanEntry]:
    for entries in plan.classes:
        yield from entries


def _declare_clusters(c: Connection, repo: Repo, plan: Plan, now: datetime) -> Departures:
    # Every run that is there was made before: the commit may have been planned for a while.
    (newest_run,) = c.execute("SELECT coalesce(max(created_at), '') FROM run").fetchone()
    since = max(text_of(now), newest_run)
    c.executemany(
        "INSERT INTO cluster (name, declared, labels, kubernetes_version, at, declared_at)"
        " VALUES (?, 1, ?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET"
        " declared_at = CASE WHEN declared THEN declared_at ELSE excluded.declared_at END,"
        " declared = 1, labels = excluded.labels, kubernetes_version = excluded.kubernetes_version,"
        " at = excluded.at",
        [
            (k.name, json_text(dict(k.labels)), k.kubernetes_version, k.at, since)
            for k in repo.clusters
        ],
    )
    c.executemany(
        "UPDATE cluster SET deletion = ? WHERE name = ?",
        [(k.deletion, k.name) for k in repo.clusters if k.name not in plan.held_clusters],
    )
    named = {k.name for k in repo.clusters} | plan.held_clusters
    if plan.unread & {"", "Cluster"}:
        known = c.execute("SELECT name FROM cluster WHERE declared = 1")
        named |= {row["name"] for row in known}
    return settle(c, named, plan.commit, now)


def _declare_groups(c: Connection, repo: Repo) -> None:
    if repo.unread & {"", "Cluster", "ClusterGroup"}:
        return
    c.execute("DELETE FROM cluster_group")
    c.execute("DELETE FROM group_member")
    c.executemany(
        "INSERT INTO cluster_group (name, at) VALUES (?, ?)", [(g.name, g.at) for g in repo.groups]
    )
    c.executemany(
        "INSERT INTO group_member (group_name, cluster) VALUES (?, ?)",
        [(g.name, member) for g in repo.groups for member in g.members],
    )


def _declare_bundles(c: Connection, repo: Repo, plan: Plan) -> None:
    declared = {b.name: b for b in repo.bundles}
    names = {*declared, *(e.bundle for e in _entries(plan))}
    c.execute("UPDATE bundle SET declared = 0")
    c.executemany(
        "INSERT INTO bundle (name, declared, labels, depends_on, sources) VALUES (?, 1, ?, ?, ?)"
        " ON CONFLICT (name) DO UPDATE SET declared = 1, labels = excluded.labels,"
        " depends_on = excluded.depends_on, sources = excluded.sources",
        [
            (
                name,
                json_text(dict(declared[name].labels) if name in declared else {}),
                json_text(list(declared[name].depends_on) if name in declared else []),
                json_text([s.path for s in declared[name].sources] if name in declared else []),
            )
            for name in sorted(names)
        ],
    )


_FIELDS = "wanted, held, reason, source_path, customization, objects_wanted, images, charts"


def _write_entries(c: Connection, plan: Plan) -> int:
    """Write the rows that differ; returns how many wanted digests are new."""
    known = {
        (row["cluster"], row["bundle"]): tuple(row)[2:]
        for row in c.execute(f"SELECT cluster, bundle, {_FIELDS} FROM bundle_deployment")
    }
    columns = [[_columns(entry) for entry in entries] for entries in plan.classes]
    rows, changed = [], 0
    for cluster, index in plan.class_of.items():
        for entry, said in zip(plan.classes[index], columns[index], strict=True):
            had = known.get((cluster, entry.bundle))
            wanted = said[0] if entry.deployment else (had[0] if had else "")
            if had is not None and had == (wanted, *said[1:]):
                continue
            changed += wanted != (had[0] if had else "")
            rows.append((cluster, entry.bundle, wanted, *said[1:], plan.commit))
    c.executemany(
        f"INSERT INTO bundle_deployment (cluster, bundle, {_FIELDS}, wanted_commit)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (cluster, bundle) DO UPDATE SET"
        " wanted_commit = CASE WHEN wanted = excluded.wanted THEN wanted_commit"
        " ELSE excluded.wanted_commit END, wanted = excluded.wanted, held = excluded.held,"
        " reason = excluded.reason, source_path = excluded.source_path,"
        " customization = excluded.customization, objects_wanted = excluded.objects_wanted,"
        " images = excluded.images, charts = excluded.charts",
        rows,
    )
    return changed


def _columns(entry: PlanEntry) -> tuple[str, int, str, str, str, int, str, str]:
    return (
        entry.deployment.digest if entry.deployment else "",
        0 if entry.deployment else 1,
        entry.reason,
        entry.source,
        entry.customization,
        entry.objects,
        json_text(list(entry.images)),
        json_text(list(entry.charts)),
    )


def _write_absences(c: Connection, plan: Plan) -> int:
    """Bundles that a planned cluster has and the plan does not name are wanted absent."""
    if not removals_are_safe(plan):
        return 0
    named = [{entry.bundle for entry in entries} for entries in plan.classes]
    rows = c.execute(
        "SELECT cluster, bundle FROM bundle_deployment WHERE wanted <> ? OR current = ''", (ABSENT,)
    )
    orphans = [
        (row["cluster"], row["bundle"])
        for row in rows
        if (index := plan.class_of.get(row["cluster"])) is not None
        and row["cluster"] not in plan.held_clusters
        and row["bundle"] not in plan.held
        and named[index]
        and row["bundle"] not in named[index]
    ]
    _want_absent(c, orphans, plan.commit)
    return len(orphans)


def _want_absent(c: Connection, orphans: Iterable[tuple[str, str]], commit: str) -> None:
    orphans = list(orphans)
    c.executemany(
        "UPDATE bundle_deployment SET wanted = 'absent', wanted_commit = ?, held = 0,"
        " reason = 'Git does not name it for this cluster any more'"
        " WHERE cluster = ? AND bundle = ?",
        [(commit, *orphan) for orphan in orphans],
    )
    # What was never started and is not offered needs no removal: there is nothing there.
    c.executemany(
        "DELETE FROM bundle_deployment WHERE cluster = ? AND bundle = ? AND current = ''"
        " AND NOT EXISTS (SELECT 1 FROM assignment a JOIN assignment_bundle ab"
        " USING (cluster, generation) WHERE ab.cluster = bundle_deployment.cluster"
        " AND ab.bundle = bundle_deployment.bundle AND a.started_at IS NULL"
        " AND a.withdrawn_at IS NULL)",
        orphans,
    )
