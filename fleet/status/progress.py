"""How far a run is, as `fleet rollout status` shows it: stages, gates, prices, waits and ends.

`waiting` groups clusters that have exactly the same reasons, so that ten thousand of them stay
readable; every cluster that neither moves nor is Healthy stands in exactly one group.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from fleet.rollout.forecast import Estimate, Took
from fleet.rollout.reasons import Reason
from fleet.rollout.step import ClusterStatus, GateStatus, StageStatus
from fleet.rollout.tables import IN_FLIGHT

Document = Mapping[str, Any]


def progress_document(
    run: Document,
    stages: Iterable[StageStatus],
    clusters: Collection[ClusterStatus],
    reasons: Mapping[str, tuple[Reason, ...]],
    estimates: Mapping[str, Estimate],
    end: Estimate,
    took: Mapping[str, Took],
    ahead: Mapping[str, tuple[GateStatus, ...]],
    hotfix: str = "",
) -> dict[str, Any]:
    """`run` is its document; the rest is what the engine and the forecast say of it now.

    `ahead` are the gates of stages that wait for others, as they would be judged now, and `hotfix`
    what people are told of the hotfix lane.
    """
    rows = {row["stage"]: row for row in run["stages"]}
    return {
        **run,
        "hotfix": hotfix,
        "eta": estimate_document(end),
        "stages": [
            {
                **rows.get(s.name, {"stage": s.name}),
                "gates": [gate_document(g) for g in (*s.gates, *ahead.get(s.name, ()))],
                "price": price_document(s),
                "took": took_document(took.get(s.name)),
                "eta": estimate_document(estimates[s.name]),
            }
            for s in stages
        ],
        "moving": moving(clusters),
        "waiting": waiting(clusters, reasons),
    }


def price_document(stage: StageStatus) -> dict[str, Any]:
    """What the stage's error budget is, what was spent of it, and what that is of its clusters."""
    left = max(0, stage.budget - stage.failed)
    return {
        "budget": stage.budget,
        "spent": stage.failed,
        "left": left,
        "of": stage.denominator,
        "share": round(stage.failed / stage.denominator, 4) if stage.denominator else 0.0,
    }


def gate_document(gate: GateStatus) -> dict[str, Any]:
    """One gate that is judged now."""
    return {
        "gate": gate.gate,
        "kind": gate.kind,
        "verdict": gate.verdict,
        "reason": gate.reason,
        "until": _moment(gate.until),
    }


def estimate_document(estimate: Estimate) -> dict[str, Any]:
    """`work` in seconds and `ends` as moments, each for p50 and p90; or why it is `unknown`."""
    ends = estimate.ends
    return {
        "work": list(estimate.work) if estimate.work else None,
        "p50": _moment(ends[0]) if ends else None,
        "p90": _moment(ends[1]) if ends else None,
        "unknown": estimate.unknown,
    }


def took_document(took: Took | None) -> dict[str, Any] | None:
    """Seconds that clusters of the stage took, and of how many that is known."""
    return None if took is None else {"p50": took.p50, "p90": took.p90, "clusters": took.count}


def moving(clusters: Iterable[ClusterStatus]) -> list[dict[str, Any]]:
    """Clusters in flight, by stage, state and what is said of them, in the order of the run."""
    groups: dict[tuple[str, str, str], list[str]] = {}
    for one in clusters:
        if one.state in IN_FLIGHT:
            groups.setdefault((one.stage, str(one.state), one.reason), []).append(one.cluster)
    return [
        {"stage": stage, "state": state, "clusters": names, "said": said}
        for (stage, state, said), names in groups.items()
    ]


def waiting(
    clusters: Iterable[ClusterStatus], reasons: Mapping[str, tuple[Reason, ...]]
) -> list[dict[str, Any]]:
    """Clusters that wait, by stage, state and reasons, in the order of the run."""
    groups: dict[tuple[str, str, tuple[Reason, ...]], list[str]] = {}
    for one in clusters:
        if one.cluster in reasons:
            key = (one.stage, str(one.state), reasons[one.cluster])
            groups.setdefault(key, []).append(one.cluster)
    return [
        {
            "stage": stage,
            "state": state,
            "clusters": names,
            "reasons": [reason_document(reason) for reason in why],
        }
        for (stage, state, why), names in groups.items()
    ]


def reason_document(reason: Reason) -> dict[str, Any]:
    """One thing that stands in the way."""
    return {"code": reason.code, "what": reason.what, "until": _moment(reason.until)}


def _moment(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
