"""What `propose` is given and what it answers, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from clusters.objects import Digest
from fleet.model import Cluster, ClusterGroup, Labels
from fleet.rollout.amendments import Amendment
from fleet.rollout.handovers import Handovers
from fleet.rollout.policy import PolicyBook
from fleet.rollout.rules import FailureAction
from fleet.rollout.run_plan import RunPlan
from fleet.rollout.states import Lane, RunState
from fleet.rollout.tables import ENDED

Wanted = Mapping[str, Digest | None]
"""Bundle → wanted digest; `None`: it did not render, nothing is concluded."""


Asked = tuple[str, str]
"""(commit, bundle): what today's clusters would run of the bundle as of that commit."""


AsOf = Mapping[Asked, Mapping[str, Digest | None]]
"""(commit, bundle) → cluster → digest; `None`: it did not render, or is not for that cluster."""


Approved = frozenset[tuple[str, str, Digest]]
"""(cluster, bundle, what it runs): removals that a person approved."""


@dataclass(frozen=True, slots=True)
class RunRecord:
    """A stored run as far as newer runs care."""

    plan: RunPlan
    state: RunState
    breached: bool = False
    """`Marks.breached` is not empty: a failure that nobody answered."""
    finishing: bool = False
    """It finishes the stages that it has started, and is then superseded."""
    reopened: bool = False
    """A person asked to try it again after it had ended: it counts as if it had never been."""
    ended_at: datetime | None = None
    failed: frozenset[str] = frozenset()
    """Clusters that ever failed in it."""
    started: frozenset[str] = frozenset()
    """Its stages that have started, those that are Done included."""
    done: frozenset[str] = frozenset()
    """Its stages that are Done."""
    touched: frozenset[str] = frozenset()
    """Clusters that have started something of it, or failed in it."""
    is_hotfix: bool = False
    """A Decision opened the hotfix lane for it."""

    @property
    def finishes(self) -> frozenset[str]:
        """The clusters of the stages in which it has started something."""
        begun = (
            stage.clusters
            for stage in self.plan.stages
            if stage.name in self.started and not self.touched.isdisjoint(stage.clusters)
        )
        return frozenset(cluster for clusters in begun for cluster in clusters)

    @property
    def is_live(self) -> bool:
        """Has it not ended?"""
        return self.state not in ENDED

    @property
    def goes_back(self) -> bool:
        """Does it roll back, or will it in its next step? That comes to its end first."""
        acts = self.plan.rules.on_failure.action is FailureAction.ROLLBACK
        return self.state is RunState.ROLLING_BACK or (self.state is RunState.FAILING and acts)

    @property
    def is_replaced_by_any(self) -> bool:
        """A failure that nobody answered: every newer run replaces it, under every policy."""
        return self.breached and not self.goes_back

    @property
    def is_staged(self) -> bool:
        """Is it a staged run, not the catch-up lane?"""
        return self.plan.lane is Lane.STAGED


@dataclass(frozen=True, slots=True)
class CommitRecord:
    """What a run says of the commit that it is of."""

    id: str
    number: int
    """Rises with every commit that becomes the branch's newest."""
    title: str = ""
    author: str = ""
    authors: tuple[str, ...] = ()
    """Author and committer of it and of those that came with it, by name and e-mail address."""
    trailers: tuple[tuple[str, str], ...] = ()
    """Those of its message."""


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that decides whether new runs are wanted."""

    commit: str
    now: datetime
    wanted: Mapping[str, Wanted]
    """Declared cluster → what it is to run. Clusters of a class may share one mapping."""
    assigned: Mapping[str, Mapping[str, Digest]]
    """Cluster → bundle → digest last *granted*; withdrawn offers never count."""
    policies: PolicyBook
    clusters: tuple[Cluster, ...] = ()
    groups: tuple[ClusterGroup, ...] = ()
    declared: Mapping[str, datetime | None] | None = None
    """Every cluster that Git declares, read or not, since when; `None`: it is not known."""
    members_unread: bool = False
    """Some cluster or group could not be read: nothing is concluded about who is where."""
    bundles: Mapping[str, Labels] = field(default_factory=dict)
    """Declared bundle → its labels."""
    depends_on: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    handovers: Handovers = field(default_factory=Handovers)
    """Objects that move from one bundle to another."""
    held: frozenset[str] = frozenset()
    """Bundles of which nothing may be concluded from absence (`Plan.held`)."""
    held_clusters: frozenset[str] = frozenset()
    """Clusters of which nothing at all may be concluded from absence."""
    runs: tuple[RunRecord, ...] = ()
    """Oldest first: every live run and, for each bundle, back to its last succeeded one."""
    online: frozenset[str] = frozenset()
    unhealthy: frozenset[tuple[str, str]] = frozenset()
    """(cluster, bundle) that are unhealthy now under what they were last granted."""
    vetoed: Mapping[str, Mapping[Digest, str]] = field(default_factory=dict)
    """Bundle → digest that failed → why; those that were lifted are left out."""
    removals_approved: Approved = frozenset()
    catch_up_asked: Mapping[str, datetime] = field(default_factory=dict)
    """Cluster → when a person last asked the catch-up lane to try it again."""
    held_removals: frozenset[tuple[str, str]] = frozenset()
    """(cluster, bundle) whose removal waits for a person; `propose` finds them."""
    unbaked: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Bundle → the runs whose content some cluster runs and has not baked."""
    pushes: tuple[datetime, ...] = ()
    """When each of the newest commits was first seen, the newest first: for `source.coalesce`."""
    origins: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Cluster → bundle → the commit that brought what is wanted there."""
    commits: Mapping[str, CommitRecord] = field(default_factory=dict)
    """Those that `origins` names."""
    contents: Mapping[str, CommitRecord] = field(default_factory=dict)
    """Rollout → the commit whose content it delivers, if that is another one (`source.track`)."""
    content_pushes: Mapping[str, tuple[datetime, ...]] = field(default_factory=dict)
    """As `pushes`, of such a rollout."""
    as_of: AsOf = field(default_factory=dict)
    """All that was asked for (`Proposal.asked`); empty of what cannot be had any more."""
    next_number: int = 1
    title: str = ""
    author: str = ""
    authors: tuple[str, ...] = ()
    """Author and committer of the commit, each by name and by e-mail address."""
    trailers: Mapping[str, str] = field(default_factory=dict)
    """Those of the commit's message."""


@dataclass(frozen=True, slots=True, order=True)
class Held:
    """A change that is wanted and not released, and why."""

    bundle: str
    cluster: str
    """Empty: on every cluster."""
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Proposal:
    """The runs to be stored now; to be written in one transaction with what they replace."""

    runs: tuple[RunPlan, ...] = ()
    superseded: Mapping[str, str] = field(default_factory=dict)
    """Old run → the new one that replaces it; its unstarted offers are withdrawn with it."""
    finishing: Mapping[str, str] = field(default_factory=dict)
    """Old run → the new one that waits until it has finished the stages that it has started."""
    amendments: Mapping[str, Amendment] = field(default_factory=dict)
    """Live run → what joins, leaves and relabels change in it."""
    held: tuple[Held, ...] = ()
    waits: Mapping[str, str] = field(default_factory=dict)
    """Queued run → the older live run that goes first: `Evidence.waits_for`."""
    wake_at: datetime | None = None
    """When time alone could change the answer."""
    asked: frozenset[Asked] = frozenset()
    """Content of older commits that is needed and not among `Situation.as_of`."""
