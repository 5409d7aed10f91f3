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
from fleet.rollout.gates.asked import fresh_reading, opened_at, without_data
from fleet.rollout.gates.verdict import PASS, Judgement, Question, Verdict
from fleet.rollout.measures import EVERY_SECONDS
from fleet.rollout.memory import Memory
from fleet.rollout.run_plan import StagePlan


def judge(asked: Question, gate: Soak) -> Judgement:
    """Has it soaked long enough? A stage in which nobody became Healthy has nothing to soak, and
    one of a run in the hotfix lane does not."""
    if asked.evidence.is_hotfix:
        return Judgement(Verdict.PASS, "skipped in the hotfix lane")
    anchor = asked.memory.soak_anchor.get(asked.stage.name)
    if anchor is None:
        return PASS
    if gate.min_samples:
        opened_at(asked)
    until = anchor + timedelta(seconds=gate.min_seconds)
    if asked.now < until:
        return Judgement(Verdict.NONE, "soaks", "Soaking", until)
    if gate.min_samples:
        return _count(asked, gate, anchor)
    return Judgement(Verdict.PASS, "soaked", until=until)


def _count(asked: Question, gate: Soak, anchor: datetime) -> Judgement:
    """Were there enough samples? Too few are accepted at `max`, none at all never are."""
    every = gate.measures.every_seconds if gate.measures else EVERY_SECONDS
    reading = fresh_reading(asked, every, anchor)
    if reading is None or reading.samples is None:
        return without_data(asked, gate, "waits for a count of samples", "WaitsForData")
    said = f"{reading.samples} of {gate.min_samples} samples"
    most = None if gate.max_seconds is None else anchor + timedelta(seconds=gate.max_seconds)
    is_longest = most is not None and asked.now >= most
    if reading.samples >= gate.min_samples or (is_longest and reading.samples > 0):
        return Judgement(Verdict.PASS, f"soaked, {said}")
    return Judgement(Verdict.NONE, f"soaks: {said}", "Soaking", None if is_longest else most)


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
