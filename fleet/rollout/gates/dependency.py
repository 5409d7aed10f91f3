"""The gate `dependency`: in each cluster another rollout has baked what it brings there.

The hub names the clusters in which all that the other rollout has there comes from a stage that
became Done with it; a cluster in which it has nothing is not among them.
"""

from __future__ import annotations

from collections.abc import Callable

from fleet.rollout.gate_kinds import Dependency
from fleet.rollout.gates.verdict import Passage, Question
from fleet.rollout.reasons import Reason


def passages(asked: Question, gate: Dependency) -> Callable[[str], Passage]:
    """Cluster → may it start now?"""
    ready = asked.evidence.dependencies.get(asked.gate, frozenset())
    what = f"rollout {gate.rollout} has no baked revision here"
    refused = Passage(Reason("DependencyNotBaked", what))

    def passage(cluster: str) -> Passage:
        return Passage() if cluster in ready else refused

    return passage
