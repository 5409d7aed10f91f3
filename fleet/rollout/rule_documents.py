"""The YAML of what a Rollout says about whole runs, as pydantic models; `value()` makes the rules.

`membership`, `connectivity`, `removal`, `invariants`, `onFailure`, `supersede`, `overrides` and
`history`, each with the defaults of rollouts.md. Strict; nothing is ignored.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from fleet.rollout import rules
from fleet.rollout.fields import (
    Count,
    LongSeconds,
    Part,
    Seconds,
    Share,
    ShareOrNone,
    Text,
)
from fleet.rollout.numbers import ONE

_MEMBERSHIP = rules.MembershipRules()
_CONNECTIVITY = rules.ConnectivityRules()
_ROLLBACK = rules.RollbackRules()
_HOTFIX = rules.HotfixLane()


class MembershipDocument(Part):
    """Who is in which stage."""

    mode: Annotated[rules.MembershipMode, Field(strict=False)] = _MEMBERSHIP.mode
    unmatched: Annotated[rules.Unmatched, Field(strict=False)] = _MEMBERSHIP.unmatched
    overlap: Annotated[rules.Overlap, Field(strict=False)] = _MEMBERSHIP.overlap
    on_join: Annotated[rules.OnJoin, Field(strict=False)] = _MEMBERSHIP.on_join
    on_leave: Annotated[rules.OnLeave, Field(strict=False)] = _MEMBERSHIP.on_leave
    on_relabel: Annotated[rules.OnRelabel, Field(strict=False)] = _MEMBERSHIP.on_relabel
    max_removal_per_run: ShareOrNone = _MEMBERSHIP.max_removal_per_run

    def value(self) -> rules.MembershipRules:
        """The rules."""
        return rules.MembershipRules(
            mode=self.mode,
            unmatched=self.unmatched,
            overlap=self.overlap,
            on_join=self.on_join,
            on_leave=self.on_leave,
            on_relabel=self.on_relabel,
            max_removal_per_run=self.max_removal_per_run,
        )


class CatchUpDocument(Part):
    """The lane for late clusters."""

    parallelism: Share = _CONNECTIVITY.catch_up.parallelism
    within: Seconds = _CONNECTIVITY.catch_up.within_seconds


class ConnectivityDocument(Part):
    """What happens to clusters that cannot be reached."""

    stale_after: Seconds | None = None
    lease: Seconds = _CONNECTIVITY.lease_seconds
    offline: Annotated[rules.OfflineRule, Field(strict=False)] = _CONNECTIVITY.offline
    catch_up: CatchUpDocument = CatchUpDocument()

    def value(self) -> rules.ConnectivityRules:
        """The rules."""
        lane = rules.CatchUp(self.catch_up.parallelism, self.catch_up.within)
        return rules.ConnectivityRules(self.stale_after, self.lease, self.offline, lane)


class RemovalDocument(Part):
    """How removals go."""

    after: Literal["AllStages"] = "AllStages"
    parallelism: Share = ONE
    require_approval_above: int | None = Field(default=None, ge=0)

    def value(self) -> rules.RemovalRules:
        """The rules."""
        return rules.RemovalRules(self.parallelism, self.require_approval_above)


class InvariantDocument(Part):
    """A cap on what is unavailable in each domain, or on what is exposed to an unbaked revision."""

    name: Text
    key: str = ""
    scope: Literal["Fleet"] | None = None
    max_unavailable: Share | None = None
    max_exposed: Share | None = None
    until: Literal["Baked"] | None = None
    at_least_one: bool = False

    @model_validator(mode="after")
    def _one_cap_of_one_place(self) -> InvariantDocument:
        if bool(self.key) == (self.scope is not None):
            raise ValueError("an invariant has either key or scope: Fleet")
        if (self.max_unavailable is None) == (self.max_exposed is None):
            raise ValueError("an invariant has either maxUnavailable or maxExposed")
        if self.until is not None and self.max_exposed is None:
            raise ValueError("until: Baked belongs to maxExposed")
        return self

    def value(self) -> rules.Invariant:
        """The cap."""
        return rules.Invariant(
            self.name, self.key, self.max_unavailable, self.max_exposed, self.at_least_one
        )


class RollbackDocument(Part):
    """How touched clusters go back."""

    to: Literal["LastBaked"] = "LastBaked"
    order: Literal["Reverse"] = "Reverse"
    parallelism: Share = _ROLLBACK.parallelism
    failure_budget: ShareOrNone = _ROLLBACK.failure_budget

    def value(self) -> rules.RollbackRules:
        """The rules."""
        return rules.RollbackRules(self.parallelism, self.failure_budget)


class BisectDocument(Part):
    """By what a report of failures is broken down."""

    labels: list[Text] = Field(default=[])
    revisions: bool = False

    def value(self) -> rules.Bisect:
        """The request."""
        return rules.Bisect(tuple(self.labels), self.revisions)


class FailureDocument(Part):
    """What a breach does."""

    action: Annotated[rules.FailureAction, Field(strict=False)] = rules.FailureAction.PAUSE
    scope: Annotated[rules.FailureScope, Field(strict=False)] = rules.FailureScope.RUN
    rollback: RollbackDocument = RollbackDocument()
    bisect: BisectDocument | None = None
    veto: bool = True

    @model_validator(mode="after")
    def _continue_within_a_cluster(self) -> FailureDocument:
        goes_on = self.action is rules.FailureAction.CONTINUE
        if goes_on and self.scope is not rules.FailureScope.CLUSTER:
            raise ValueError("action: Continue is legal only with scope: Cluster")
        return self

    def value(self) -> rules.FailureRules:
        """The rules."""
        bisect = self.bisect.value() if self.bisect else None
        return rules.FailureRules(self.action, self.scope, self.rollback.value(), bisect, self.veto)


class HotfixDocument(Part):
    """The lane that a Decision opens."""

    when_trailer: Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9-]*: \S.*$")] = (
        _HOTFIX.when_trailer
    )
    policy: Annotated[rules.SupersedePolicy, Field(strict=False)] = _HOTFIX.policy

    def value(self) -> rules.HotfixLane:
        """The lane."""
        return rules.HotfixLane(self.when_trailer, self.policy)


class SupersedeDocument(Part):
    """What a newer run does to a live one."""

    policy: Annotated[rules.SupersedePolicy, Field(strict=False)] = (
        rules.SupersedePolicy.COALESCE_LATEST
    )
    hotfix: HotfixDocument | None = None
    max_deferrals: Count = 5
    max_live_unbaked: Count = 3

    def value(self) -> rules.SupersedeRules:
        """The rules."""
        hotfix = self.hotfix.value() if self.hotfix else None
        return rules.SupersedeRules(self.policy, hotfix, self.max_deferrals, self.max_live_unbaked)


class OverridesDocument(Part):
    """Who may pass the policy, and how."""

    require_reason: bool = False
    allow: list[Annotated[rules.Override, Field(strict=False)]] = Field(
        default=sorted(rules.Override)
    )
    roles: list[Text] = Field(default=[])

    def value(self) -> rules.OverrideRules:
        """The rules."""
        allow, roles = tuple(sorted(set(self.allow))), tuple(sorted(set(self.roles)))
        return rules.OverrideRules(self.require_reason, allow, roles)


class HistoryDocument(Part):
    """What is kept."""

    runs: Count | None = None
    decisions: LongSeconds | None = None

    def value(self) -> rules.HistoryRules:
        """The rules."""
        return rules.HistoryRules(self.runs, self.decisions)
