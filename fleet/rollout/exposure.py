"""How many clusters are on a revision that nobody has proven yet: for `maxExposed`, until Baked.

A revision is exposed from its first offer until it has passed its first full soak: a stage that
soaks is Done with a Healthy cluster in it (in a policy that never soaks, any stage). What goes back
to an earlier revision, and what the catch-up lane brings, was proven before. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping

from fleet.rollout import standing
from fleet.rollout.evidence import Evidence
from fleet.rollout.gate_kinds import Soak
from fleet.rollout.memory import Memory
from fleet.rollout.run_plan import RunPlan
from fleet.rollout.states import ClusterState, Lane

Exposed = Mapping[str, Mapping[str, str]]
"""Cluster → its labels."""


def bound(run: RunPlan, evidence: Evidence, memory: Memory) -> Exposed | None:
    """The clusters that this run exposes now; `None`: its revision is proven, no cap binds."""
    if not any(one.max_exposed is not None for one in run.rules.invariants):
        return None
    if run.restores or run.lane is Lane.CATCH_UP or is_proven(run, memory):
        return None
    return {
        name: known.labels
        for name, known in evidence.clusters.items()
        if standing.live_assignment(known, 0) is not None
    }


def is_proven(run: RunPlan, memory: Memory) -> bool:
    """Has the run's revision passed its first full soak?"""
    soaking = [s for s in run.stages if any(isinstance(gate, Soak) for gate in s.after)]
    return any(
        memory.seen_clusters.get(cluster) is ClusterState.HEALTHY
        for stage in soaking or run.stages
        if stage.name in memory.done
        for cluster in stage.clusters
    )


def by_value(exposed: Exposed, key: str) -> dict[str, frozenset[str]]:
    """Value of a label → the exposed clusters that have it; without a key, all under ''."""
    found: dict[str, set[str]] = {}
    for name, labels in exposed.items():
        found.setdefault(labels.get(key, "") if key else "", set()).add(name)
    return {value: frozenset(some) for value, some in found.items()}
