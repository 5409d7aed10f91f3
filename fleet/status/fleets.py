"""The whole fleet, its clusters, groups and problems as documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fleet.status.sync import Row, Tally


def connection(row: Row) -> str:
    """`Online`, `Offline`, `Pending` (never came) or `Unclaimed` (came, and Git knows it not).

    One that Git no longer declares is `Leaving`, and `Left` when nothing more is done there.
    """
    if not row["declared"]:
        if row["leaving"]:
            return "Left" if row["left_at"] else "Leaving"
        return "Unclaimed" if row["last_seen"] else "Undeclared"
    if row["last_seen"] is None:
        return "Pending"
    return "Online" if row["online"] else "Offline"


def cluster_document(row: Row, groups: Iterable[str], tally: Tally) -> dict[str, Any]:
    """One cluster: who it is, whether it is there, how much of what it runs is in sync."""
    state = connection(row)
    return {
        "cluster": row["name"],
        "state": state,
        "groups": sorted(groups),
        "labels": dict(row["labels"]),
        "bundleDeployments": tally.total,
        "synced": tally.synced,
        "sync": dict(tally.sync),
        "health": tally.worst_health() if state == "Online" else "Unknown",
        "healthCounts": dict(tally.health),
        "drifted": tally.drifted,
        "contested": tally.contested,
        "paused": tally.paused,
        "commit": row["commit_id"] or "",
        "lastSeen": row["last_seen"],
        "kubernetesVersion": row["kubernetes_version"] or "",
        "agentVersion": row["agent_version"] or "",
        "nodes": row["nodes"] or 0,
        "declaredAt": row["at"],
        "leaving": row["leaving"],
        "targetSerial": row["serial"],
        "agentSerial": row["agent_serial"] or 0,
    }


def group_document(
    row: Row, clusters: Mapping[str, Mapping[str, Any]], tally: Tally
) -> dict[str, Any]:
    """One cluster group: its members and their states together."""
    members = [clusters[name] for name in row["members"] if name in clusters]
    return {
        "group": row["name"],
        "clusters": sorted(row["members"]),
        "members": len(row["members"]),
        "online": sum(member["state"] == "Online" for member in members),
        "bundleDeployments": tally.total,
        "synced": tally.synced,
        "offline": tally.offline,
        "sync": dict(tally.sync),
        "health": tally.worst_health(),
        "healthCounts": dict(tally.health),
        "declaredAt": row["at"],
    }


def fleet_document(
    *,
    hub: Mapping[str, Any],
    source: Mapping[str, Any],
    clusters: Iterable[Mapping[str, Any]],
    groups: Iterable[Mapping[str, Any]],
    runs: Iterable[Mapping[str, Any]],
    problems: Iterable[Mapping[str, Any]],
    tally: Tally,
) -> dict[str, Any]:
    """Everything on one page."""
    states: dict[str, int] = {}
    for cluster in clusters:
        states[cluster["state"]] = states.get(cluster["state"], 0) + 1
    severities = [problem["severity"] for problem in problems]
    return {
        "hub": dict(hub),
        "source": dict(source),
        "clusters": {"total": sum(states.values()), **dict(sorted(states.items()))},
        "bundleDeployments": tally.document(),
        "groups": list(groups),
        "runs": list(runs),
        "problems": {
            "errors": severities.count("error"),
            "warnings": severities.count("warning"),
        },
    }


def problem_document(row: Row) -> dict[str, Any]:
    """A problem as people see it."""
    return {
        "code": row["code"],
        "severity": row["severity"],
        "what": row["what"],
        "at": row["at"],
        "fix": row["fix"],
        "bundle": row["bundle"],
        "cluster": row["cluster"],
        "origin": row["origin"],
        "commit": row["commit_id"],
        "since": row["since"],
    }
