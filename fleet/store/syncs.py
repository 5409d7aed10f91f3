"""Syncs that people asked for: who is asked, what they answered, when it is over.

::

    open_sync   ──► Asked ──► Done       the agent answered to the end
                      └─────► TimedOut   the time was up; what it waited for is kept
                    Offline              was not asked: its agent was not there

An open request is part of the target of each cluster that is asked, so whatever opens or ends one
raises that cluster's serial. It starts nothing: only what is current is reconciled. The last `KEPT`
syncs are remembered with their results, who asked stays in the history.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from agents.protocol import SyncRequest, SyncResult
from fleet.store.codec import json_text, json_value, moment_of, text_of
from fleet.store.database import Connection
from fleet.store.events import add_event, epoch

KEPT = 50
OBJECTS, FEWEST_OBJECTS, MOST_OBJECTS = 20_000, 5, 200
"""Objects that the answers to one sync list about, and of each bundle at least and at most."""


@dataclass(frozen=True, slots=True)
class SyncOrder:
    """What a person wants synced."""

    actor: str
    reason: str = ""
    bundle: str = ""
    """Empty: all that a cluster runs."""
    selector: str = ""
    """As it was said; for show."""
    force: bool = False
    dry_run: bool = False
    limit_seconds: float = 300.0


def open_sync(
    c: Connection, order: SyncOrder, clusters: Iterable[str], now: datetime
) -> tuple[str, list[str]]:
    """Ask these clusters; the sync's name, and the clusters whose target changed.

    The name is empty if none of them runs the bundle (or anything).
    """
    wanted = _deployments(c, order.bundle, set(clusters))
    if not wanted:
        return "", []
    uid = _insert(c, order, len(wanted), now)
    c.executemany(
        "INSERT INTO sync_bundle (sync, cluster, bundle, state, at) VALUES (?, ?, ?, ?, ?)",
        [
            (uid, cluster, bundle, "Asked" if online else "Offline", text_of(now))
            for cluster, bundle, online in wanted
        ],
    )
    asked = sorted({cluster for cluster, _, online in wanted if online})
    _raise(c, asked)
    what = order.bundle or "everything"
    how = "".join(f", {word}" for word, on in _flags(order) if on)
    why = f" ({order.reason})" if order.reason else ""
    add_event(
        c,
        now,
        "sync-asked",
        f"{order.actor}: sync {uid} of {what} in {len(asked)} clusters{how}{why}",
    )
    _forget_old(c)
    return uid, asked


def _flags(order: SyncOrder) -> tuple[tuple[str, bool], ...]:
    return (("forced", order.force), ("dry run", order.dry_run))


def _deployments(c: Connection, bundle: str, clusters: set[str]) -> list[tuple[str, str, bool]]:
    rows = c.execute(
        "SELECT d.cluster, d.bundle, coalesce(a.online, 0) AS online FROM bundle_deployment d"
        " JOIN cluster k ON k.name = d.cluster LEFT JOIN agent a ON a.cluster = d.cluster"
        " WHERE d.current <> '' AND d.gone = 0 AND k.leaving = ''"
        " AND ? IN ('', d.bundle) ORDER BY 1, 2",
        (bundle,),
    )
    return [
        (r["cluster"], r["bundle"], bool(r["online"])) for r in rows if r["cluster"] in clusters
    ]


def _insert(c: Connection, order: SyncOrder, asked: int, now: datetime) -> str:
    ends = now + timedelta(seconds=order.limit_seconds)
    number = c.execute(
        "INSERT INTO sync (uid, asked_at, ends_at, actor, reason, bundle, selector, force, dry_run,"
        " limit_seconds, most_objects) VALUES ('', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *(text_of(now), text_of(ends), order.actor, order.reason, order.bundle),
            *(order.selector, order.force, order.dry_run, order.limit_seconds),
            max(FEWEST_OBJECTS, min(MOST_OBJECTS, OBJECTS // asked)),
        ),
    ).lastrowid
    # With the epoch, since a hub that is restored from a backup counts from an earlier number.
    uid = f"{epoch(c)}-{number}"
    c.execute("UPDATE sync SET uid = ? WHERE number = ?", (uid, number))
    return uid


def _forget_old(c: Connection) -> None:
    c.execute(
        "DELETE FROM sync WHERE number <= (SELECT max(number) FROM sync) - ?"
        " AND NOT EXISTS (SELECT 1 FROM sync_bundle b WHERE b.sync = uid AND b.state = 'Asked')",
        (KEPT,),
    )
    c.execute("DELETE FROM sync_bundle WHERE sync NOT IN (SELECT uid FROM sync)")


def open_requests(c: Connection, cluster: str) -> tuple[SyncRequest, ...]:
    """What the cluster's agent is asked now, the oldest first."""
    rows = c.execute(
        "SELECT s.uid, s.force, s.dry_run, s.limit_seconds, s.most_objects, b.bundle"
        " FROM sync_bundle b"
        " JOIN sync s ON s.uid = b.sync WHERE b.cluster = ? AND b.state = 'Asked'"
        " ORDER BY s.number, b.bundle",
        (cluster,),
    ).fetchall()
    bundles: dict[str, list[str]] = {}
    for row in rows:
        bundles.setdefault(row["uid"], []).append(row["bundle"])
    facts = {row["uid"]: row for row in rows}
    return tuple(
        SyncRequest(
            uid=uid,
            bundles=tuple(names),
            force=bool(facts[uid]["force"]),
            dry_run=bool(facts[uid]["dry_run"]),
            most_objects=facts[uid]["most_objects"],
            limit_seconds=facts[uid]["limit_seconds"],
        )
        for uid, names in bundles.items()
    )


def take_results(c: Connection, cluster: str, results: Iterable[SyncResult], now: datetime) -> bool:
    """Take in answers of the cluster's agent; did its target change, since one is complete?

    An answer to what is not open (any more) counts for nothing.
    """
    ended = False
    for result in results:
        taken = c.execute(
            "UPDATE sync_bundle SET state = ?, at = ?, result = ?"
            " WHERE sync = ? AND cluster = ? AND bundle = ? AND state = 'Asked'",
            (
                *("Done" if result.done else "Asked", text_of(now)),
                json_text(result.model_dump(mode="json", exclude={"uid", "bundle"})),
                *(result.uid, cluster, result.bundle),
            ),
        ).rowcount
        ended = ended or bool(taken and result.done)
    if ended:
        _raise(c, [cluster])
    return ended


def end_overdue(c: Connection, now: datetime) -> list[str]:
    """End the syncs whose time is up; the clusters whose target changed."""
    rows = c.execute(
        "UPDATE sync_bundle SET state = 'TimedOut', at = ? WHERE state = 'Asked'"
        " AND sync IN (SELECT uid FROM sync WHERE ends_at <= ?) RETURNING cluster",
        (text_of(now), text_of(now)),
    ).fetchall()
    clusters = sorted({row["cluster"] for row in rows})
    _raise(c, clusters)
    return clusters


def next_end(c: Connection) -> datetime | None:
    """When the next open sync is over at the latest."""
    row = c.execute(
        "SELECT min(ends_at) AS at FROM sync"
        " WHERE uid IN (SELECT sync FROM sync_bundle WHERE state = 'Asked')"
    ).fetchone()
    return moment_of(row["at"]) if row["at"] else None


def sync_rows(c: Connection, uid: str = "") -> list[dict[str, Any]]:
    """The sync of that name, or all that are remembered, the newest first."""
    rows = c.execute(
        "SELECT * FROM sync WHERE ? IN ('', uid) ORDER BY number DESC", (uid,)
    ).fetchall()
    return [dict(row) for row in rows]


def result_rows(c: Connection, uid: str) -> list[dict[str, Any]]:
    """Everybody who is asked in a sync, with what they answered (empty: nothing yet)."""
    rows = c.execute(
        "SELECT b.cluster, b.bundle, b.state, b.at, b.result, coalesce(a.online, 0) AS online"
        " FROM sync_bundle b LEFT JOIN agent a ON a.cluster = b.cluster WHERE b.sync = ?"
        " ORDER BY b.cluster, b.bundle",
        (uid,),
    )
    return [{**dict(row), "result": json_value(row["result"])} for row in rows]


def _raise(c: Connection, clusters: Iterable[str]) -> None:
    c.executemany(
        "UPDATE cluster SET serial = serial + 1 WHERE name = ?", [(name,) for name in clusters]
    )
