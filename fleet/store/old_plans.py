"""Plans of runs that an older Fleet stored, read as today's: what a field became, and nothing more.

::

    stage.approval, stage.approvers   → before: [Approval]
    stage.soak_seconds                → after:  [Soak]
    run.lease_seconds                 → rules.connectivity.lease_seconds

A plan is pinned: it is never written again, so it is read like this for as long as its run is kept.
"""

from __future__ import annotations

from typing import Any


def as_of_today(plan: dict[str, Any]) -> dict[str, Any]:
    """The JSON of a stored plan in today's words; one of today is returned as it is."""
    if "lease_seconds" not in plan:
        return plan
    rest = {key: value for key, value in plan.items() if key not in ("lease_seconds", "stages")}
    rules = {"connectivity": {"lease_seconds": plan["lease_seconds"]}}
    return rest | {"rules": rules, "stages": [_stage(stage) for stage in plan["stages"]]}


def _stage(stage: dict[str, Any]) -> dict[str, Any]:
    old = ("approval", "approvers", "soak_seconds")
    rest = {key: value for key, value in stage.items() if key not in old}
    if stage["approval"]:
        rest["before"] = [{"kind": "approval", "groups": stage["approvers"]}]
    if stage["soak_seconds"] > 0:
        rest["after"] = [{"kind": "soak", "min_seconds": stage["soak_seconds"]}]
    return rest
