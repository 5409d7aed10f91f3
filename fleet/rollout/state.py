"""What `advance` is given and what it answers, as frozen values.

::

    RunPlan   pinned when the run is made: stages with resolved numbers, who changes to what
    Marks     the little that is remembered between calls; everything else is recomputed
    Evidence  what the hub knows at `now`: assignments, reports, decisions, who is online
    Step      the answer: states, who may be offered, whose offer is withdrawn, new marks, events

The hub writes a Step in one transaction and may die before or after it: asked again, `advance`
yields the rest and repeats nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from agents.protocol import Health, SyncState
from clusters.objects import Digest


class RunState(StrEnum):
    """See rollouts.md, States. Terminal: SUCCEEDED, ABORTED, SUPERSEDED (and later RolledBack)."""

    QUEUED = "Queued"
    RUNNING = "Running"
    PAUSED = "Paused"
    FAILING = "Failing"
    SUCCEEDED = "Succeeded"
    ABORTED = "Aborted"
    SUPERSEDED = "Superseded"


class StageState(StrEnum):
    """Where a stage of a run is."""

    WAITING = "Waiting"
    GATED_BEFORE = "GatedBefore"
    UPDATING = "Updating"
    VERIFYING = "Verifying"
    GATED_AFTER = "GatedAfter"
    DONE = "Done"
    FAILED = "Failed"
    SKIPPED = "Skipped"


class ClusterState(StrEnum):
    """Where one cluster of a run is."""

    QUEUED = "Queued"
    ASSIGNED = "Assigned"
    APPLYING = "Applying"
    VERIFYING = "Verifying"
    HEALTHY = "Healthy"
    FAILED = "Failed"
    TIMED_OUT = "TimedOut"
    STILL_UNHEALTHY = "StillUnhealthy"
    OFFLINE = "Offline"
    PENDING = "Pending"
    SKIPPED = "Skipped"
    HELD = "Held"


class Lane(StrEnum):
    """A staged run, or one that brings late clusters up to what a finished run delivered."""

    STAGED = "Staged"
    CATCH_UP = "CatchUp"


@dataclass(frozen=True, slots=True)
class Change:
    """One bundle of one cluster in a run: from what was last granted to what is wanted."""

    bundle: str
    wanted: Digest
    previous: Digest = ""
    """What was last granted, empty if nothing was."""
    was_unhealthy: bool = False
    """Unhealthy under `previous` when the run was made: exempt from the 60 s of Degraded."""


@dataclass(frozen=True, slots=True)
class Ramp:
    """Resolved parallelism as batch sizes; the last one repeats, a single one is fixed."""

    steps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage with every number resolved; clusters that change, in the order they start."""

    name: str
    clusters: tuple[str, ...]
    depends_on: tuple[str, ...] = ()
    members: int = 0
    """All clusters that the stage selects, changing or not: the base of percentages."""
    parallelism: Ramp = Ramp((1,))
    failure_budget: int = 0
    min_healthy: int = 1
    cluster_deadline_seconds: float = 1800
    soak_seconds: float = 0
    approval: bool = False
    approvers: tuple[str, ...] = ()
    failure_budget_said: str = ""
    """As the policy says it (`2%`): resolved again over who is online when the stage starts."""
    min_healthy_said: str = ""
    """As the policy says it; likewise."""


@dataclass(frozen=True, slots=True)
class RunPlan:
    """One run as it was made; never edited."""

    uid: str
    rollout: str
    commit: str
    bundles: tuple[str, ...]
    created: datetime
    stages: tuple[StagePlan, ...]
    changes: Mapping[str, tuple[Change, ...]]
    """Cluster → what changes there, sorted by bundle."""
    plan_hash: Digest = ""
    lane: Lane = Lane.STAGED
    degraded_seconds: float = 60
    """How long Degraded lasts before it counts as failed."""
    lease_seconds: float = 900
    restores: bool = False
    """Every change goes back to what was granted before: no gates, no soak."""
    title: str = ""
    """First line of the commit's message."""
    author: str = ""
    number: int = 0
    """Rises with every run of the hub; part of the uid."""


class Intent(StrEnum):
    """What people want of a run."""

    RUN = "Run"
    PAUSE = "Pause"
    ABORT = "Abort"


class Verb(StrEnum):
    """What a person decided."""

    APPROVE = "approve"
    REJECT = "reject"
    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"
    ABORT = "abort"


@dataclass(frozen=True, slots=True)
class Decision:
    """Append-only; who, when, why."""

    number: int
    run: str
    verb: Verb
    actor: str
    at: datetime
    reason: str = ""
    stage: str = ""
    """APPROVE/REJECT: the stage; empty means every gate that waits now is answered by the hub."""
    plan_hash: Digest = ""
    clusters: tuple[str, ...] = ()
    """RETRY: which; empty means all that failed."""


@dataclass(frozen=True, slots=True)
class BundleEvidence:
    """The newest accepted report on one bundle of one cluster."""

    bundle: str
    digest: Digest
    generation: int
    sync: SyncState
    health: Health
    since: datetime
    """Hub time at which exactly this (digest, generation, sync, health) was first received."""
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class AssignmentEvidence:
    """This run's newest assignment for one cluster."""

    generation: int
    offered_at: datetime
    started_at: datetime | None = None
    withdrawn_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ClusterEvidence:
    """What the hub knows of one cluster of the run."""

    registered: bool = False
    online: bool = False
    held_by: str = ""
    """Another run that has an offer or an unsettled assignment of the same bundle here."""
    assignment: AssignmentEvidence | None = None
    bundles: Mapping[str, BundleEvidence] = field(default_factory=dict)
    unsettled_since: datetime | None = None
    """When a run that has ended left a started, unsettled assignment of the same bundle here: it
    may still change, so it takes one of the stage's slots until the stage's clusterDeadline."""


@dataclass(frozen=True, slots=True)
class Marks:
    """All that is persisted besides assignments, reports and decisions."""

    ever_failed: frozenset[tuple[str, str]] = frozenset()
    """(stage, cluster); never shrinks."""
    failed: tuple[tuple[str, str, str], ...] = ()
    """(stage, cluster, why) that stand now: terminal until a retry Decision. `why` starts with the
    cluster's state and a colon: `TimedOut: not Healthy within 1800 s`."""
    breached: tuple[tuple[str, str], ...] = ()
    """(stage, why): budgets that were breached and not answered by a retry."""
    denominators: tuple[tuple[str, int], ...] = ()
    started: tuple[tuple[str, datetime], ...] = ()
    done: tuple[tuple[str, datetime], ...] = ()
    soak_anchor: tuple[tuple[str, datetime], ...] = ()
    """(stage, when its last cluster became Healthy)."""
    ramp_step: tuple[tuple[str, int], ...] = ()
    retried: tuple[tuple[str, int], ...] = ()
    """(cluster, number of the last retry Decision that was carried out); cluster "" is the run."""
    retired: tuple[tuple[str, int], ...] = ()
    """(cluster, generation): assignments up to this one were set aside by a retry."""
    clocks: tuple[tuple[str, float, datetime | None], ...] = ()
    """(cluster, seconds in flight so far, since when the clock runs): for clusterDeadline."""
    batch: tuple[tuple[str, str], ...] = ()
    """(stage, cluster) of the batch that a ramp waits for."""
    seen_run: str = ""
    """The run's state as last told to the history; likewise the next two."""
    seen_stages: tuple[tuple[str, str], ...] = ()
    seen_clusters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the hub knows at one moment."""

    clusters: Mapping[str, ClusterEvidence]
    decisions: tuple[Decision, ...] = ()
    """Those of this run, in order."""
    superseded_by: str = ""
    """A newer run that replaces this one."""
    waits_for: str = ""
    """An older run with a bundle in common that goes first: this one is Queued."""


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """One cluster of a run, and why it is not further."""

    cluster: str
    stage: str
    state: ClusterState
    reason: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class StageStatus:
    """One stage of a run as shown to people."""

    name: str
    state: StageState
    total: int
    healthy: int
    in_flight: int
    failed: int
    offline: int
    budget: int
    reason: str = ""
    until: datetime | None = None
    """When a soak ends, if the stage soaks."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a run's history."""

    kind: str
    """Kebab-case: `stage-started`, `cluster-failed`, `budget-breached`, …"""
    message: str
    stage: str = ""
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What may happen now. Performing half of it and asking again is legal."""

    state: RunState
    stages: tuple[StageStatus, ...]
    clusters: tuple[ClusterStatus, ...]
    offer: tuple[str, ...] = ()
    """Clusters to be offered this run's changes, in order."""
    withdraw: tuple[str, ...] = ()
    """Clusters whose unstarted offer is taken back."""
    marks: Marks = Marks()
    events: tuple[Event, ...] = ()
    reason: str = ""
    """Why the run is where it is, in one sentence."""
    wake_at: datetime | None = None
    """When time alone could change the answer."""
