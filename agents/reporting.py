"""What the hub is told: one `DeploymentReport` for each bundle, and only what changed since.

    describe   bundle state → its report. Pure.
    Reporter   full first, then deltas under a rising sequence; asked again, the same bytes again

A report that was not answered is sent again as it was, since the hub may have taken it; what
changed meanwhile is in the next one, the newest per bundle. So the queue is never longer than one.
Answers to syncs go along, `MOST_ANSWERS` at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from agents.apply import BundleState, Outcome
from agents.apply.outcome import Failure
from agents.apply.state import Drift
from agents.inventory import Inventory
from agents.protocol import (
    BundleDeployment,
    DeploymentReport,
    Health,
    ObjectReport,
    Report,
    ReportAnswer,
    SyncResult,
    SyncState,
)
from clusters.objects import ObjectKey

MOST_ANSWERS = 8
"""Answers to syncs in one report; each is bounded, and so the report is."""
_REMEMBERED = 64
"""Answers that are remembered, so that the same is not said twice."""


def describe(
    deployment: BundleDeployment,
    generation: int,
    state: BundleState,
    outcome: Outcome,
    limit: int,
) -> DeploymentReport:
    """What to say of one bundle; at most `limit` objects in detail, the worst first."""
    states = [item.health for item in state.health.values()]
    return DeploymentReport(
        bundle=deployment.bundle,
        digest=deployment.digest,
        generation=generation,
        sync=outcome.sync,
        health=_health(deployment, state, outcome),
        code=outcome.code,
        message=outcome.message or _unhealthy_text(state),
        objects_total=_total(deployment, state),
        objects_ready=states.count(Health.HEALTHY),
        objects=_objects(state, outcome)[:limit],
        drifted=len(state.drift),
        contested=sum(item.code == "contested" for item in state.drift.values()),
        paused=len(_paused(state, outcome)),
        healed=state.healed,
    )


def _health(deployment: BundleDeployment, state: BundleState, outcome: Outcome) -> Health:
    if deployment.is_absent:
        return Health.HEALTHY if outcome.sync is SyncState.SYNCED else Health.PROGRESSING
    if outcome.sync is SyncState.SYNCED or state.health:
        return Health.worst([item.health for item in state.health.values()])
    return Health.UNKNOWN


def _paused(state: BundleState, outcome: Outcome) -> set[ObjectKey]:
    """Objects that are paused: those that differ, and those that only say so."""
    notes = outcome.notes or {}
    drifted = {key for key, item in state.drift.items() if item.code == "paused"}
    return drifted | {key for key in state.pauses if key in notes}


def _total(deployment: BundleDeployment, state: BundleState) -> int:
    if deployment.is_absent or state.prepared is None:
        return len(state.inventory.objects)
    return len(state.prepared.objects)


def _unhealthy_text(state: BundleState) -> str:
    worst = _by_severity(state)
    if not worst:
        return ""
    found = state.health[worst[0]]
    return f"{worst[0]}: {found.message}" if found.message else ""


def _by_severity(state: BundleState) -> list[ObjectKey]:
    order = (Health.DEGRADED, Health.MISSING, Health.UNKNOWN, Health.PROGRESSING)
    restless = [key for key, found in state.health.items() if found.health in order]
    return sorted(restless, key=lambda key: (order.index(state.health[key].health), key))


def _objects(state: BundleState, outcome: Outcome) -> tuple[ObjectReport, ...]:
    """Failed, drifted, unhealthy ones, those with a note, and what was healed; each once."""
    failures = {item.key: item for item in outcome.failures}
    notes = outcome.notes or {}
    healed = reversed(state.healings)
    keys = [
        *(*sorted(failures), *sorted(state.drift), *_by_severity(state), *sorted(notes)),
        *healed,
    ]
    return tuple(
        _object(key, state, failures.get(key), notes.get(key, "")) for key in dict.fromkeys(keys)
    )


def _object(key: ObjectKey, state: BundleState, failure: Failure | None, note: str) -> ObjectReport:
    health = state.health.get(key)
    drift = state.drift.get(key)
    told = drift or state.healings.get(key)
    sync = SyncState.SYNCED
    if failure is not None:
        sync = SyncState.FAILED
    elif drift:
        sync = SyncState.OUT_OF_SYNC
    elif key in state.pauses:
        sync = SyncState.SYNCED
    elif note:
        sync = SyncState.OUT_OF_SYNC
    return ObjectReport(
        object=str(key),
        sync=sync,
        health=health.health if health else Health.UNKNOWN,
        code=failure.code if failure else _code(told, key in state.pauses and bool(note)),
        message=_message(failure, told, note, health.message if health else ""),
        drift=told.fields if told else (),
    )


def _code(drift: Drift | None, paused: bool) -> str:
    if drift is not None and drift.code != "healed":
        return drift.code
    return "paused" if paused else drift.code if drift else ""


def _message(failure: Failure | None, drift: Drift | None, note: str, health: str) -> str:
    if failure is not None:
        return failure.text()
    if drift is not None and drift.code != "healed" and drift.message:
        return drift.message
    return note or health or (drift.message if drift else "")


def kept_by_nobody(inventory: Inventory) -> DeploymentReport:
    """What is said of a bundle that only vanished from the target."""
    return DeploymentReport(
        bundle=inventory.bundle,
        digest=inventory.applied or inventory.digest,
        generation=inventory.generation,
        sync=SyncState.UNKNOWN,
        health=Health.UNKNOWN,
        code="not-in-target",
        message=f"the target no longer names it; its {len(inventory.objects)} objects are kept, "
        "since only an order to remove it deletes",
        objects_total=len(inventory.objects),
    )


class Reporter:
    """What was told, and what is to be told next."""

    def __init__(self, cluster: str, incarnation: str) -> None:
        self.cluster = cluster
        self._incarnation = incarnation
        self._sequence = 0
        self._told: dict[str, DeploymentReport] = {}
        self._full = True
        self._unanswered: Report | None = None
        self.passes: Counter[SyncState] = Counter()
        """Passes by what they came to, since the process began."""
        self.now: dict[str, DeploymentReport] = {}
        """How things stand, by bundle."""
        self._answers: dict[tuple[str, str], SyncResult] = {}
        self._answered: dict[tuple[str, str], SyncResult] = {}

    def answer(self, result: SyncResult) -> None:
        """Tell the hub this about a sync, unless it was the last thing said about it."""
        key = (result.uid, result.bundle)
        if self._answered.get(key) != result:
            self._answers[key] = result
            self._answered[key] = result
            while len(self._answered) > _REMEMBERED:
                del self._answered[next(iter(self._answered))]

    def note(self, report: DeploymentReport, moment: datetime) -> bool:
        """Take a bundle's state; `since` stays while sync and health do. Is there news?"""
        self.passes[report.sync] += 1
        before = self.now.get(report.bundle)
        same = before is not None and _standing(before) == _standing(report)
        since = before.since if same and before is not None else moment
        current = report.model_copy(update={"since": since})
        self.now[report.bundle] = current
        return current != before

    def drop(self, bundle: str) -> None:
        """A bundle that is gone for good is not spoken of again."""
        self.now.pop(bundle, None)
        self._told.pop(bundle, None)

    @property
    def has_news(self) -> bool:
        """Would the next report say anything?"""
        news = self._unanswered is not None or self.now != self._told
        return self._full or news or bool(self._answers)

    def next(self, order: tuple[int, int], facts: Mapping[str, str | int]) -> Report:
        """The report to send now; the same one again while it has not been answered."""
        if self._unanswered is None:
            changed = [
                item for name, item in sorted(self.now.items()) if self._told.get(name) != item
            ]
            said = [self.now[name] for name in sorted(self.now)] if self._full else changed
            self._sequence += 1
            self._unanswered = Report(
                cluster=self.cluster,
                incarnation=self._incarnation,
                sequence=self._sequence,
                full=self._full,
                epoch=order[0],
                serial=order[1],
                kubernetes_version=str(facts.get("kubernetes_version", "")),
                agent_version=str(facts.get("agent_version", "")),
                nodes=int(facts.get("nodes", 0)),
                trouble=str(facts.get("trouble", "")),
                left=bool(facts.get("left", False)),
                deployments=tuple(said),
                syncs=tuple(self._answers.values())[:MOST_ANSWERS],
            )
        return self._unanswered

    def answered(self, answer: ReportAnswer) -> None:
        """The hub took the report, or asks for everything."""
        sent, self._unanswered = self._unanswered, None
        self._full = answer.resync or not answer.accepted
        if sent is not None and not self._full:
            if sent.full:
                self._told = {}
            self._told |= {item.bundle: item for item in sent.deployments}
            for item in sent.syncs:
                if self._answers.get((item.uid, item.bundle)) is item:
                    del self._answers[item.uid, item.bundle]


def _standing(report: DeploymentReport) -> tuple[object, ...]:
    return (report.digest, report.generation, report.sync, report.health)
