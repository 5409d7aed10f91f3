"""What the small pull fleet of the tests remembers: offers, agents, stored runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic import TypeAdapter

from agents.protocol import Health, SyncState
from fleet.rollout import hotfix
from fleet.rollout.decisions import Decision
from fleet.rollout.evidence import AssignmentEvidence
from fleet.rollout.marks import Marks
from fleet.rollout.run_plan import RunPlan
from fleet.rollout.situation import RunRecord
from fleet.rollout.states import Intent, RunState
from fleet.rollout.step import Step

START = datetime(2030, 1, 1, tzinfo=UTC)
MARKS: TypeAdapter[Marks] = TypeAdapter(Marks)

UNTOUCHED = ("Queued", "Assigned", "Offline", "Pending", "Held", "Removed")

SAID = {
    "applying": (SyncState.SYNCING, Health.PROGRESSING),
    "progressing": (SyncState.SYNCED, Health.PROGRESSING),
    "healthy": (SyncState.SYNCED, Health.HEALTHY),
    "degraded": (SyncState.SYNCED, Health.DEGRADED),
    "failed": (SyncState.FAILED, Health.UNKNOWN),
}


@dataclass(slots=True)
class Assignment:
    """One offer of one run to one cluster, and what became of it."""

    run: str
    cluster: str
    generation: int
    digests: dict[str, str]
    offered_at: datetime
    ends_at: datetime
    """From then on the hub grants no start: the lease is over, or a window has closed."""
    started_at: datetime | None = None
    withdrawn_at: datetime | None = None
    reverts: bool = False

    @property
    def can_start(self) -> bool:
        """Would the hub grant it now?"""
        return self.started_at is None and self.withdrawn_at is None

    def evidence(self) -> AssignmentEvidence:
        """As the engine sees it."""
        return AssignmentEvidence(
            self.generation,
            self.offered_at,
            self.started_at,
            self.withdrawn_at,
            self.reverts,
        )


class Assignments(list[Assignment]):
    """All of them in their order, and those of each cluster."""

    def __init__(self) -> None:
        super().__init__()
        self._of: dict[str, list[Assignment]] = {}

    def append(self, one: Assignment) -> None:
        """One more."""
        super().append(one)
        self._of.setdefault(one.cluster, []).append(one)

    def of(self, cluster: str, run: str = "") -> list[Assignment]:
        """Those of one cluster (and run), in their order."""
        return [one for one in self._of.get(cluster, ()) if run in ("", one.run)]

    def newest(self, cluster: str, run: str) -> Assignment | None:
        """A run's newest assignment for a cluster."""
        mine = reversed(self._of.get(cluster, ()))
        return next((one for one in mine if one.run == run), None)

    def granted(self, cluster: str, bundle: str) -> Assignment | None:
        """The assignment that a bundle of a cluster runs under."""
        mine = reversed(self._of.get(cluster, ()))
        return next((a for a in mine if bundle in a.digests and a.started_at is not None), None)


@dataclass(slots=True)
class Current:
    """What a cluster truly does with one bundle."""

    digest: str
    generation: int
    run: str
    phase: str = "applying"
    was_healthy: bool = False


@dataclass(slots=True)
class Agent:
    """One cluster with its agent."""

    name: str
    online: bool = True
    registered: bool = True
    fetched: list[Assignment] = field(default_factory=list)
    current: dict[str, Current] = field(default_factory=dict)


@dataclass(slots=True)
class Stored:
    """One run in the hub's store."""

    plan: RunPlan
    marks: Marks = field(default_factory=Marks)
    state: RunState = RunState.QUEUED
    intent: Intent = Intent.RUN
    superseded_by: str = ""
    finishing: bool = False
    decisions: list[Decision] = field(default_factory=list)
    step: Step | None = None
    ended_at: datetime | None = None

    def record(self) -> RunRecord:
        """As newer runs see it."""
        return RunRecord(
            self.plan,
            self.state,
            bool(self.marks.breached),
            self.finishing,
            started=frozenset(stage for stage, _ in self.marks.started),
            done=frozenset(stage for stage, _ in self.marks.done),
            is_hotfix=hotfix.is_open(self.plan, self.decisions),
            touched=frozenset(c for c, state in self.marks.seen_clusters if state not in UNTOUCHED),
        )
