"""How many clusters are on a revision that nobody has proven yet: for `maxExposed`, until Baked.

A revision is exposed from its first offer until it has passed its first full soak: a stage that
soaks is Done with a Healthy cluster in it (in a policy that never soaks, any stage). A stage that
the hotfix lane let through is soaked once its time is over all the same. What goes back to an
earlier revision, and what the catch-up lane brings, was proven before. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from fleet.rollout import standing
from fleet.rollout.evidence import Evidence
from fleet.rollout.gate_kinds import Soak
from fleet.rollout.memory import Memory
from fleet.rollout.run_plan import RunPlan, StagePlan
from fleet.rollout.states import ClusterState, Lane

Exposed = Mapping[str, Mapping[str, str]]
"""Cluster → its labels."""


def bound(
    run: RunPlan, evidence: Evidence, memory: Memory, now: datetime, wakes: list[datetime]
) -> Exposed | None:
    """The clusters that this run exposes now; `None`: its revision is proven, no cap binds.

    When time alone proves it is added to `wakes`.
    """
    if not any(one.max_exposed is not None for one in run.rules.invariants):
        return None
    if run.restores or run.lane is Lane.CATCH_UP:
        return None
    proven = _proven_at(run, memory)
    if proven is not None and proven <= now:
        return None
    wakes.extend([proven] if proven else [])
    return {
        name: known.labels
        for name, known in evidence.clusters.items()
        if standing.live_assignment(known, 0) is not None
    }


def _proven_at(run: RunPlan, memory: Memory) -> datetime | None:
    """When the run's revision passes its first full soak; `None`: no stage is Done with it."""
    soaking = [stage for stage in run.stages if _soaks(stage)]
    found = [
        memory.done[stage.name]
        if stage.name not in memory.soak_anchor
        else memory.soak_anchor[stage.name] + timedelta(seconds=max(_soaks(stage), default=0))
        for stage in soaking or run.stages
        if stage.name in memory.done and _somebody_healthy(stage, memory)
    ]
    return min(found, default=None)


def _soaks(stage: StagePlan) -> list[float]:
    return [gate.min_seconds for gate in stage.after if isinstance(gate, Soak)]


def _somebody_healthy(stage: StagePlan, memory: Memory) -> bool:
    return any(
        memory.seen_clusters.get(cluster) is ClusterState.HEALTHY for cluster in stage.clusters
    )


def by_value(exposed: Exposed, key: str) -> dict[str, frozenset[str]]:
    """Value of a label → the exposed clusters that have it; without a key, all under ''."""
    found: dict[str, set[str]] = {}
    for name, labels in exposed.items():
        found.setdefault(labels.get(key, "") if key else "", set()).add(name)
    return {value: frozenset(some) for value, some in found.items()}
