"""Rows for the documents of `fleet.status`: what people ask the hub.

Lists and maps come out of their JSON. States of many bundle deployments come out as counts of equal
facts, so that a page about 10,000 clusters reads a few rows for each.
"""

from __future__ import annotations

from typing import Any

from fleet.errors import RequestError
from fleet.store.codec import BISECTION, STAGES, json_value
from fleet.store.database import Connection
from fleet.store.views import HIDDEN

Row = dict[str, Any]

_FACTS = (
    "d.current <> '' AS granted,"
    " d.reported = d.current AND d.reported_generation = d.generation AS answered,"
    " d.wanted IN ('', d.current) AS as_wanted, d.sync, d.health,"
    " coalesce(a.online, 0) AS online, d.drifted > 0 AS drifted, d.contested > 0 AS contested,"
    " d.paused > 0 AS paused, count(*) AS n"
)


def cluster_rows(c: Connection, name: str = "") -> list[Row]:
    """Clusters that Git declares or declared, and those that only registered; by name."""
    rows = c.execute(
        "SELECT k.name, k.declared, k.leaving, k.left_at, k.labels, k.at, k.serial, a.last_seen,"
        " a.online,"
        " a.agent_version, a.nodes, a.serial AS agent_serial,"
        " coalesce(nullif(a.kubernetes_version, ''), k.kubernetes_version) AS kubernetes_version,"
        " (SELECT d.current_commit FROM bundle_deployment d"
        "  JOIN plan_commit p ON p.id = d.current_commit WHERE d.cluster = k.name"
        "  ORDER BY p.number DESC LIMIT 1) AS commit_id"
        " FROM cluster k LEFT JOIN agent a ON a.cluster = k.name WHERE NOT k.forgotten"
        " AND ? IN ('', k.name)"
        " UNION ALL SELECT a.cluster, 0, '', NULL, '{}', '', 0, a.last_seen, a.online,"
        " a.agent_version, a.nodes, a.serial, a.kubernetes_version, '' FROM agent a"
        " WHERE a.cluster NOT IN (SELECT name FROM cluster) AND ? IN ('', a.cluster)"
        " ORDER BY 1",
        (name, name),
    )
    return [_opened(row, "labels") for row in rows]


def groups_of_clusters(c: Connection) -> dict[str, list[str]]:
    """Cluster → the groups that it is in."""
    found: dict[str, list[str]] = {}
    for row in c.execute("SELECT cluster, group_name FROM group_member ORDER BY 1, 2"):
        found.setdefault(row["cluster"], []).append(row["group_name"])
    return found


def group_rows(c: Connection) -> list[Row]:
    """Groups with their members."""
    rows = c.execute(
        "SELECT g.name, g.at, (SELECT json_group_array(m.cluster) FROM group_member m"
        " WHERE m.group_name = g.name) AS members FROM cluster_group g ORDER BY g.name"
    )
    return [_opened(row, "members") for row in rows]


def facts_by(c: Connection, column: str, value: str = "") -> dict[str, list[Row]]:
    """Counts of equal facts for each `cluster`, `bundle` or `group`, or of one of them."""
    name = {"cluster": "d.cluster", "bundle": "d.bundle", "group": "m.group_name"}[column]
    join = " JOIN group_member m ON m.cluster = d.cluster" if column == "group" else ""
    rows = c.execute(
        f"SELECT {name} AS name, {_FACTS} FROM bundle_deployment d"
        f" LEFT JOIN agent a ON a.cluster = d.cluster{join}"
        f" WHERE {HIDDEN} AND ? IN ('', {name}) GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9, 10",
        (value,),
    )
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["name"], []).append(dict(row))
    return found


def bundle_rows(c: Connection, name: str = "") -> list[Row]:
    """Bundles that Git declares or that still run somewhere, each with its newest run."""
    rows = c.execute(
        "SELECT b.name, b.declared, b.labels, b.depends_on, b.sources,"
        " (SELECT d.wanted_commit FROM bundle_deployment d"
        "  JOIN plan_commit p ON p.id = d.wanted_commit WHERE d.bundle = b.name"
        "  ORDER BY p.number DESC LIMIT 1) AS commit_id, r.uid AS run, r.state AS run_state"
        " FROM bundle b LEFT JOIN run r ON r.number = (SELECT max(x.number) FROM run_bundle rb"
        "  JOIN run x ON x.uid = rb.run WHERE rb.bundle = b.name)"
        f" WHERE ? IN ('', b.name) AND (b.declared OR EXISTS (SELECT 1 FROM bundle_deployment d"
        f"  WHERE d.bundle = b.name AND {HIDDEN})) ORDER BY b.name",
        (name,),
    )
    return [_opened(row, "labels", "depends_on", "sources") for row in rows]


def deployment_rows(c: Connection, cluster: str = "", bundle: str = "") -> list[Row]:
    """Bundle deployments of one cluster, of one bundle, or all."""
    where, values = [HIDDEN], []
    for column, value in (("d.cluster", cluster), ("d.bundle", bundle)):
        if value:
            where.append(f"{column} = ?")
            values.append(value)
    rows = c.execute(
        "SELECT d.*, coalesce(a.online, 0) AS online FROM bundle_deployment d"
        f" LEFT JOIN agent a USING (cluster) WHERE {' AND '.join(where)}"
        " ORDER BY d.cluster, d.bundle",
        values,
    )
    return [_opened(row, "images", "charts", "objects") for row in rows]


def run_rows(c: Connection, uid: str = "", *, live: bool = False, limit: int = 200) -> list[Row]:
    """Runs, the newest first; or the one of that uid."""
    rows = c.execute(
        "SELECT uid, number, state, intent, rollout, lane, commit_id, title, author, reason,"
        " created_at, ended_at, wake_at, superseded_by, stages, plan_hash, bisection,"
        " (SELECT json_group_array(bundle) FROM run_bundle WHERE run = uid) AS bundles,"
        " (SELECT count(*) FROM run_cluster WHERE run = uid) AS clusters"
        " FROM run WHERE ? IN ('', uid) AND (ended_at IS NULL OR NOT ?)"
        " ORDER BY number DESC LIMIT ?",
        (uid, live, limit),
    )
    return [
        {
            **_opened(row, "bundles"),
            "stages": STAGES.validate_json(row["stages"]),
            "bisection": BISECTION.validate_json(row["bisection"]) if row["bisection"] else None,
        }
        for row in rows
    ]


def one_uid(c: Connection, prefix: str) -> str:
    """The run whose uid is that text, or the only one that begins with it.

    Errors: `RequestError` with status 404 if there is none, 409 if there are several.
    """
    rows = c.execute(
        "SELECT uid FROM run WHERE substr(uid, 1, length(?)) = ? ORDER BY uid LIMIT 10",
        (prefix, prefix),
    )
    found = [row["uid"] for row in rows] if prefix else []
    if prefix in found:
        return prefix
    if len(found) > 1:
        raise RequestError(
            f"several runs begin with {prefix!r}",
            fix=f"name one of {', '.join(found)}",
            code="run-ambiguous",
            status=409,
        )
    if not found:
        raise RequestError(
            f"there is no run {prefix!r}", fix="see `fleet runs`", code="no-such-run", status=404
        )
    return str(found[0])


def run_cluster_rows(c: Connection, run: str) -> list[Row]:
    """Every cluster of a run."""
    rows = c.execute(
        "SELECT cluster, stage, state, reason, code FROM run_cluster WHERE run = ?", (run,)
    )
    return [dict(row) for row in rows]


def carriers_of(c: Connection, cluster: str, bundle: str) -> list[Row]:
    """Live runs that carry a bundle to a cluster."""
    rows = c.execute(
        "SELECT r.uid AS run, rc.stage, rc.state, rc.reason, rc.code, r.state AS run_state,"
        " r.reason AS run_reason FROM run r JOIN run_bundle rb ON rb.run = r.uid"
        " JOIN run_cluster rc ON rc.run = r.uid AND rc.cluster = ?"
        " WHERE rb.bundle = ? AND r.ended_at IS NULL ORDER BY r.number DESC",
        (cluster, bundle),
    )
    return [dict(row) for row in rows]


def held_rows(c: Connection, cluster: str, bundle: str) -> list[Row]:
    """Why changes of a bundle are not released to a cluster, or to anybody."""
    rows = c.execute(
        "SELECT code, reason FROM held_change"
        " WHERE bundle IN ('', ?) AND cluster IN ('', ?) ORDER BY code, reason",
        (bundle, cluster),
    )
    return [dict(row) for row in rows]


def decision_rows(c: Connection, run: str) -> list[Row]:
    """Decisions on a run."""
    rows = c.execute("SELECT * FROM decision WHERE run = ? ORDER BY number", (run,))
    return [_opened(row, "clusters", "groups") for row in rows]


def event_rows(c: Connection, run: str = "", *, after: int = 0, limit: int = 500) -> list[Row]:
    """The newest lines of history (of one run), oldest first."""
    rows = c.execute(
        "SELECT * FROM (SELECT * FROM event WHERE ? IN ('', run) AND number > ?"
        " ORDER BY number DESC LIMIT ?) ORDER BY number",
        (run, after, limit),
    )
    return [dict(row) for row in rows]


def problem_rows(c: Connection) -> list[Row]:
    """Every problem, errors first."""
    rows = c.execute("SELECT * FROM problem ORDER BY severity, at, code, what, cluster, bundle")
    return [dict(row) for row in rows]


def newest_commit(c: Connection, *, planned: bool = False) -> Row | None:
    """The newest commit that was seen, or that was planned well."""
    row = c.execute(
        "SELECT * FROM plan_commit WHERE NOT ? OR state = 'planned' ORDER BY number DESC LIMIT 1",
        (planned,),
    ).fetchone()
    return None if row is None else dict(row)


def _opened(row: Any, *columns: str) -> Row:
    found: dict[str, Any] = dict(row)
    for column in columns:
        found[column] = json_value(found[column])
    return found
