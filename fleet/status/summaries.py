"""Rows that people read, made of rows of the store.

Every function takes mappings with the store's column names and answers plain dicts that go into
JSON as they are; times are aware datetimes, durations are seconds.

    deployment_row   one bundle deployment
    cluster_rows     its bundle deployments counted by cluster
    group_rows       … by cluster group
    bundle_rows      … by bundle
    run_row          one rollout run with its stages
    overview         the whole fleet
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agents.protocol import Health, SyncState
from fleet.status.states import Facts, Shown, counted, shown

Row = Mapping[str, Any]
SETTLED = (SyncState.SYNCED, Health.HEALTHY)


def facts_of(row: Row) -> Facts:
    """The facts in one row of the store's view of bundle deployments."""
    return Facts(
        registered=bool(row["registered"]),
        online=bool(row["online"]),
        wanted=row["wanted"],
        current=row["current"],
        generation=row["generation"],
        reported=row["reported"],
        reported_generation=row["reported_generation"],
        sync=SyncState(row["sync"]),
        health=Health(row["health"]),
        held=bool(row["held"]),
        awaited=bool(row["awaited"]),
    )


def deployment_row(row: Row) -> dict[str, Any]:
    """One bundle deployment: what Git wants, what was released, what the agent says."""
    state = shown(facts_of(row))
    return {
        "cluster": row["cluster"],
        "bundle": row["bundle"],
        "sync": str(state.sync),
        "health": str(state.health),
        "current": state.current,
        "message": row["message"] or state.why,
        "code": row["code"],
        "wanted": row["wanted"],
        "assigned": row["current"],
        "reported": row["reported"],
        "generation": row["generation"],
        "commit": row["current_commit"],
        "wantedCommit": row["wanted_commit"],
        "run": row["current_run"],
        "objects": row["objects_total"],
        "objectsReady": row["objects_ready"],
        "drifted": row["drifted"],
        "healed": row["healed"],
        "since": row["since"],
        "source": row["source_path"],
        "reason": row["reason"],
        "customization": row["customization"],
        "images": row["images"],
    }


def cluster_rows(clusters: Iterable[Row], deployments: Iterable[Row]) -> list[dict[str, Any]]:
    """One row for each cluster: who it is, whether it is there, how much of it is as wanted."""
    by_cluster = _states_by(deployments, "cluster")
    return [
        {
            "cluster": cluster["name"],
            "groups": cluster["groups"],
            "labels": cluster["labels"],
            "connection": connection_of(cluster),
            "lastSeen": cluster["last_seen"],
            "kubernetes": cluster["kubernetes_version"],
            "agent": cluster["agent_version"],
            "nodes": cluster["nodes"],
            **_counts(by_cluster.get(cluster["name"], [])),
        }
        for cluster in clusters
    ]


def connection_of(cluster: Row) -> str:
    """Online, Offline, Pending (declared, never registered) or Unclaimed (not declared)."""
    if not cluster["declared"]:
        return "Unclaimed"
    if not cluster["registered"]:
        return "Pending"
    return "Online" if cluster["online"] else "Offline"


def group_rows(
    groups: Iterable[Row], clusters: Sequence[Row], deployments: Sequence[Row]
) -> list[dict[str, Any]]:
    """One row for each cluster group."""
    by_cluster = _states_by(deployments, "cluster")
    online = {c["name"] for c in clusters if connection_of(c) == "Online"}
    return [
        {
            "group": group["name"],
            "clusters": len(group["members"]),
            "online": len(online.intersection(group["members"])),
            **_counts([s for name in group["members"] for s in by_cluster.get(name, [])]),
        }
        for group in groups
    ]


def bundle_rows(bundles: Iterable[Row], deployments: Sequence[Row]) -> list[dict[str, Any]]:
    """One row for each bundle: where it is, as what, and the newest run that carries it."""
    by_bundle = _states_by(deployments, "bundle")
    return [
        {
            "bundle": bundle["name"],
            "labels": bundle["labels"],
            "dependsOn": bundle["depends_on"],
            "sources": bundle["sources"],
            "clusters": len(by_bundle.get(bundle["name"], [])),
            "run": bundle["run"],
            "runState": bundle["run_state"],
            **_counts(by_bundle.get(bundle["name"], [])),
        }
        for bundle in bundles
    ]


def run_row(run: Row) -> dict[str, Any]:
    """One rollout run with the state of each stage."""
    stages = run["stages"]
    return {
        "run": run["uid"],
        "rollout": run["rollout"],
        "lane": run["lane"],
        "bundles": run["bundles"],
        "commit": run["commit_id"],
        "title": run["title"],
        "author": run["author"],
        "state": run["state"],
        "intent": run["intent"],
        "reason": run["reason"],
        "created": run["created_at"],
        "ended": run["ended_at"],
        "supersededBy": run["superseded_by"],
        "clusters": sum(int(stage["total"]) for stage in stages),
        "healthy": sum(int(stage["healthy"]) for stage in stages),
        "failed": sum(int(stage["failed"]) for stage in stages),
        "stages": stages,
    }


def overview(
    clusters: Sequence[Row], deployments: Sequence[Row], runs: Sequence[Row], problems: int
) -> dict[str, Any]:
    """The whole fleet in one document."""
    states = [shown(facts_of(row)) for row in deployments]
    return {
        "clusters": {
            "total": len(clusters),
            **_tally(connection_of(cluster) for cluster in clusters),
        },
        "bundleDeployments": {
            **_counts(states),
            "bySync": _tally(str(counted(state)[0]) for state in states),
            "byHealth": _tally(str(counted(state)[1]) for state in states),
        },
        "runs": _tally(run["state"] for run in runs),
        "problems": problems,
    }


def _states_by(deployments: Iterable[Row], key: str) -> dict[str, list[Shown]]:
    found: dict[str, list[Shown]] = {}
    for row in deployments:
        found.setdefault(row[key], []).append(shown(facts_of(row)))
    return found


def _counts(states: Sequence[Shown]) -> dict[str, Any]:
    """How many there are, how many are as wanted, and the worst that is current."""
    pairs = [counted(state) for state in states]
    return {
        "total": len(pairs),
        "synced": sum(sync is SyncState.SYNCED for sync, _ in pairs),
        "ready": sum(pair == SETTLED for pair in pairs),
        "failed": sum(sync is SyncState.FAILED for sync, _ in pairs),
        "health": str(Health.worst([health for _, health in pairs])),
    }


def _tally(words: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(words).items()))
