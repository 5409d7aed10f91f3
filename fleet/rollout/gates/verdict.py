"""A gate's question and its answer, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from fleet.rollout.evidence import Evidence
from fleet.rollout.memory import Memory
from fleet.rollout.reasons import Reason
from fleet.rollout.run_plan import RunPlan, StagePlan
from fleet.rollout.step import GateStatus


class Verdict(StrEnum):
    """A gate's answer; NONE never passes."""

    PASS = "pass"
    FAIL = "fail"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Question:
    """What one gate of one stage is asked with."""

    run: RunPlan
    stage: StagePlan
    gate: str
    """Its `gate_id`."""
    evidence: Evidence
    memory: Memory
    now: datetime


@dataclass(frozen=True, slots=True)
class Judgement:
    """The answer of one gate, or of all of a list."""

    verdict: Verdict
    reason: str = ""
    code: str = ""
    """`WaitsForApproval`, `Soaking`, …"""
    until: datetime | None = None
    """When time alone changes the answer."""
    again: datetime | None = None
    """When it is to be judged again at the latest; nobody is shown it."""
    gates: tuple[GateStatus, ...] = ()
    """Of all of a list: each by itself, for people to see."""


@dataclass(frozen=True, slots=True)
class Passage:
    """The answer of a gate that lets clusters through one by one, for one of them."""

    refused: Reason | None = None
    closes: datetime | None = None
    """An offer that is made now must not be started from then on, if its lease is longer."""


PASS = Judgement(Verdict.PASS)
POLLED = timedelta(seconds=30)
"""How often a gate is judged again of which no news tells that it may have opened."""
