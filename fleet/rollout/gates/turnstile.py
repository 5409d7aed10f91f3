"""The gates of a stage that let clusters through one by one: windows and dependencies.

One `Turnstile` serves one stage in one tick, so that whatever many clusters share (a time zone) is
judged once. A cluster that goes back to what it ran before passes all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fleet.rollout.evidence import Evidence
from fleet.rollout.gate_kinds import Dependency, Gate, Side, Window
from fleet.rollout.gates import dependency, window
from fleet.rollout.gates.scope import forced_by, gates_of
from fleet.rollout.gates.verdict import Passage, Question, Verdict
from fleet.rollout.memory import Memory
from fleet.rollout.reasons import Reason
from fleet.rollout.run_plan import RunPlan, StagePlan
from fleet.rollout.step import GateStatus

OPEN = Passage()

PASSAGES: Mapping[type[Gate], Callable[[Question, Any], Callable[[str], Passage]]] = {
    Dependency: dependency.passages,
    Window: window.passages,
}
"""Gates that are judged for each cluster by itself, when it is to start."""


@dataclass(frozen=True, slots=True)
class Turnstile:
    """Who of a stage may start now."""

    passages: tuple[tuple[str, str, Callable[[str], Passage]], ...]
    """(gate_id, kind, how it judges)."""
    restoring: frozenset[str]

    @classmethod
    def of(
        cls, run: RunPlan, stage: StagePlan, evidence: Evidence, memory: Memory, now: datetime
    ) -> Turnstile:
        """That of a stage in this tick."""
        found = []
        for name, gate in gates_of(run, stage, Side.BEFORE):
            if type(gate) in PASSAGES and forced_by(evidence, name) is None:
                asked = Question(run, stage, name, evidence, memory, now)
                found.append((name, gate.kind, PASSAGES[type(gate)](asked, gate)))
        return cls(tuple(found), run.restoring)

    def passage(self, cluster: str) -> Passage:
        """May this cluster start now, and until when must it have started?"""
        if not self.passages or cluster in self.restoring:
            return OPEN
        closes = None
        for _, _, judge in self.passages:
            found = judge(cluster)
            if found.refused is not None:
                return found
            if found.closes is not None:
                closes = min(closes or found.closes, found.closes)
        return Passage(closes=closes)

    def refusals(self, cluster: str) -> Iterator[Reason]:
        """What every gate that does not let this cluster through says, not only the first."""
        if cluster not in self.restoring:
            found = (judge(cluster).refused for _, _, judge in self.passages)
            yield from (reason for reason in found if reason is not None)

    def statuses(self, clusters: Sequence[str]) -> tuple[GateStatus, ...]:
        """Each gate by itself: how many of those clusters it lets through now, and when more."""
        return tuple(_status(name, kind, judge, clusters) for name, kind, judge in self.passages)


def _status(
    name: str, kind: str, judge: Callable[[str], Passage], clusters: Sequence[str]
) -> GateStatus:
    refused = [found for found in (judge(cluster).refused for cluster in clusters) if found]
    if not refused:
        return GateStatus(name, kind, Verdict.PASS.value)
    until = min((one.until for one in refused if one.until is not None), default=None)
    free = len(clusters) - len(refused)
    why = f"{free} of {len(clusters)} may start now: {refused[0].what}"
    return GateStatus(name, kind, Verdict.NONE.value, why, until)
