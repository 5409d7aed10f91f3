"""The tables under the words that people use, for `fleet query` and whoever opens the file.

Made anew at every start, so a view never lags behind the code. `sync_state` and `health_state` are
the functions of `fleet.status`, registered on the connection that runs people's queries; there is
no second copy of that table here. No view names a token or the body of a bundle deployment, which
holds variables.
"""

from __future__ import annotations

import sqlite3

from agents.protocol import ABSENT
from fleet.status import health_of, sync_of

VIEWS = {
    "clusters": """
        SELECT c.name AS cluster, c.declared,
            CASE WHEN c.left_at IS NOT NULL THEN 'Left'
                WHEN c.leaving <> '' THEN 'Leaving'
                WHEN a.cluster IS NULL THEN 'Pending'
                WHEN a.online THEN 'Online' ELSE 'Offline' END AS state,
            c.labels, c.leaving, a.last_seen, c.kubernetes_version AS declared_kubernetes_version,
            a.kubernetes_version, a.agent_version, a.nodes, c.serial AS target_serial,
            c.source, c.project, c.at AS declared_at
        FROM cluster c LEFT JOIN agent a ON a.cluster = c.name WHERE NOT c.forgotten""",
    "unclaimed": """
        SELECT cluster, registered_at, last_seen, online, kubernetes_version FROM agent
        WHERE cluster NOT IN (SELECT name FROM cluster)""",
    "groups": """
        SELECT g.name AS "group", m.cluster, g.source, g.project, g.at AS declared_at
        FROM cluster_group g LEFT JOIN group_member m ON m.group_name = g.name""",
    "bundles": """
        SELECT name AS bundle, declared, labels, depends_on, sources, source, project
        FROM bundle""",
    "bundledeployments": """
        SELECT d.cluster, d.bundle,
            sync_state(d.wanted, d.current, d.generation, d.reported, d.reported_generation,
                d.sync) AS sync,
            health_state(d.current, d.generation, d.reported, d.reported_generation,
                d.health) AS health,
            coalesce(a.online, 0) AS online, d.reported_at AS as_of, d.since,
            d.wanted, d.current, d.reported, d.wanted_commit, d.current_commit AS "commit",
            d.current_run AS run, d.generation, d.code, d.message, d.reason,
            d.source_path AS directory, d.customization, d.objects_total AS objects,
            d.objects_ready, d.drifted, d.contested, d.paused, d.healed, d.images, d.charts,
            d.source, d.project
        FROM bundle_deployment d LEFT JOIN agent a USING (cluster)
        WHERE NOT (d.gone AND d.wanted IN ('', 'absent'))""",
    "runs": """
        SELECT uid AS run, state, intent, rollout, lane, commit_id AS "commit", title, author,
            created_at AS created, ended_at AS ended, reason, superseded_by,
            (SELECT group_concat(bundle, ',') FROM run_bundle WHERE run = uid) AS bundles,
            source, project
        FROM run""",
    "runclusters": "SELECT run, cluster, stage, state, reason, code FROM run_cluster",
    "assignments": """
        SELECT cluster, generation, run, offered_at, started_at, withdrawn_at, withdrawn_why
        FROM assignment""",
    "heldchanges": "SELECT bundle, cluster, code, reason FROM held_change",
    "decisions": """
        SELECT number, run, verb, actor, at, reason, stage, clusters FROM decision""",
    "vetoes": "SELECT bundle, digest, run, actor, why, at, lifted_at, lifted_why FROM veto",
    "events": "SELECT number, at, kind, run, stage, cluster, message FROM event",
    "syncs": """
        SELECT uid AS sync, asked_at, ends_at, actor, reason, bundle, selector, force, dry_run
        FROM sync""",
    "syncresults": """
        SELECT sync, cluster, bundle, state, at, result ->> '$.sync' AS result,
            result ->> '$.code' AS code, result ->> '$.message' AS message
        FROM sync_bundle""",
    "problems": """
        SELECT severity, code, what, at, fix, bundle, cluster, origin, commit_id AS "commit", since
        FROM problem""",
    "commits": """
        SELECT id AS "commit", number, title, author, seen_at, planned_at, state, clusters,
            bundle_deployments, changed
        FROM plan_commit""",
}


def make_views(c: sqlite3.Connection) -> None:
    """Drop and make every view; in the caller's transaction."""
    for name, select in VIEWS.items():
        c.execute(f'DROP VIEW IF EXISTS "{name}"')
        c.execute(f'CREATE VIEW "{name}" AS {select}')


def add_functions(c: sqlite3.Connection) -> None:
    """Give a connection the functions that the views use."""
    c.create_function("sync_state", 6, _sync_state, deterministic=True)
    c.create_function("health_state", 5, _health_state, deterministic=True)


def _sync_state(
    wanted: str, current: str, generation: int, reported: str, reported_generation: int, said: str
) -> str:
    answered = (reported, reported_generation) == (current, generation)
    return str(sync_of(bool(current), answered, wanted in ("", current), said))


def _health_state(
    current: str, generation: int, reported: str, reported_generation: int, said: str
) -> str:
    answered = (reported, reported_generation) == (current, generation)
    return str(health_of(bool(current), answered, said))


HIDDEN = "NOT (d.gone = 1 AND d.wanted IN ('', '" + ABSENT + "'))"
"""The condition that leaves out what was removed and is not wanted back."""
