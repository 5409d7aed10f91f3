"""Rollout runs as documents: one line for a table, or everything of one run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from fleet.rollout.states import ClusterState, StageState
from fleet.rollout.step import Bisection, StageStatus
from fleet.status.sync import Row

_PAST = (StageState.DONE, StageState.SKIPPED)


def run_document(row: Row, stages: Iterable[StageStatus], clusters: int) -> dict[str, Any]:
    """One run: what it brings, how far it is, and why it is not further."""
    stages = list(stages)
    here = next((s for s in stages if s.state not in _PAST), None)
    return {
        "run": row["uid"],
        "state": row["state"],
        "intent": row["intent"],
        "rollout": row["rollout"],
        "lane": row["lane"],
        "bundles": list(row["bundles"]),
        "commit": row["commit_id"],
        "title": row["title"],
        "author": row["author"],
        "stage": here.name if here else "",
        "stageState": str(here.state) if here else "",
        "clusters": clusters,
        "healthy": sum(s.healthy for s in stages),
        "failed": sum(s.failed for s in stages),
        "inFlight": sum(s.in_flight for s in stages),
        "reason": row["reason"],
        "created": row["created_at"],
        "ended": row["ended_at"],
        "wakeAt": row["wake_at"],
        "supersededBy": row["superseded_by"],
        "stages": [_stage(s) for s in stages],
        "bisection": _bisection(row["bisection"]) if row["bisection"] else None,
    }


def _bisection(report: Bisection) -> dict[str, Any]:
    """What failed clusters have in common; `p` is after the correction, `found` are findings."""
    return {
        "said": report.said,
        "failed": report.failed,
        "healthy": report.healthy,
        "traits": [
            {**asdict(trait), "found": index < report.found}
            for index, trait in enumerate(report.traits)
        ],
        "suspects": list(report.suspects),
    }


def _stage(stage: StageStatus) -> dict[str, Any]:
    return {
        "stage": stage.name,
        "state": str(stage.state),
        "total": stage.total,
        "healthy": stage.healthy,
        "inFlight": stage.in_flight,
        "failed": stage.failed,
        "offline": stage.offline,
        "budget": stage.budget,
        "reason": stage.reason,
        "until": stage.until.isoformat() if stage.until else None,
    }


def run_details(
    document: Mapping[str, Any],
    *,
    clusters: Iterable[Row],
    events: Iterable[Row],
    decisions: Iterable[Row],
    plan_hash: str,
) -> dict[str, Any]:
    """A run with every cluster and its reason, its history and what people decided."""
    order = {str(state): number for number, state in enumerate(ClusterState)}
    rows = sorted(clusters, key=lambda r: (r["stage"], order.get(r["state"], 99), r["cluster"]))
    return {
        **document,
        "planHash": plan_hash,
        "clusterStates": [
            {
                "cluster": r["cluster"],
                "stage": r["stage"],
                "state": r["state"],
                "reason": r["reason"],
                "code": r["code"],
            }
            for r in rows
        ],
        "events": [event_document(r) for r in events],
        "decisions": [
            {
                "number": r["number"],
                "verb": r["verb"],
                "actor": r["actor"],
                "at": r["at"],
                "reason": r["reason"],
                "stage": r["stage"],
                "clusters": list(r["clusters"]),
                "groups": list(r["groups"]),
                "method": r["method"],
            }
            for r in decisions
        ],
    }


def event_document(row: Row) -> dict[str, Any]:
    """One line of history."""
    return {
        "number": row["number"],
        "at": row["at"],
        "kind": row["kind"],
        "message": row["message"],
        "run": row["run"],
        "stage": row["stage"],
        "cluster": row["cluster"],
    }
