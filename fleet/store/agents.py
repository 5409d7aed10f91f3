"""Who speaks for a cluster: tokens (as hashes only), registrations, incarnations, who is online.

One token for each cluster; a new one replaces the old at once. The incarnation that registered
last speaks for its cluster. One that was replaced and goes on talking is a second live agent:
`rivals` finds those. Times are hub time; agents' clocks are never asked.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from agents.protocol import RegisterRequest
from fleet.store.codec import moment_of, text_of
from fleet.store.database import Connection
from fleet.store.events import add_event

INCARNATIONS_KEPT = 8
TROUBLE_LETTERS = 500
"""So much of an agent's complaint is kept."""


@dataclass(frozen=True, slots=True)
class AgentRow:
    """The agent that speaks for a cluster."""

    cluster: str
    incarnation: str
    sequence: int
    last_seen: datetime
    online: bool


def token_hash(token: str) -> str:
    """What is stored of a token; tokens are random, so a plain hash does."""
    return hashlib.sha256(token.encode()).hexdigest()


def set_token(c: Connection, cluster: str, token: str, now: datetime) -> None:
    """Bind a token to a cluster's name; an earlier one of that cluster stops working."""
    c.execute(
        "INSERT INTO agent_token (cluster, hash, created_at) VALUES (?, ?, ?)"
        " ON CONFLICT (cluster) DO UPDATE SET hash = excluded.hash,"
        " created_at = excluded.created_at",
        (cluster, token_hash(token), text_of(now)),
    )
    add_event(c, now, "token-created", f"a new agent token for {cluster}", cluster=cluster)


def cluster_of_token(c: Connection, token: str) -> str | None:
    """The cluster that a token speaks for, `None` for a token that the hub did not give."""
    if not token:
        return None
    row = c.execute(
        "SELECT cluster FROM agent_token WHERE hash = ?", (token_hash(token),)
    ).fetchone()
    return None if row is None else str(row["cluster"])


def find_agent(c: Connection, cluster: str) -> AgentRow | None:
    """The agent that speaks for the cluster, `None` if none ever registered."""
    row = c.execute(
        "SELECT cluster, incarnation, sequence, last_seen, online FROM agent WHERE cluster = ?",
        (cluster,),
    ).fetchone()
    if row is None:
        return None
    return AgentRow(
        row["cluster"],
        row["incarnation"],
        row["sequence"],
        moment_of(row["last_seen"]),
        bool(row["online"]),
    )


def register(c: Connection, asked: RegisterRequest, protocol: int, now: datetime) -> None:
    """Make this incarnation the one that speaks; repeated it changes nothing but `last_seen`."""
    at = text_of(now)
    before = find_agent(c, asked.cluster)
    if before is None or before.incarnation != asked.incarnation:
        speaks(c, asked.cluster, asked.incarnation, now)
        add_event(c, now, "agent-registered", f"{asked.cluster} registered", cluster=asked.cluster)
    c.execute(
        "UPDATE agent SET last_seen = ?, online = 1, protocol = ?, agent_version = ?,"
        " kubernetes_version = ?, trouble = ? WHERE cluster = ?",
        (
            *(at, protocol, asked.agent_version, asked.kubernetes_version),
            *(asked.trouble[:TROUBLE_LETTERS], asked.cluster),
        ),
    )
    touch_incarnation(c, asked.cluster, asked.incarnation, now)


def speaks(c: Connection, cluster: str, incarnation: str, now: datetime) -> None:
    """This incarnation speaks for the cluster from now on; its report sequence begins anew."""
    at = text_of(now)
    c.execute(
        "UPDATE agent_incarnation SET replaced_at = ?"
        " WHERE cluster = ? AND incarnation <> ? AND replaced_at IS NULL",
        (at, cluster, incarnation),
    )
    c.execute(
        "INSERT INTO agent (cluster, incarnation, registered_at, last_seen, online)"
        " VALUES (?, ?, ?, ?, 1) ON CONFLICT (cluster) DO UPDATE SET"
        " incarnation = excluded.incarnation, sequence = -1,"
        " registered_at = excluded.registered_at, last_seen = excluded.last_seen, online = 1",
        (cluster, incarnation, at, at),
    )
    touch_incarnation(c, cluster, incarnation, now)
    c.execute(
        "DELETE FROM agent_incarnation WHERE cluster = ? AND incarnation NOT IN ("
        " SELECT incarnation FROM agent_incarnation WHERE cluster = ?"
        " ORDER BY last_seen DESC LIMIT ?)",
        (cluster, cluster, INCARNATIONS_KEPT),
    )


def touch_incarnation(c: Connection, cluster: str, incarnation: str, now: datetime) -> None:
    """Remember that this incarnation was heard just now, whether or not it speaks."""
    at = text_of(now)
    c.execute(
        "INSERT INTO agent_incarnation (cluster, incarnation, first_seen, last_seen)"
        " VALUES (?, ?, ?, ?) ON CONFLICT (cluster, incarnation)"
        " DO UPDATE SET last_seen = excluded.last_seen",
        (cluster, incarnation, at, at),
    )


def was_replaced(c: Connection, cluster: str, incarnation: str) -> bool:
    """Did another incarnation take over from this one?"""
    row = c.execute(
        "SELECT 1 FROM agent_incarnation"
        " WHERE cluster = ? AND incarnation = ? AND replaced_at IS NOT NULL",
        (cluster, incarnation),
    ).fetchone()
    return row is not None


def rivals(c: Connection, since: datetime) -> list[str]:
    """Clusters where an incarnation was heard after it was replaced, and since that moment."""
    rows = c.execute(
        "SELECT DISTINCT cluster FROM agent_incarnation"
        " WHERE replaced_at IS NOT NULL AND last_seen > replaced_at AND last_seen >= ?"
        " ORDER BY cluster",
        (text_of(since),),
    )
    return [row["cluster"] for row in rows]


def troubles(c: Connection) -> dict[str, str]:
    """Clusters whose agent is online and does not follow the hub → why, as it says."""
    rows = c.execute("SELECT cluster, trouble FROM agent WHERE online = 1 AND trouble <> ''")
    return {row["cluster"]: row["trouble"] for row in rows}


def mark_offline(c: Connection, before: datetime, now: datetime) -> list[str]:
    """Whoever was last heard before that moment is offline; returns those that just became it."""
    rows = c.execute(
        "SELECT cluster FROM agent WHERE online = 1 AND last_seen < ? ORDER BY cluster",
        (text_of(before),),
    ).fetchall()
    gone = [row["cluster"] for row in rows]
    c.executemany("UPDATE agent SET online = 0 WHERE cluster = ?", [(name,) for name in gone])
    for name in gone:
        add_event(c, now, "cluster-offline", f"{name} is offline", cluster=name)
    return gone


def next_offline(c: Connection) -> datetime | None:
    """When the agent that was silent longest was last heard, among those online."""
    row = c.execute("SELECT min(last_seen) AS seen FROM agent WHERE online = 1").fetchone()
    return moment_of(row["seen"]) if row["seen"] else None


def cluster_known(c: Connection, cluster: str) -> bool:
    """Does Git declare this cluster?"""
    row = c.execute("SELECT 1 FROM cluster WHERE name = ? AND declared = 1", (cluster,)).fetchone()
    return row is not None
