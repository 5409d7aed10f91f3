"""Gates that ask a machine: what its answers mean, and what becomes of a gate that gets none (I14).

::

    a fresh yes                         → PASS          a fresh no → FAIL
    a fresh "not yet"                   → NONE
    no answer, or an old one            → NONE; for noDataTimeout on end:
                                            onNoData: Pause   the run pauses until resume or retry
                                            onNoData: Fail    → FAIL

An answer is fresh if it was given since the gate is judged (measurements: since the stage is
Healthy), and within three times its interval.
Asking is the hub's (`fleet.hub.asking`); it stores what was said as a `Reading`.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from fleet.rollout.decisions import Verb
from fleet.rollout.evidence import Evidence, Reading
from fleet.rollout.gate_kinds import Analysis, OnNoData, Soak, Webhook
from fleet.rollout.gates.verdict import Judgement, Question, Verdict
from fleet.rollout.memory import Memory

FRESH_INTERVALS = 3


def opened_at(asked: Question) -> datetime:
    """Since when the gate has been judged; remembers it the first time."""
    known = dict(asked.memory.gates.opened)
    if asked.gate not in known:
        known[asked.gate] = asked.now
        _keep(asked.memory, known)
    return known[asked.gate]


def close(memory: Memory, prefix: str) -> None:
    """The gates whose id begins so are not judged any more."""
    known = dict(memory.gates.opened)
    kept = {gate: since for gate, since in known.items() if not gate.startswith(prefix)}
    if len(kept) < len(known):
        _keep(memory, kept)


def _keep(memory: Memory, opened: dict[str, datetime]) -> None:
    memory.gates = replace(memory.gates, opened=tuple(sorted(opened.items())))


def fresh_reading(
    asked: Question, every_seconds: float, not_before: datetime | None = None
) -> Reading | None:
    """What was said last, if that still counts."""
    found = asked.evidence.readings.get(asked.gate)
    since = opened_at(asked)
    if found is None or found.at < max(since, not_before or since):
        return None
    oldest = asked.now - timedelta(seconds=FRESH_INTERVALS * every_seconds)
    return found if found.at >= oldest else None


def without_data(
    asked: Question, gate: Webhook | Analysis | Soak, what: str, code: str
) -> Judgement:
    """The answer of a gate that has no data: NONE, until that has been so for too long."""
    last = asked.evidence.readings.get(asked.gate)
    since = opened_at(asked)
    if last is not None and last.at >= since:
        since = max(since, last.since or last.at)
    due = since + timedelta(seconds=gate.no_data_timeout_seconds)
    why = f"{what}: {last.why}" if last is not None and last.why else what
    if asked.now < due:
        return Judgement(Verdict.NONE, why, code, again=due)
    said = f"no data for {gate.no_data_timeout_seconds:g} s ({why})"
    if gate.on_no_data is OnNoData.FAIL:
        return Judgement(Verdict.FAIL, said, "NoData")
    _pause(asked, said)
    return Judgement(Verdict.NONE, said, "NoData")


def _pause(asked: Question, why: str) -> None:
    """Pause the run until somebody decides; kept even if data comes back meanwhile."""
    paused = {gate: (number, said) for gate, number, said in asked.memory.gates.paused}
    if asked.gate not in paused:
        newest = max((d.number for d in asked.evidence.decisions), default=0)
        paused[asked.gate] = (newest, why)
        asked.memory.gates = replace(
            asked.memory.gates, paused=tuple(sorted((g, n, w) for g, (n, w) in paused.items()))
        )


def resume(memory: Memory, evidence: Evidence, now: datetime) -> None:
    """What a person resumed or retried since it paused goes on, with all its time again."""
    numbers = [d.number for d in evidence.decisions if d.verb in (Verb.RESUME, Verb.RETRY)]
    newest = max(numbers, default=0)
    freed = {gate for gate, number, _ in memory.gates.paused if number < newest}
    if not freed:
        return
    opened = {g: now if g in freed else since for g, since in memory.gates.opened}
    paused = tuple(one for one in memory.gates.paused if one[0] not in freed)
    memory.gates = replace(memory.gates, paused=paused)
    _keep(memory, opened)


def pause_reason(memory: Memory) -> str:
    """Why the run is paused for want of data; empty if it is not."""
    return "; ".join(f"{gate}: {why}" for gate, _, why in memory.gates.paused)
