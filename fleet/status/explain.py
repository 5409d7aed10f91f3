"""Why a cluster runs what it runs of one bundle, from Git to the live objects, in one document."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fleet.status.states import shown
from fleet.status.summaries import deployment_row, facts_of

Row = Mapping[str, Any]


def explanation(
    row: Row, runs: Sequence[Row], objects: Sequence[Row], problems: Sequence[Row]
) -> dict[str, Any]:
    """The document that `fleet explain CLUSTER BUNDLE` prints.

    `row` as for `deployment_row`; `runs` are the live runs that carry the bundle, each with the
    `stage`, `state` and `reason` of this cluster in it; `objects` are the reported objects that
    are worth a word, drift included; `problems` those of this bundle or cluster.
    """
    deployment = deployment_row(row)
    return {
        "cluster": row["cluster"],
        "bundle": row["bundle"],
        "sync": deployment["sync"],
        "health": deployment["health"],
        "asOf": row["since"],
        "git": {
            "source": row["source_path"],
            "why": row["reason"],
            "customization": row["customization"],
            "wanted": row["wanted"],
            "commit": row["wanted_commit"],
            "held": bool(row["held"]),
        },
        "released": {
            "assigned": row["current"],
            "commit": row["current_commit"],
            "run": row["current_run"],
            "generation": row["generation"],
        },
        "agent": {
            "reported": row["reported"],
            "generation": row["reported_generation"],
            "code": row["code"],
            "message": row["message"],
            "objects": list(objects),
            "drifted": row["drifted"],
            "healed": row["healed"],
        },
        "runs": list(runs),
        "problems": list(problems),
        "because": because(row, runs),
    }


def because(row: Row, runs: Sequence[Row]) -> list[str]:
    """The sentences that answer "why", the most telling first."""
    lines = []
    state = shown(facts_of(row))
    if row["message"]:
        lines.append(f"the agent says: {row['message']}")
    lines += [
        f"run {run['run']} ({run['stage']}): {run['state']}"
        + (f", {run['reason']}" if run["reason"] else "")
        for run in runs
    ]
    if state.why:
        lines.append(state.why)
    if row["drifted"]:
        lines.append(f"{row['drifted']} objects differ from what was applied and are left so")
    lines.append(f"the cluster gets it because it is {row['reason']}" if row["reason"] else "")
    return [line for line in lines if line]
