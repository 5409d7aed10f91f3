"""The plan: for one commit, the wanted bundle deployment of every cluster, with a reason for each.

    request    `RenderRequest`, `GroupRequest`: what the renderer is asked for
    wishes     `requests(repo, placement)`: every different wish once
    planning   `plan(repo, placement, rendered) → Plan`
    entries    `Plan`, `PlanEntry`: clusters that run the same share their entries
    mixing     `mixed(base, parts)`: bundles of several commits in one plan
    changes    `compare(old, new)` and the warning of content that skips a stage

Pure: it neither renders nor decides when a cluster may move (`fleet.rollout`).
"""

from __future__ import annotations

from fleet.plan.changes import Change, compare, preset_stages, skipped_stages
from fleet.plan.entries import Plan, PlanEntry
from fleet.plan.mixing import held_back, mixed
from fleet.plan.planning import plan
from fleet.plan.request import GroupRequest, RenderRequest
from fleet.plan.wishes import requests

__all__ = [
    "Change",
    "GroupRequest",
    "Plan",
    "PlanEntry",
    "RenderRequest",
    "compare",
    "held_back",
    "mixed",
    "plan",
    "preset_stages",
    "requests",
    "skipped_stages",
]
