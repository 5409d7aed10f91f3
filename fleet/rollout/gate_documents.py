"""The YAML of gates as pydantic models, each with its shorthands; `value()` makes the frozen gate.

::

    before:                                             after:
      - approval: true | {groups: [sre]} |                - soak: 30m | {min, max,
                  {approvers: {groups, users},                minSamples, resetOn}
                   minApprovers, notAuthor, expires}      - analysis: NAME | {ref, against,
      - proven: STAGE | {in, what, min}                       stratifyBy, minN, alpha}
      - window: {timezone: ZONE | {fromLabel, default}, allow: [{cron, duration}],
                 deny: [{name, from, to}], minRemaining: P90 | 20m}
      - webhook: URL | {url, mode: Poll, every, timeout}
      - dependency: ROLLOUT | {rollout, condition: ClusterHasRevision}

Each item of a list is a mapping with exactly one gate. Gates that ask a machine also take
`noDataTimeout` (1h) and `onNoData: Pause | Fail`.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, model_validator

from fleet.rollout import gate_kinds as kinds
from fleet.rollout.fields import (
    Count,
    Cron,
    Day,
    DurationText,
    Name,
    Part,
    Remaining,
    Seconds,
    Text,
    Url,
    Zone,
    short_for,
)


class NoData(Part):
    """What happens when a gate that asks a machine gets no data."""

    no_data_timeout: Seconds = kinds.HOUR
    on_no_data: Annotated[kinds.OnNoData, Field(strict=False)] = kinds.OnNoData.PAUSE


class Approvers(Part):
    """Who may approve; both empty: anybody."""

    groups: list[Text] = Field(default=[])
    users: list[Text] = Field(default=[])


class ApprovalDocument(Part):
    """People say yes before the stage starts."""

    groups: list[Text] = Field(default=[])
    """Short for approvers.groups."""
    approvers: Approvers = Approvers()
    min_approvers: Count = 1
    not_author: bool = False
    expires: Seconds | None = None

    @model_validator(mode="after")
    def _groups_once(self) -> ApprovalDocument:
        if self.groups and "approvers" in self.model_fields_set:
            raise ValueError("write either groups or approvers, not both")
        return self

    def value(self) -> kinds.Approval:
        """The gate."""
        return kinds.Approval(
            groups=tuple(sorted({*self.groups, *self.approvers.groups})),
            users=tuple(sorted(set(self.approvers.users))),
            min_approvers=self.min_approvers,
            not_author=self.not_author,
            expires_seconds=self.expires,
        )


class ProvenDocument(Part):
    """What newly runs was Healthy in another stage before."""

    in_: Name = Field(alias="in")
    what: list[Annotated[kinds.Material, Field(strict=False)]] = Field(
        default=[kinds.Material.IMAGES, kinds.Material.CHARTS], min_length=1
    )
    min: Seconds | None = None

    def value(self) -> kinds.Proven:
        """The gate."""
        return kinds.Proven(self.in_, tuple(sorted(set(self.what))), self.min or 0)


class OpenHoursDocument(Part):
    """One recurring span in which starts are allowed."""

    cron: Cron
    duration: Seconds


class ClosedDaysDocument(Part):
    """Named days in which nothing starts, both ends included."""

    name: Text
    from_: Day = Field(alias="from")
    to: Day

    @model_validator(mode="after")
    def _in_order(self) -> ClosedDaysDocument:
        if self.to < self.from_:
            raise ValueError(f"{self.name}: `to` lies before `from`")
        return self


class Timezone(Part):
    """A zone for all, or the one that each cluster's label names."""

    from_label: str = ""
    default: Zone = "UTC"


class WindowDocument(Part):
    """When clusters may start."""

    timezone: Annotated[Timezone, short_for("default", Text | Timezone)] = Timezone()
    allow: list[OpenHoursDocument] = Field(default=[])
    deny: list[ClosedDaysDocument] = Field(default=[])
    min_remaining: Remaining | None = None

    @model_validator(mode="after")
    def _says_something(self) -> WindowDocument:
        if not self.allow and not self.deny:
            raise ValueError("a window needs allow or deny")
        return self

    def value(self) -> kinds.Window:
        """The gate."""
        return kinds.Window(
            allow=tuple(kinds.OpenHours(o.cron, o.duration) for o in self.allow),
            deny=tuple(kinds.ClosedDays(d.name, d.from_, d.to) for d in self.deny),
            zone_label=self.timezone.from_label,
            zone_default=self.timezone.default,
            min_remaining=self.min_remaining,
        )


class WebhookDocument(NoData):
    """Another system says yes."""

    url: Url
    mode: Annotated[kinds.WebhookMode, Field(strict=False)] = kinds.WebhookMode.POLL
    every: Seconds = 60.0
    timeout: Seconds = 4 * kinds.HOUR

    def value(self) -> kinds.Webhook:
        """The gate."""
        return kinds.Webhook(
            self.url,
            self.mode,
            self.every,
            self.timeout,
            self.no_data_timeout,
            self.on_no_data,
        )


class DependencyDocument(Part):
    """Another rollout has baked there first."""

    rollout: Name
    condition: Annotated[kinds.DependencyCondition, Field(strict=False)] = (
        kinds.DependencyCondition.CLUSTER_HAS_REVISION
    )

    def value(self) -> kinds.Dependency:
        """The gate."""
        return kinds.Dependency(self.rollout, self.condition)


class SoakDocument(NoData):
    """How long all must stay Healthy."""

    min: Seconds
    max: Seconds | None = None
    min_samples: int = Field(default=0, ge=0)
    reset_on: list[Annotated[kinds.ResetOn, Field(strict=False)]] = Field(
        default=[kinds.ResetOn.HEALTH_REGRESSION]
    )

    @model_validator(mode="after")
    def _max_is_more(self) -> SoakDocument:
        if self.max is not None and self.max < self.min:
            raise ValueError("max is less than min")
        return self

    def value(self) -> kinds.Soak:
        """The gate."""
        return kinds.Soak(
            min_seconds=self.min,
            max_seconds=self.max,
            min_samples=self.min_samples,
            reset_on=tuple(sorted(set(self.reset_on))),
            no_data_timeout_seconds=self.no_data_timeout,
            on_no_data=self.on_no_data,
        )


class AnalysisDocument(NoData):
    """Measurements decide."""

    ref: Name
    against: Annotated[kinds.Against, Field(strict=False)] = kinds.Against.ABSOLUTE
    stratify_by: str = ""
    min_n: int = Field(default=8, ge=2)
    alpha: float = Field(default=0.01, gt=0, lt=0.5)

    def value(self) -> kinds.Analysis:
        """The gate."""
        return kinds.Analysis(
            self.ref,
            self.against,
            self.stratify_by,
            self.min_n,
            self.alpha,
            self.no_data_timeout,
            self.on_no_data,
        )


def _anybody(value: object) -> object:
    return {} if value is True else value


Approval = Annotated[
    ApprovalDocument,
    BeforeValidator(_anybody, json_schema_input_type=ApprovalDocument | Literal[True]),
]
Proven = Annotated[ProvenDocument, short_for("in", ProvenDocument | Name)]
Webhook = Annotated[WebhookDocument, short_for("url", WebhookDocument | Url)]
Dependency = Annotated[DependencyDocument, short_for("rollout", DependencyDocument | Name)]
Soak = Annotated[SoakDocument, short_for("min", SoakDocument | DurationText)]
Analysis = Annotated[AnalysisDocument, short_for("ref", AnalysisDocument | Name)]


class OneGate(Part):
    """A mapping with exactly one gate."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    @model_validator(mode="before")
    @classmethod
    def _exactly_one(cls, value: Any) -> Any:
        if isinstance(value, dict) and len(value) != 1:
            known = ", ".join(cls.model_fields)
            raise ValueError(f"each item of the list is exactly one gate: one of {known}")
        if isinstance(value, dict) and None in value.values():
            raise ValueError("the gate says nothing; leave the item out")
        return value


class Before(OneGate):
    """One gate before a stage."""

    approval: Approval | None = None
    proven: Proven | None = None
    window: WindowDocument | None = None
    webhook: Webhook | None = None
    dependency: Dependency | None = None

    def value(self) -> kinds.BeforeGate:
        """The gate."""
        gates = (self.approval, self.proven, self.window, self.webhook, self.dependency)
        return next(gate.value() for gate in gates if gate is not None)


class After(OneGate):
    """One gate after a stage."""

    soak: Soak | None = None
    analysis: Analysis | None = None

    def value(self) -> kinds.AfterGate:
        """The gate."""
        gates = (self.soak, self.analysis)
        return next(gate.value() for gate in gates if gate is not None)


class Gates(Part):
    """Gates of a stage; all of a list must hold at the same evaluation."""

    before: list[Before] = Field(default=[])
    after: list[After] = Field(default=[])
