"""The YAML of `kind: Rollout` as pydantic models; strict, nothing ignored.

::

    spec:
      source: {bundles: {matchLabels}, track, coalesce, unit}      left out: what no other names
      targets: {selector: {...}, exclude: {...}}
      strategy: {preset: default | fast | safe}                    or
      stages:
        - name, group | select, dependsOn, order, parallelism, spread, failureBudget, minHealthy,
          clusterDeadline, stageDeadline, gates: {before, after}   gate_documents
      membership, connectivity, removal, invariants,               rule_documents
      onFailure, supersede, overrides, history

An unknown field is a mistake. `fleet.rollout.policy` gives the documents meaning.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, StrictStr, model_validator

from fleet.model import Requirement, Selector
from fleet.rollout import rules, stages
from fleet.rollout.fields import (
    Branch,
    CommitId,
    Count,
    CountOrPercent,
    CountOrPercentOr0,
    Name,
    Part,
    Seconds,
    Share,
    ShareOrNone,
    Text,
    VersionRange,
    short_for,
)
from fleet.rollout.gate_documents import Gates
from fleet.rollout.numbers import NONE, ONE
from fleet.rollout.rule_documents import (
    ConnectivityDocument,
    FailureDocument,
    HistoryDocument,
    InvariantDocument,
    MembershipDocument,
    OverridesDocument,
    RemovalDocument,
    SupersedeDocument,
)
from fleet.rollout.score import read_score


class Expression(Part):
    """One matchExpressions term."""

    key: StrictStr = Field(min_length=1)
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: list[StrictStr] = Field(default=[])

    @model_validator(mode="after")
    def _values_fit(self) -> Expression:
        if self.operator in ("In", "NotIn") and not self.values:
            raise ValueError(f"{self.operator} needs values")
        if self.operator not in ("In", "NotIn") and self.values:
            raise ValueError(f"{self.operator} takes no values")
        return self


class LabelSelector(Part):
    """matchLabels and matchExpressions; empty matches everything."""

    match_labels: dict[StrictStr, StrictStr] = Field(default={})
    match_expressions: list[Expression] = Field(default=[])

    def selector(self) -> Selector:
        """As the model's value, sorted."""
        return Selector(
            tuple(sorted(self.match_labels.items())),
            tuple(
                Requirement(term.key, term.operator, tuple(sorted(term.values)))
                for term in self.match_expressions
            ),
        )


class StageSelect(LabelSelector):
    """What a stage selects; `catchAll` takes what no earlier stage did."""

    catch_all: bool = False

    @model_validator(mode="after")
    def _says_something(self) -> StageSelect:
        if bool(self.match_labels or self.match_expressions) == self.catch_all:
            raise ValueError("select needs either labels or catchAll: true")
        return self


class OrderDocument(Part):
    """Who of a stage goes first."""

    by: Annotated[stages.OrderBy, Field(strict=False)] = stages.OrderBy.NAME
    key: str = ""
    type: Annotated[stages.OrderType, Field(strict=False)] = stages.OrderType.TEXT
    expression: str = ""

    @model_validator(mode="after")
    def _fits(self) -> OrderDocument:
        if bool(self.key) != (self.by is stages.OrderBy.LABEL):
            raise ValueError("by: Label needs key, and nothing else takes one")
        if bool(self.expression) != (self.by is stages.OrderBy.SCORE):
            raise ValueError("by: Score needs expression, and nothing else takes one")
        if self.expression:
            read_score(self.expression)
        return self

    def value(self) -> stages.Order:
        """The order."""
        return stages.Order(self.by, self.key, self.type, self.expression)


class SpreadDocument(Part):
    """How many of each domain at a time."""

    key: Text
    max_in_flight: Share = ONE


class Parallelism(Part):
    """Batch sizes; one alone is a rolling window."""

    ramp: list[Share] = Field(min_length=1)
    max: Share | None = None
    advance: Literal["OnHealthyBatch"] = "OnHealthyBatch"


class FailureBudget(Part):
    """How many may fail."""

    count: ShareOrNone = NONE
    consecutive: Count | None = None


def _as_ramp(value: Any) -> Any:
    """`2` or `25%` is a ramp of one step."""
    return value if isinstance(value, dict | Parallelism) else {"ramp": [value]}


class Stage(Part):
    """One stage as written."""

    name: Name
    group: StrictStr = ""
    select: StageSelect | None = None
    depends_on: list[StrictStr] | None = None
    order: OrderDocument = OrderDocument()
    parallelism: Annotated[
        Parallelism,
        BeforeValidator(_as_ramp, json_schema_input_type=Parallelism | CountOrPercent),
    ] = Parallelism.model_validate({"ramp": [1]})
    spread: SpreadDocument | None = None
    failure_budget: Annotated[
        FailureBudget, short_for("count", FailureBudget | CountOrPercentOr0)
    ] = FailureBudget()
    min_healthy: Share = ONE
    cluster_deadline: Seconds = 1800.0
    stage_deadline: Seconds | None = None
    gates: Gates = Gates()

    @model_validator(mode="after")
    def _selects_once(self) -> Stage:
        if bool(self.group) == (self.select is not None):
            raise ValueError("a stage has either group or select")
        return self

    @model_validator(mode="after")
    def _leaves_time_to_soak(self) -> Stage:
        soaks = [gate.soak.min for gate in self.gates.after if gate.soak is not None]
        if self.stage_deadline is not None and self.stage_deadline <= max(soaks, default=0):
            raise ValueError("stageDeadline leaves no time for the soak: give it more")
        return self

    def value(self, depends_on: tuple[str, ...]) -> stages.StagePolicy:
        """The stage, with the dependencies that it has or that the list gives it."""
        spread = self.spread
        return stages.StagePolicy(
            name=self.name,
            group=self.group,
            selector=self.select.selector() if self.select else None,
            catch_all=bool(self.select and self.select.catch_all),
            depends_on=depends_on,
            order=self.order.value(),
            parallelism=tuple(self.parallelism.ramp),
            max_parallelism=self.parallelism.max,
            spread=stages.Spread(spread.key, spread.max_in_flight) if spread else None,
            failure_budget=self.failure_budget.count,
            consecutive=self.failure_budget.consecutive,
            min_healthy=self.min_healthy,
            cluster_deadline_seconds=self.cluster_deadline,
            stage_deadline_seconds=self.stage_deadline,
            before=tuple(gate.value() for gate in self.gates.before),
            after=tuple(gate.value() for gate in self.gates.after),
        )


class TrackDocument(Part):
    """Which commits of the content are delivered."""

    ref: Branch = ""
    semver: VersionRange = ""
    revision: CommitId = ""

    @model_validator(mode="after")
    def _says_one(self) -> TrackDocument:
        if sum(map(bool, (self.ref, self.semver, self.revision))) != 1:
            raise ValueError("track has one of ref, semver and revision")
        return self


class Source(Part):
    """What is delivered."""

    bundles: LabelSelector | None = None
    track: TrackDocument | None = None
    coalesce: Seconds = 10.0
    unit: Annotated[rules.Unit, Field(strict=False)] = rules.Unit.BUNDLE

    def delivery(self) -> rules.Delivery:
        """What of it is not about bundles."""
        said = self.track
        track = rules.Track(said.ref, said.semver, said.revision) if said else None
        return rules.Delivery(track, self.coalesce, self.unit)


class Targets(Part):
    """Which clusters take part at all."""

    selector: LabelSelector | None = None
    exclude: LabelSelector | None = None


class Strategy(Part):
    """A preset instead of stages."""

    preset: Literal["default", "fast", "safe"]


class Spec(Part):
    """The whole spec of a Rollout."""

    source: Source = Source()
    targets: Targets = Targets()
    membership: MembershipDocument = MembershipDocument()
    connectivity: ConnectivityDocument = ConnectivityDocument()
    strategy: Strategy | None = None
    stages: list[Stage] = Field(default=[])
    removal: RemovalDocument = RemovalDocument()
    invariants: list[InvariantDocument] = Field(default=[])
    on_failure: FailureDocument = FailureDocument()
    supersede: SupersedeDocument = SupersedeDocument()
    overrides: OverridesDocument = OverridesDocument()
    history: HistoryDocument = HistoryDocument()

    @model_validator(mode="after")
    def _stages_or_preset(self) -> Spec:
        if self.stages and self.strategy is not None:
            raise ValueError("write either stages or strategy.preset, not both")
        return self

    def rules(self) -> rules.Rules:
        """What it says about whole runs."""
        return rules.Rules(
            delivery=self.source.delivery(),
            membership=self.membership.value(),
            connectivity=self.connectivity.value(),
            removal=self.removal.value(),
            invariants=tuple(one.value() for one in self.invariants),
            on_failure=self.on_failure.value(),
            supersede=self.supersede.value(),
            overrides=self.overrides.value(),
            history=self.history.value(),
        )
