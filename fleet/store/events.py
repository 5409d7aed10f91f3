"""History lines, problems and the few single values of the hub: appended or replaced."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from fleet.model import Problem
from fleet.store.codec import text_of
from fleet.store.database import Connection


def add_event(
    c: Connection,
    now: datetime,
    kind: str,
    message: str,
    *,
    run: str = "",
    stage: str = "",
    cluster: str = "",
) -> None:
    """Append one line of history."""
    c.execute(
        "INSERT INTO event (at, kind, run, stage, cluster, message) VALUES (?, ?, ?, ?, ?, ?)",
        (text_of(now), kind, run, stage, cluster, message),
    )


def replace_problems(
    c: Connection, origin: str, problems: Iterable[Problem], now: datetime, commit: str = ""
) -> None:
    """These are now all problems of that origin; one that was there before keeps its `since`."""
    rows = {(p.code, p.what, p.at, p.bundle, p.cluster): p for p in problems}
    had = c.execute(
        "SELECT code, what, at, bundle, cluster FROM problem WHERE origin = ?", (origin,)
    ).fetchall()
    c.executemany(
        "DELETE FROM problem WHERE origin = ? AND code = ? AND what = ? AND at = ?"
        " AND bundle = ? AND cluster = ?",
        [(origin, *key) for row in had if (key := tuple(row)) not in rows],
    )
    c.executemany(
        "INSERT INTO problem"
        " (origin, code, severity, what, at, fix, bundle, cluster, commit_id, since)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
        " severity = excluded.severity, fix = excluded.fix, commit_id = excluded.commit_id",
        [
            (
                *(origin, p.code, str(p.severity), p.what, p.at, p.fix, p.bundle, p.cluster),
                *(commit, text_of(now)),
            )
            for p in rows.values()
        ],
    )


def get_meta(c: Connection, key: str, default: str = "") -> str:
    """A single value of the hub."""
    row = c.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return default if row is None else str(row["value"])


def set_meta(c: Connection, key: str, value: str) -> None:
    """Remember a single value of the hub."""
    c.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, value),
    )


def epoch(c: Connection) -> int:
    """The hub's epoch: raised when a hub is restored from a backup."""
    return int(get_meta(c, "epoch", "1"))
