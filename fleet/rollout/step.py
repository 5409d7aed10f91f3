"""What `advance` answers: states, who may be offered, whose offer is withdrawn, marks, history.

The hub writes a Step in one transaction and may die before or after it: asked again, `advance`
yields the rest and repeats nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from clusters.objects import Digest
from fleet.rollout.marks import Marks
from fleet.rollout.run_plan import Change
from fleet.rollout.states import ClusterState, RunState, StageState


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """One cluster of a run, and why it is not further."""

    cluster: str
    stage: str
    state: ClusterState
    reason: str = ""
    code: str = ""


@dataclass(frozen=True, slots=True)
class GateStatus:
    """One gate of a stage as shown to people."""

    gate: str
    """Its `gate_id`."""
    kind: str
    """As in the YAML: `approval`, `soak`, …"""
    verdict: str
    """`pass`, `fail` or `none`."""
    reason: str = ""
    until: datetime | None = None
    """When time alone opens it (a soak's end, a window's `nextOpen`)."""


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
    denominator: int = 0
    """Of failureBudget and minHealthy, frozen when the stage starts."""
    gates: tuple[GateStatus, ...] = ()
    """Those that are judged now."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a run's history."""

    kind: str
    """Kebab-case: `stage-started`, `cluster-failed`, `budget-breached`, …"""
    message: str
    stage: str = ""
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class Veto:
    """Digests that failed: while a bundle wants one of them anywhere it is held everywhere."""

    bundle: str
    digest: Digest
    run: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class Trait:
    """One thing that clusters may have in common."""

    name: str
    """The label, or `bundle NAME`."""
    value: str
    failed: int
    """Of those that failed, how many have it."""
    healthy: int
    """Of the Healthy ones, how many have it."""
    p: float
    """How likely that is by chance, corrected for how many traits were looked at; at most 1."""

    @property
    def words(self) -> str:
        """`k8s-version=1.29`."""
        return f"{self.name}={self.value}" if self.value else f"no {self.name}"


@dataclass(frozen=True, slots=True)
class Bisection:
    """What failed clusters have in common against the Healthy ones, as of one breach."""

    said: str
    """In one sentence."""
    failed: int
    healthy: int
    traits: tuple[Trait, ...] = ()
    """Those that some failed cluster has, the least likely by chance first."""
    found: int = 0
    """So many of them are findings."""
    suspects: tuple[str, ...] = ()
    """`web: 1a2b3c4 Bump the image`, the newest first."""


@dataclass(frozen=True, slots=True)
class Step:
    """What may happen now. Performing half of it and asking again is legal."""

    state: RunState
    stages: tuple[StageStatus, ...]
    clusters: tuple[ClusterStatus, ...]
    offer: tuple[str, ...] = ()
    """Clusters to be offered this run's changes, in order."""
    closes: tuple[tuple[str, datetime], ...] = ()
    """(cluster, when): its offer must not be started from then on, whatever its lease."""
    withdraw: tuple[str, ...] = ()
    """Clusters whose unstarted offer is taken back."""
    revert: tuple[tuple[str, tuple[Change, ...]], ...] = ()
    """Clusters to be offered the way back (RollingBack), in order, and what that is."""
    vetoes: tuple[Veto, ...] = ()
    """To be stored with the step; the same veto twice is one."""
    baked: tuple[str, ...] = ()
    """Stages that became Done in this step: their Healthy clusters have baked what they run."""
    bisection: Bisection | None = None
    """What has failed has this in common, if more has failed of a breached run."""
    marks: Marks = Marks()
    events: tuple[Event, ...] = ()
    reason: str = ""
    """Why the run is where it is, in one sentence."""
    wake_at: datetime | None = None
    """When time alone could change the answer."""
