"""Policies for people who wrote none, or one line: what a preset stands for, as a whole spec.

::

    default  staging → production → rest (or one stage for all); production and rest (or the one)
             ramp 1 → 5% → 25%; failure budget 0 in the first stage, 2% after; on failure, pause
    safe     default with ramps 1 → 1 → 5% → 10%, 30 m of soak after each stage, approval and
             `proven` before production, rollback on failure
    fast     the stages of default in order, 50% at a time, no soak, pause on failure

Nothing is ever released to a whole fleet at once because somebody forgot to write a policy. A
preset is a document like any other: `fleet.rollout.document` reads it, and people can print it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

NO_POLICY = "default"
"""The name of the rollout that carries what no document does."""

_CAREFUL = {"ramp": [1, "5%", "25%"]}
_SAFE = {"ramp": [1, 1, "5%", "10%"]}


def spec(preset: str, groups: Collection[str]) -> dict[str, Any]:
    """The fields of a spec that the preset stands for, given the cluster groups that exist."""
    stages = _stages(groups)
    if preset == "fast":
        return {"stages": [stage | {"parallelism": "50%"} for stage in stages]}
    if preset == "safe":
        return {"stages": [_safe(stage) for stage in stages], "onFailure": {"action": "Rollback"}}
    return {"stages": stages}


def _stages(groups: Collection[str]) -> list[dict[str, Any]]:
    if not {"staging", "production"} <= set(groups):
        return [{"name": "all", "select": {"catchAll": True}, "parallelism": _CAREFUL}]
    after = {"parallelism": _CAREFUL, "failureBudget": "2%"}
    return [
        {"name": "staging", "group": "staging"},
        {"name": "production", "group": "production", **after},
        {"name": "rest", "select": {"catchAll": True}, **after},
    ]


def _safe(stage: dict[str, Any]) -> dict[str, Any]:
    ramp = {"parallelism": _SAFE} if "parallelism" in stage else {}
    gates: dict[str, Any] = {"after": [{"soak": "30m"}]}
    if stage["name"] == "production":
        gates["before"] = [{"approval": True}, {"proven": {"in": "staging"}}]
    return stage | ramp | {"gates": gates}
