"""One run as it was made: who changes to what, through which stages, with every number resolved.

A plan is pinned and never edited: the policy that it was made under is in it (`rules`, `policy` and
the stages), so that what people change in Git serves the next run; who joins and leaves is recorded
beside it (`fleet.rollout.amendments`). Amounts that depend on who is online (`…_said`) or on the
clusters of a rollback are kept as written, all others are integers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from clusters.objects import Digest
from fleet.rollout.gate_kinds import AfterGate, Approval, BeforeGate
from fleet.rollout.rules import Rules
from fleet.rollout.stages import Policy
from fleet.rollout.states import Lane


@dataclass(frozen=True, slots=True)
class Change:
    """One bundle of one cluster in a run: from what was last granted to what is wanted."""

    bundle: str
    wanted: Digest
    """`absent` for a removal."""
    previous: Digest = ""
    """What was last granted, empty if nothing was."""
    was_unhealthy: bool = False
    """Unhealthy under `previous` when the run was made: exempt from the 60 s of Degraded."""


@dataclass(frozen=True, slots=True)
class Ramp:
    """Resolved parallelism as batch sizes; the last one repeats, a single one is fixed."""

    steps: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SpreadPlan:
    """How many of each domain may be in flight in the stage."""

    key: str
    domain_of: Mapping[str, str]
    """Cluster → its value of the label when the run was made; without the label, empty."""
    limits: Mapping[str, int]
    """Value → clusters."""


@dataclass(frozen=True, slots=True)
class StagePlan:
    """One stage with every number resolved; clusters that change, in the order they start."""

    name: str
    clusters: tuple[str, ...]
    depends_on: tuple[str, ...] = ()
    members: int = 0
    """All clusters that the stage selects, changing or not: the base of percentages."""
    parallelism: Ramp = Ramp((1,))
    spread: SpreadPlan | None = None
    failure_budget: int = 0
    consecutive: int | None = None
    """So many failures in a row in finish order breach too."""
    min_healthy: int = 1
    cluster_deadline_seconds: float = 1800
    stage_deadline_seconds: float | None = None
    """From the stage's start to Done; past it the stage is breached."""
    proving: tuple[str, ...] = ()
    """All its clusters, changing or not, if a `proven` gate of the run looks at this stage."""
    before: tuple[BeforeGate, ...] = ()
    after: tuple[AfterGate, ...] = ()
    failure_budget_said: str = ""
    """As the policy says it (`2%`): resolved again over who is online when the stage starts."""
    min_healthy_said: str = ""
    """As the policy says it; likewise."""

    @property
    def approvals(self) -> tuple[Approval, ...]:
        """The approvals that it asks for before it starts."""
        return tuple(gate for gate in self.before if isinstance(gate, Approval))


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
    rules: Rules = Rules()
    """The policy's rules for the whole run, as they were then."""
    degraded_seconds: float = 60
    """How long Degraded lasts before it counts as failed."""
    restores: bool = False
    """Every change goes back to what was granted before: no gates, no soak."""
    restoring: frozenset[str] = frozenset()
    """Clusters of which that is so, in a run where it is not so of all."""
    title: str = ""
    """First line of the commit's message."""
    author: str = ""
    authors: tuple[str, ...] = ()
    """Author and committer of the commit, each by name and by e-mail address."""
    trailers: Mapping[str, str] = field(default_factory=dict)
    """Trailers of the commit's message; `supersede.hotfix` asks for one."""
    hotfix_of: str = ""
    """The run that this one was made anew of when a Decision had opened the hotfix lane for that
    one: it is open for this one too."""
    number: int = 0
    """Rises with every run of the hub; part of the uid."""
    policy: Policy | None = None
    """Who is in which stage, as it was said then (its rules are `rules`); for joins, relabels."""
    left: Mapping[str, str] = field(default_factory=dict)
    """Cluster → why it is in this run no more; only amendments say so."""
    lost: frozenset[str] = frozenset()
    """Those of them that count as failed (`onLeave: Fail`)."""

    @property
    def lease_seconds(self) -> float:
        """How long an offer may lie unstarted before another cluster gets its slot."""
        return self.rules.connectivity.lease_seconds
