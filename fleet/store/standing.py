"""What decides whether new runs are wanted: what was granted, who is there, past runs."""

from __future__ import annotations

from fleet.store.database import Connection


def granted(c: Connection) -> dict[str, dict[str, str]]:
    """Cluster → bundle → digest last granted; what never was is not there."""
    found: dict[str, dict[str, str]] = {}
    rows = c.execute("SELECT cluster, bundle, current FROM bundle_deployment WHERE current <> ''")
    for row in rows:
        found.setdefault(row["cluster"], {})[row["bundle"]] = row["current"]
    return found


def online(c: Connection) -> frozenset[str]:
    """Clusters that Git declares and whose agent is there."""
    rows = c.execute(
        "SELECT a.cluster FROM agent a JOIN cluster k ON k.name = a.cluster"
        " WHERE a.online = 1 AND k.declared = 1"
    )
    return frozenset(row["cluster"] for row in rows)


def unhealthy(c: Connection) -> frozenset[tuple[str, str]]:
    """(cluster, bundle) that the agent calls anything but Healthy under what was granted."""
    rows = c.execute(
        "SELECT cluster, bundle FROM bundle_deployment WHERE reported <> ''"
        " AND reported = current AND reported_generation = generation"
        " AND health IN ('Degraded', 'Missing')"
    )
    return frozenset((row["cluster"], row["bundle"]) for row in rows)


def relevant_runs(c: Connection) -> list[tuple[str, str, bool]]:
    """(uid, state, breached), oldest first: live ones, and back to each bundle's last success."""
    rows = c.execute(
        "SELECT DISTINCT r.uid, r.number, r.state,"
        " json_array_length(r.marks, '$.breached') > 0 AS breached"
        " FROM run r JOIN run_bundle b ON b.run = r.uid"
        " WHERE r.ended_at IS NULL OR r.number >= coalesce((SELECT max(x.number) FROM run x"
        "  JOIN run_bundle y ON y.run = x.uid WHERE y.bundle = b.bundle"
        "  AND x.state = 'Succeeded' AND x.lane = 'Staged'), 0) ORDER BY r.number"
    )
    return [(row["uid"], row["state"], bool(row["breached"])) for row in rows]


def newest_event(c: Connection) -> int:
    """The number of the newest line of history: equal numbers mean that nothing happened."""
    (number,) = c.execute("SELECT coalesce(max(number), 0) FROM event").fetchone()
    return int(number)
