"""The gate `soak`: time since the last cluster of the stage became Healthy at this run's revision.

Pausing changes nothing here: baking is a property of the clusters (I5). With `resetOn:
[HealthRegression]` (the default) a cluster that regressed sets the clock back when it is Healthy
again; with `resetOn: []` only a cluster that becomes Healthy for the first time does.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from fleet.rollout.gate_kinds import ResetOn, Soak
from fleet.rollout.gates.verdict import PASS, Judgement, Question, Verdict
from fleet.rollout.memory import Memory
from fleet.rollout.run_plan import StagePlan


def judge(asked: Question, gate: Soak) -> Judgement:
    """Has it soaked long enough? A stage in which nobody became Healthy has nothing to soak."""
    anchor = asked.memory.soak_anchor.get(asked.stage.name)
    if anchor is None:
        return PASS
    until = anchor + timedelta(seconds=gate.min_seconds)
    if asked.now < until:
        return Judgement(Verdict.NONE, "soaks", "Soaking", until)
    return Judgement(Verdict.PASS, "soaked", until=until)


def keep_clock(stage: StagePlan, healthy: Mapping[str, datetime], memory: Memory) -> None:
    """Remember when the last cluster became Healthy: from then on the stage soaks.

    `healthy`: the clusters that are Healthy now, and since when.
    """
    name = stage.name
    if not resets(stage):
        known = {cluster for where, cluster in memory.gates.soaking if where == name}
        fresh = [(name, cluster) for cluster in healthy if cluster not in known]
        soaking = tuple(sorted((*memory.gates.soaking, *fresh)))
        memory.gates = replace(memory.gates, soaking=soaking)
        healthy = {cluster: since for cluster, since in healthy.items() if cluster not in known}
    anchor = memory.soak_anchor.get(name)
    times = [*healthy.values(), *((anchor,) if anchor else ())]
    if times:
        memory.soak_anchor[name] = max(times)


def resets(stage: StagePlan) -> bool:
    """Does a regression set the stage's clock back?"""
    soaks = [gate for gate in stage.after if isinstance(gate, Soak)]
    return not soaks or any(ResetOn.HEALTH_REGRESSION in gate.reset_on for gate in soaks)
