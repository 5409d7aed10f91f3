"""What a policy says about a whole run, as values: failure, supersede, membership and the rest.

`Rules` is the part of a `Policy` that is pinned into each run made under it (`RunPlan.rules`), so
that an edit of the policy serves the next run only. Amounts stay as written; where they
meet a number of clusters they are resolved by `fleet.rollout.numbers`. Values only.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from fleet.rollout.numbers import ONE, TWO, Amount, read_amount

DAY = 86400.0
_FIVE_PERCENT = read_amount("5%")
_TEN_PERCENT = read_amount("10%")
_A_QUARTER = read_amount("25%")


class Unit(StrEnum):
    """What goes in one run."""

    BUNDLE = "Bundle"
    COMMIT = "Commit"


class MembershipMode(StrEnum):
    """May clusters enter a run after it was made?"""

    DYNAMIC = "Dynamic"
    FROZEN = "Frozen"


class Unmatched(StrEnum):
    """What becomes of clusters that no stage selects."""

    HOLD = "Hold"
    FAIL = "Fail"


class Overlap(StrEnum):
    """What becomes of clusters that several stages select."""

    FIRST_MATCH = "FirstMatch"
    REJECT = "Reject"


class OnJoin(StrEnum):
    """How a cluster that joins after its stage gets its change."""

    CATCH_UP = "CatchUp"
    NEXT_RUN = "NextRun"


class OnLeave(StrEnum):
    """What a cluster that is declared no more does to a run."""

    RELEASE = "Release"
    FAIL = "Fail"


class OnRelabel(StrEnum):
    """What new labels do to a cluster of a live run."""

    KEEP_STAGE = "KeepStage"
    RESTAGE = "Restage"


class OfflineRule(StrEnum):
    """What a stage does about clusters that are offline and have started nothing."""

    WAIT = "Wait"
    SKIP = "Skip"
    FAIL = "Fail"


class FailureAction(StrEnum):
    """What a breach does."""

    PAUSE = "Pause"
    ABORT = "Abort"
    ROLLBACK = "Rollback"
    CONTINUE = "Continue"


class FailureScope(StrEnum):
    """What a breach stops."""

    CLUSTER = "Cluster"
    STAGE = "Stage"
    RUN = "Run"


class SupersedePolicy(StrEnum):
    """What a newer run does to a live one of the same bundle."""

    QUEUE = "Queue"
    COALESCE_LATEST = "CoalesceLatest"
    FINISH_STAGE = "FinishStage"
    IMMEDIATE = "Immediate"


class Override(StrEnum):
    """What people may do past the policy."""

    SKIP_CLUSTER = "SkipCluster"
    RETRY_CLUSTER = "RetryCluster"
    FORCE_GATE = "ForceGate"


@dataclass(frozen=True, slots=True)
class Track:
    """Which commits of the content are delivered; exactly one is said."""

    ref: str = ""
    semver: str = ""
    revision: str = ""


@dataclass(frozen=True, slots=True)
class Delivery:
    """`source` but for its bundles: which content, how it is bundled into runs."""

    track: Track | None = None
    """`None`: the hub's own branch."""
    coalesce_seconds: float = 10
    """Pushes settle this long before runs are made."""
    unit: Unit = Unit.BUNDLE


@dataclass(frozen=True, slots=True)
class MembershipRules:
    """Who is in which stage, and what joining, leaving and relabelling do."""

    mode: MembershipMode = MembershipMode.DYNAMIC
    unmatched: Unmatched = Unmatched.HOLD
    overlap: Overlap = Overlap.FIRST_MATCH
    on_join: OnJoin = OnJoin.CATCH_UP
    on_leave: OnLeave = OnLeave.RELEASE
    on_relabel: OnRelabel = OnRelabel.KEEP_STAGE
    max_removal_per_run: Amount = _FIVE_PERCENT
    """Resolved up; 0: every removal asks."""


@dataclass(frozen=True, slots=True)
class CatchUp:
    """The lane for late clusters."""

    parallelism: Amount = TWO
    within_seconds: float = 7 * DAY
    """After that the lane asks for a Decision."""


@dataclass(frozen=True, slots=True)
class ConnectivityRules:
    """What happens to clusters that cannot be reached."""

    stale_after_seconds: float | None = None
    """Silence that makes a cluster Offline; `None`: three heartbeats."""
    lease_seconds: float = 900
    offline: OfflineRule = OfflineRule.SKIP
    catch_up: CatchUp = CatchUp()


@dataclass(frozen=True, slots=True)
class RemovalRules:
    """Removals pass the stages after the run's other changes."""

    parallelism: Amount = ONE
    require_approval_above: int | None = None
    """More removals than this wait for `approve --removals`; `None`: only `maxRemovalPerRun`."""


@dataclass(frozen=True, slots=True)
class Invariant:
    """A cap that is judged at every assignment; exactly one of the two amounts is said."""

    name: str
    key: str = ""
    """The cluster label that makes domains; empty: the whole fleet is one."""
    max_unavailable: Amount | None = None
    max_exposed: Amount | None = None
    """Clusters on a revision that has not passed its first full soak (`until: Baked`)."""
    at_least_one: bool = False
    """A percentage that comes to 0 is 1; without it such a plan is rejected."""


@dataclass(frozen=True, slots=True)
class RollbackRules:
    """How touched clusters go back, each to what it last baked, last assigned first."""

    parallelism: Amount = _A_QUARTER
    failure_budget: Amount = _TEN_PERCENT


@dataclass(frozen=True, slots=True)
class Bisect:
    """Which labels (and whether which revisions) a report of failures is broken down by."""

    labels: tuple[str, ...] = ()
    revisions: bool = False


@dataclass(frozen=True, slots=True)
class FailureRules:
    """What a breach does, how far it reaches, and what it leaves behind."""

    action: FailureAction = FailureAction.PAUSE
    scope: FailureScope = FailureScope.RUN
    rollback: RollbackRules = RollbackRules()
    bisect: Bisect | None = None
    veto: bool = True


@dataclass(frozen=True, slots=True)
class HotfixLane:
    """A commit trailer asks for the lane, a Decision opens it."""

    when_trailer: str = "Rollout-Class: hotfix"
    policy: SupersedePolicy = SupersedePolicy.IMMEDIATE


@dataclass(frozen=True, slots=True)
class SupersedeRules:
    """What a newer run does to a live one, and how often in a row."""

    policy: SupersedePolicy = SupersedePolicy.COALESCE_LATEST
    hotfix: HotfixLane | None = None
    max_deferrals: int = 5
    max_live_unbaked: int = 3


@dataclass(frozen=True, slots=True)
class OverrideRules:
    """Who may pass the policy, and how."""

    require_reason: bool = False
    """For every one of them; forcing a gate and forgiving always need one."""
    allow: tuple[Override, ...] = tuple(sorted(Override))
    roles: tuple[str, ...] = ()
    """Empty: everybody who may decide at all."""


@dataclass(frozen=True, slots=True)
class HistoryRules:
    """What is kept; `None`: everything."""

    runs: int | None = None
    decisions_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """All that a policy says about a whole run."""

    delivery: Delivery = Delivery()
    membership: MembershipRules = MembershipRules()
    connectivity: ConnectivityRules = ConnectivityRules()
    removal: RemovalRules = RemovalRules()
    invariants: tuple[Invariant, ...] = ()
    on_failure: FailureRules = FailureRules()
    supersede: SupersedeRules = SupersedeRules()
    overrides: OverrideRules = OverrideRules()
    history: HistoryRules = HistoryRules()
