"""What a stage does about clusters that are offline and have started nothing of the run.

::

    Skip   the stage may finish without them; the catch-up lane brings them up
    Wait   the stage waits for them
    Fail   they fail, and count against the budget, once their stage has started

What has started is judged by its deadline, never by this. A cluster that never registered is
Pending under every rule. A run that restores, and the catch-up lane, always skip: a dark cluster
keeps nobody from getting back what worked. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from fleet.rollout.rules import OfflineRule
from fleet.rollout.run_plan import RunPlan
from fleet.rollout.states import ClusterState, Lane


def offline_rule(run: RunPlan) -> OfflineRule:
    """The rule that holds for this run."""
    if run.restores or run.lane is Lane.CATCH_UP:
        return OfflineRule.SKIP
    return run.rules.connectivity.offline


def waits_for(run: RunPlan, count: Mapping[ClusterState, int]) -> int:
    """How many offline clusters a stage waits for."""
    return count[ClusterState.OFFLINE] if offline_rule(run) is OfflineRule.WAIT else 0


def fails_offline(run: RunPlan, count: Mapping[ClusterState, int]) -> bool:
    """Are there offline clusters that fail as soon as their stage has started?"""
    return offline_rule(run) is OfflineRule.FAIL and count[ClusterState.OFFLINE] > 0


def left_out(run: RunPlan, count: Mapping[ClusterState, int]) -> int:
    """How many clusters are in no denominator when a stage starts."""
    offline = count[ClusterState.OFFLINE] if offline_rule(run) is OfflineRule.SKIP else 0
    return offline + count[ClusterState.PENDING]
