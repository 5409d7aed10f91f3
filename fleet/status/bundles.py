"""Bundles and bundle deployments as documents."""

from __future__ import annotations

from typing import Any

from fleet.status.sync import Row, Tally, health_of, sync_of


def bundle_document(row: Row, tally: Tally) -> dict[str, Any]:
    """One bundle over all clusters that run it or are to run it."""
    return {
        "bundle": row["name"],
        "labels": dict(row["labels"]),
        "dependsOn": list(row["depends_on"]),
        "sources": list(row["sources"]),
        "clusters": tally.total,
        "synced": tally.synced,
        "offline": tally.offline,
        "drifted": tally.drifted,
        "contested": tally.contested,
        "paused": tally.paused,
        "sync": dict(tally.sync),
        "health": tally.worst_health(),
        "healthCounts": dict(tally.health),
        "commit": row["commit_id"] or "",
        "run": row["run"] or "",
        "runState": row["run_state"] or "",
        "declared": bool(row["declared"]),
    }


def deployment_document(row: Row) -> dict[str, Any]:
    """One bundle in one cluster; of an offline cluster as of its last report."""
    granted = bool(row["current"])
    answered = row["reported"] == row["current"] and (
        row["reported_generation"] == row["generation"]
    )
    as_wanted = row["wanted"] in ("", row["current"])
    return {
        "cluster": row["cluster"],
        "bundle": row["bundle"],
        "sync": str(sync_of(granted, answered, as_wanted, row["sync"])),
        "health": str(health_of(granted, answered, row["health"])),
        "online": bool(row["online"]),
        "asOf": row["reported_at"],
        "wanted": row["wanted"],
        "current": row["current"],
        "reported": row["reported"],
        "wantedCommit": row["wanted_commit"],
        "commit": row["current_commit"],
        "run": row["current_run"],
        "generation": row["generation"],
        "since": row["since"] if answered else row["granted_at"],
        "code": row["code"] if answered else "",
        "message": row["message"] if answered else "",
        "objects": row["objects_total"],
        "objectsReady": row["objects_ready"],
        "drifted": row["drifted"],
        "contested": row["contested"],
        "paused": row["paused"],
        "healed": row["healed"],
        "held": bool(row["held"]),
        "reason": row["reason"],
        "source": row["source_path"],
        "customization": row["customization"],
        "images": list(row["images"]),
        "charts": list(row["charts"]),
        "unavailable": bool(row["stray"]),
    }
