"""What the hub knows at one moment, as `advance` is given it. Frozen values, nothing decided.

::

    Evidence
    ├── clusters   ClusterEvidence for each changing cluster
    │              online, assignment, reports; labels, what it last baked, which runs move it
    ├── decisions  on this run, in order
    ├── readings   gate_id → Reading: what webhooks, analyses and sample counts last said
    ├── proofs     stage → what was Healthy there since when, for `proven` gates
    ├── budgets    every RolloutBudget of the newest commit; with `rest`, what others take of them
    └── vetoed, superseded_by, waits_for
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from agents.protocol import Health, SyncState, was_applied
from clusters.objects import Digest
from fleet.model import Labels
from fleet.rollout.decisions import Decision
from fleet.rollout.shared_budget import RolloutBudget


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
    drifted: int = 0
    """Objects that were applied, changed since, and are left so: no step back of the release."""

    @property
    def is_paused(self) -> bool:
        """Does an annotation in the cluster hold up the release?"""
        return self.sync is SyncState.WAITING and self.code == "paused"

    @property
    def is_applied(self) -> bool:
        """Did the cluster get all of it, whatever was changed there afterwards?"""
        return was_applied(self.sync, self.drifted)


@dataclass(frozen=True, slots=True)
class AssignmentEvidence:
    """This run's newest assignment for one cluster."""

    generation: int
    offered_at: datetime
    started_at: datetime | None = None
    withdrawn_at: datetime | None = None
    reverts: bool = False
    """It is the way back of a rollback."""


_NO_LABELS: Labels = {}
_NOTHING_BAKED: Mapping[str, Digest] = {}


@dataclass(frozen=True, slots=True)
class ClusterEvidence:
    """What the hub knows of one cluster of the run."""

    registered: bool = False
    online: bool = False
    dark_at: datetime | None = None
    """When silence makes it Offline for this run (`staleAfter`), if it is silent already."""
    held_by: str = ""
    """Another run that has an offer or an unsettled assignment of the same bundle here."""
    assignment: AssignmentEvidence | None = None
    bundles: Mapping[str, BundleEvidence] = field(default_factory=dict)
    unsettled_since: datetime | None = None
    """When a run that has ended left a started, unsettled assignment of the same bundle here: it
    may still change, so it takes one of the stage's slots until the stage's clusterDeadline."""
    labels: Labels = field(default_factory=lambda: _NO_LABELS)
    """As Git declares them now (a window's time zone, the domains of caps)."""
    baked: Mapping[str, Digest] = field(default_factory=lambda: _NOTHING_BAKED)
    """Bundle → the digest that it last baked here, this run left aside: a rollback's goal."""
    touched_at: datetime | None = None
    """When the newest assignment of this run that was started here was offered, ways back left
    aside; `None`: this run never touched the cluster."""
    runs: tuple[str, ...] = ()
    """Other runs with an offer or an unsettled start here, of whatever bundle."""
    changed_at: datetime | None = None
    """When a bundle of this run last changed here (by any run): for `quietAfter`."""


class Answer(StrEnum):
    """What was said when a gate asked a machine."""

    PASS = "Pass"
    FAIL = "Fail"
    NONE = "None"
    """No data, or not yet; never a pass."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What a webhook, an analysis or a sample count last said."""

    answer: Answer
    at: datetime
    """When it was asked."""
    since: datetime | None = None
    """Since when there has been no data, if there is none."""
    samples: int | None = None
    """Soak: how many samples were taken since its anchor."""
    why: str = ""
    strikes: int = 0
    """Analysis: at so many looks in a row the updated clusters were worse than others."""


@dataclass(frozen=True, slots=True)
class Proof:
    """One image or chart that a bundle of this run would bring, as the named stage knows it."""

    material: str
    """`image:registry/name:tag`, `chart:name@version`."""
    healthy_since: datetime | None = None
    """`None`: it is not Healthy there now."""
    healthy_seconds: float | None = None
    """For how long it once was; `None`: never."""


@dataclass(frozen=True, slots=True)
class Domain:
    """All clusters of one value of one cluster label, whatever rollout they belong to."""

    key: str
    """The label; empty: the whole fleet."""
    value: str
    size: int
    """Declared and registered clusters."""
    in_flight: frozenset[str]
    """Clusters with an offer or an unsettled start of any run."""
    unavailable: frozenset[str]
    """In flight, failed, offline, or unhealthy for whatever reason."""
    exposed: frozenset[str] = frozenset()
    """Clusters that other runs left on a revision of this run's bundles that nobody proved."""


@dataclass(frozen=True, slots=True)
class Rest:
    """What is going on in the whole fleet, this run included: what shared caps are judged by."""

    domains: tuple[Domain, ...] = ()
    """One for each (key, value) that some cap of a budget or of the run's invariants names."""
    starts: tuple[datetime, ...] = ()
    """When the offers of the last minute were made."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the hub knows at one moment."""

    clusters: Mapping[str, ClusterEvidence]
    decisions: tuple[Decision, ...] = ()
    """Those of this run, in order."""
    superseded_by: str = ""
    """A newer run that replaces this one."""
    finishing_for: str = ""
    """A newer run that waits for the stages that this one has started; it starts no other."""
    waits_for: str = ""
    """An older run with a bundle in common that goes first: this one is Queued."""
    readings: Mapping[str, Reading] = field(default_factory=dict)
    """By `gate_id`; a gate that has never been asked has none."""
    proofs: Mapping[str, tuple[Proof, ...]] = field(default_factory=dict)
    """By `gate_id` of a `proven` gate: all that the stage would newly run."""
    dependencies: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By `gate_id` of a `dependency` gate: the clusters of this run for which it holds."""
    vetoed: Mapping[str, str] = field(default_factory=dict)
    """Bundle of this run → why it is held: some cluster wants a digest of it that failed."""
    budgets: tuple[RolloutBudget, ...] = ()
    """Every one of the newest commit, and the freeze that people decided; all hold together."""
    rest: Rest = Rest()
    durations: Mapping[str, float] = field(default_factory=dict)
    """Stage → the observed 90th percentile of seconds from offer to Healthy, in earlier runs."""
    suspects: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Bundle → its commits since its last run that succeeded, newest first: for
    `onFailure.bisect`."""
    is_hotfix: bool = False
    """A Decision opened the hotfix lane for this run."""
