"""What rollouts delivered that track other commits than the hub's own, since when.

A tag that is here was released as that commit: if it is moved, that shows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from fleet.store.codec import moment_of, text_of
from fleet.store.database import Connection

PUSHES_LOOKED_AT = 100


def record_contents(c: Connection, contents: Mapping[str, tuple[str, str]], now: datetime) -> None:
    """Rollout → (ref, commit) that it delivers from now on; nothing new is written twice."""
    for rollout, (ref, commit) in sorted(contents.items()):
        last = c.execute(
            "SELECT ref, commit_id FROM content WHERE rollout = ? ORDER BY number DESC LIMIT 1",
            (rollout,),
        ).fetchone()
        if last is None or tuple(last) != (ref, commit):
            c.execute(
                "INSERT INTO content (rollout, ref, commit_id, seen_at) VALUES (?, ?, ?, ?)",
                (rollout, ref, commit, text_of(now)),
            )


def delivered_refs(c: Connection) -> dict[str, str]:
    """`tag v2.0.0` → the commit that was delivered as that, by whatever rollout."""
    rows = c.execute("SELECT ref, commit_id FROM content WHERE ref LIKE 'tag %' ORDER BY number")
    return {row["ref"]: row["commit_id"] for row in rows}


def delivered_commits(c: Connection) -> dict[str, tuple[str, ...]]:
    """Rollout → the commits that it delivered, the newest first."""
    found: dict[str, list[str]] = {}
    for row in c.execute("SELECT rollout, commit_id FROM content ORDER BY number DESC"):
        found.setdefault(row["rollout"], []).append(row["commit_id"])
    return {rollout: tuple(commits) for rollout, commits in found.items()}


def content_pushes(c: Connection) -> dict[str, tuple[datetime, ...]]:
    """Rollout → when each of its newest contents was first seen, the newest first."""
    found: dict[str, list[datetime]] = {}
    for row in c.execute("SELECT rollout, seen_at FROM content ORDER BY number DESC"):
        seen = found.setdefault(row["rollout"], [])
        if len(seen) < PUSHES_LOOKED_AT:
            seen.append(moment_of(row["seen_at"]))
    return {rollout: tuple(seen) for rollout, seen in found.items()}


def bundles_of(c: Connection, rollouts: Iterable[str]) -> frozenset[str]:
    """Every bundle that a run of one of these rollouts ever carried."""
    names = sorted(rollouts)
    marks = ", ".join("?" for _ in names)
    rows = c.execute(
        "SELECT DISTINCT rb.bundle FROM run_bundle rb JOIN run r ON r.uid = rb.run"
        f" WHERE r.rollout IN ({marks})",
        names,
    )
    return frozenset(row["bundle"] for row in rows)
