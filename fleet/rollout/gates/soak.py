"""The gate `soak`: time since the last cluster of the stage became Healthy at this run's revision.

Pausing changes nothing here: baking is a property of the clusters.
"""

from __future__ import annotations

from datetime import timedelta

from fleet.rollout.gate_kinds import Soak
from fleet.rollout.gates.verdict import PASS, Judgement, Question, Verdict


def judge(asked: Question, gate: Soak) -> Judgement:
    """Has it soaked long enough? A stage in which nobody became Healthy has nothing to soak."""
    anchor = asked.memory.soak_anchor.get(asked.stage.name)
    if anchor is None:
        return PASS
    until = anchor + timedelta(seconds=gate.min_seconds)
    if asked.now < until:
        return Judgement(Verdict.NONE, "soaks", "Soaking", until)
    return Judgement(Verdict.PASS, "soaked", until=until)
