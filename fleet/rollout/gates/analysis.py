"""The gate `analysis`: measurements of the stage's Healthy clusters decide.

The hub measures and compares (`fleet.hub.measuring`, `fleet.rollout.comparison`); here is what its
newest answer means. One that is older than the stage's newest Healthy cluster counts for nothing.
"""

from __future__ import annotations

from fleet.rollout.evidence import Answer
from fleet.rollout.gate_kinds import Analysis
from fleet.rollout.gates.asked import fresh_reading, without_data
from fleet.rollout.gates.verdict import Judgement, Question, Verdict
from fleet.rollout.measures import EVERY_SECONDS


def judge(asked: Question, gate: Analysis) -> Judgement:
    """What do the measurements say?"""
    every = gate.measures.every_seconds if gate.measures else EVERY_SECONDS
    anchor = asked.memory.soak_anchor.get(asked.stage.name)
    reading = fresh_reading(asked, every, anchor)
    if reading is None or (reading.since is not None and reading.answer is Answer.NONE):
        return without_data(asked, gate, f"waits for measurements of {gate.ref}", "WaitsForData")
    if reading.answer is Answer.PASS:
        return Judgement(Verdict.PASS, reading.why)
    if reading.answer is Answer.FAIL:
        return Judgement(Verdict.FAIL, f"analysis {gate.ref}: {reading.why}", "AnalysisFailed")
    return Judgement(Verdict.NONE, reading.why, "Analysing")
