"""Clusters that Git declared and no longer declares: what becomes of them until they are forgotten.

::

    declared ──not in a commit that reads well──► leaving ──its agent says so──► left
        ▲                                            │                             │ silent
        └────────────── declared again ──────────────┴─────────────────────────────▼
                                                            a person says so ──► forgotten

| the policy that Git declared last | what the target of a leaving cluster says |
|---|---|
| `orphan` | everything stays as it is, nothing is applied or healed any more |
| `delete`, `wait` | every bundle is to be removed; the cluster has left when all have gone |

Nothing is deleted by accident: a commit that lets more than `PART` of the clusters leave at once,
and `LEAST` or more, leaves everything where it is, whatever the policies say. What is forgotten is
the cluster's state and its agent's token; counters stay, since agents refuse a lower serial, and so
does history.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from agents.protocol import ABSENT, Deletion, Report
from fleet.store.codec import text_of
from fleet.store.database import Connection
from fleet.store.events import add_event, epoch

PART, LEAST = 0.25, 2
_ROWS = ("bundle_deployment", "agent", "agent_incarnation", "agent_token")


@dataclass(frozen=True, slots=True)
class Departures:
    """What a commit changed about who belongs to the fleet."""

    moved: frozenset[str] = frozenset()
    """Clusters whose target is another one now."""
    spared: frozenset[str] = frozenset()
    """Clusters that were to be emptied, and are not, since too many left at once."""


def settle(c: Connection, named: Collection[str], commit: str, now: datetime) -> Departures:
    """Let clusters leave that are declared and not named; take back those that are named again."""
    back = _take_back(c, named)
    rows = c.execute("SELECT name, deletion FROM cluster WHERE declared = 1 ORDER BY name")
    policies = {row["name"]: Deletion(row["deletion"]) for row in rows}
    gone = sorted(policies.keys() - set(named))
    too_many = len(gone) >= LEAST and len(gone) > PART * len(policies)
    emptied = frozenset(name for name in gone if policies[name] is not Deletion.ORPHAN)
    for name in gone:
        policy = Deletion.ORPHAN if too_many else policies[name]
        _let_leave(c, name, policy, commit, now)
    return Departures(back | frozenset(gone), emptied if too_many else frozenset())


def _take_back(c: Connection, named: Iterable[str]) -> frozenset[str]:
    rows = c.execute("SELECT name FROM cluster WHERE leaving <> ''").fetchall()
    back = {row["name"] for row in rows}.intersection(named)
    c.executemany(
        "UPDATE cluster SET leaving = '', left_at = NULL, forgotten = 0, serial = serial + 1"
        " WHERE name = ?",
        [(name,) for name in back],
    )
    return frozenset(back)


def _let_leave(c: Connection, name: str, policy: Deletion, commit: str, now: datetime) -> None:
    (generation,) = c.execute(
        "UPDATE cluster SET declared = 0, leaving = ?, serial = serial + 1,"
        " generation = generation + 1 WHERE name = ? RETURNING generation",
        (policy.value, name),
    ).fetchone()
    add_event(c, now, "cluster-leaving", f"{name} leaves the fleet ({policy})", cluster=name)
    if policy is not Deletion.ORPHAN:
        c.execute(
            "UPDATE bundle_deployment SET previous = current, current = ?, current_commit = ?,"
            " generation = ?, granted_at = ?, wanted = ?, wanted_commit = ?, held = 0,"
            " reason = 'the cluster leaves the fleet'"
            " WHERE cluster = ? AND current NOT IN ('', ?)",
            (ABSENT, commit, generation, text_of(now), ABSENT, commit, name, ABSENT),
        )
    known = c.execute("SELECT 1 FROM agent WHERE cluster = ?", (name,)).fetchone()
    if known is None:  # nothing ever ran there
        forget(c, name, now)


def leaving_of(c: Connection, cluster: str) -> Deletion | None:
    """By which policy the cluster leaves; `None` for one that is declared, or never was."""
    row = c.execute("SELECT leaving FROM cluster WHERE name = ?", (cluster,)).fetchone()
    return Deletion(row["leaving"]) if row is not None and row["leaving"] else None


def take_farewell(c: Connection, report: Report, now: datetime) -> bool:
    """The agent says that nothing more is to be done; is that news, and of the target of now?"""
    if not report.left:
        return False
    ours = epoch(c)
    left = c.execute(
        "UPDATE cluster SET left_at = ? WHERE name = ? AND leaving <> '' AND left_at IS NULL"
        " AND (?, serial) = (?, ?)",
        (text_of(now), report.cluster, ours, report.epoch, report.serial),
    ).rowcount
    if left:
        text = f"{report.cluster} has left the fleet"
        add_event(c, now, "cluster-gone", text, cluster=report.cluster)
    return bool(left)


def forget_silent(c: Connection, now: datetime) -> list[str]:
    """Forget clusters that have left and whose agent fell silent; returns their names."""
    rows = c.execute(
        "SELECT k.name FROM cluster k JOIN agent a ON a.cluster = k.name"
        " WHERE k.left_at IS NOT NULL AND a.online = 0 ORDER BY k.name"
    ).fetchall()
    for row in rows:
        forget(c, row["name"], now)
    return [row["name"] for row in rows]


def forget(c: Connection, cluster: str, now: datetime) -> None:
    """Drop what is known of a cluster that Git does not declare, and its agent's token."""
    for table in _ROWS:
        c.execute(f"DELETE FROM {table} WHERE cluster = ?", (cluster,))
    c.execute("UPDATE cluster SET forgotten = 1 WHERE name = ?", (cluster,))
    add_event(c, now, "cluster-forgotten", f"{cluster} is forgotten", cluster=cluster)
