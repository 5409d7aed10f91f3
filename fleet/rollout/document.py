"""The YAML of `kind: Rollout`, in the short form, as pydantic models; strict, nothing ignored.

::

    spec:
      source: {bundles: {matchLabels: {...}}}      left out: all that no other rollout names
      targets: {selector: {...}, exclude: {...}}
      strategy: {preset: default | fast | safe}    or
      stages:
        - name, group | select, dependsOn, parallelism, failureBudget, minHealthy,
          clusterDeadline, gates: {before: [{approval}], after: [{soak}]}
      connectivity: {lease, offline: Skip, catchUp: {parallelism}}
      onFailure: {action: Pause, scope: Run}
      supersede: {policy: CoalesceLatest}

A field of the full model that is not built yet is named as such (`NOT_YET`), every other unknown
field is a mistake; either way the document is refused. `fleet.rollout.policy` gives it meaning.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, StrictStr, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from fleet.model import Requirement, Selector
from fleet.rollout.numbers import NONE, ONE, TWO, Amount, read_amount, read_duration

NOT_YET = frozenset(
    {
        "membership",
        "removal",
        "invariants",
        "overrides",
        "history",
        "source.track",
        "source.coalesce",
        "source.unit",
        "connectivity.staleAfter",
        "connectivity.catchUp.within",
        "stages.order",
        "stages.spread",
        "stages.stageDeadline",
        "stages.gates.before.proven",
        "stages.gates.before.window",
        "stages.gates.before.webhook",
        "stages.gates.before.dependency",
        "stages.gates.after.analysis",
        "onFailure.rollback",
        "onFailure.bisect",
        "onFailure.veto",
        "supersede.hotfix",
        "supersede.maxDeferrals",
        "supersede.maxLiveUnbaked",
    }
)
"""Paths of rollouts.md's full model that are refused with the code `not-yet-supported`."""

NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?", re.ASCII)


def not_yet(field: str) -> PydanticCustomError:
    """The error for a field of the full model that is not built yet."""
    return PydanticCustomError("not_yet", "{field} is not supported yet", {"field": field})


def _only(value: Any, known: set[str], later: set[str]) -> dict[str, Any]:
    """`value` if it is a mapping with no keys but `known`."""
    if not isinstance(value, dict):
        raise ValueError(f"{value!r} is no mapping with {', '.join(sorted(known))}")
    for key in value:
        if key in later:
            raise not_yet(key)
        if key not in known:
            raise ValueError(f"unknown field {str(key)[:64]!r}; known: {', '.join(sorted(known))}")
    return value


def _steps(value: Any) -> tuple[Amount, ...]:
    """`2`, `25%` or `{ramp: [1, 5%, 25%]}`."""
    if not isinstance(value, dict):
        return (read_amount(value),)
    ramp = _only(value, {"ramp"}, {"max", "advance"}).get("ramp")
    if not isinstance(ramp, list) or not ramp:
        raise ValueError("ramp is a list of batch sizes with at least one entry")
    return tuple(read_amount(step) for step in ramp)


def _budget(value: Any) -> Amount:
    """`0`, `3%` or `{count: 3%}`."""
    if isinstance(value, dict):
        value = _only(value, {"count"}, {"consecutive"}).get("count")
    return read_amount(value, zero=True)


def _soak(value: Any) -> float:
    """`30m` or `{min: 30m}`, in seconds."""
    if isinstance(value, dict):
        value = _only(value, {"min"}, {"max", "minSamples", "resetOn"}).get("min")
    return read_duration(value)


def _approval(value: Any) -> tuple[str, ...]:
    """`true`, `{}`, `{groups: [sre]}` or `{approvers: {groups: [sre]}}`: the groups."""
    if value is True:
        return ()
    later = {"minApprovers", "notAuthor", "expires"}
    said = _only(value, {"groups", "approvers"}, later)
    if "approvers" in said:
        said = _only(said["approvers"], {"groups"}, {"users"})
    groups = said.get("groups", [])
    if not isinstance(groups, list) or not all(isinstance(g, str) and g for g in groups):
        raise ValueError("groups is a list of group names")
    return tuple(sorted(set(groups)))


def _one_of(built: str, later: set[str]) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if value == built:
            return built
        if isinstance(value, str) and value in later:
            raise not_yet(value)
        raise ValueError(f"{value!r} is unknown; write {built}, or leave the field out")

    return read


def _name(value: Any) -> str:
    if not isinstance(value, str) or not NAME.fullmatch(value):
        raise ValueError(f"{value!r} is no name: lower-case letters, digits, '-' and '.'")
    return value


Steps = Annotated[tuple[Amount, ...], PlainValidator(_steps)]
Budget = Annotated[Amount, PlainValidator(_budget)]
Share = Annotated[Amount, PlainValidator(read_amount)]
Seconds = Annotated[float, PlainValidator(read_duration)]
Soak = Annotated[float, PlainValidator(_soak)]
Approval = Annotated[tuple[str, ...], PlainValidator(_approval)]
Name = Annotated[str, PlainValidator(_name)]


class _Part(BaseModel):
    """Strict, frozen, closed; camelCase in YAML."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_camel, validate_by_name=False
    )


class Expression(_Part):
    """One matchExpressions term."""

    key: StrictStr = Field(min_length=1)
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: list[StrictStr] = []

    @model_validator(mode="after")
    def _values_fit(self) -> Expression:
        if self.operator in ("In", "NotIn") and not self.values:
            raise ValueError(f"{self.operator} needs values")
        if self.operator not in ("In", "NotIn") and self.values:
            raise ValueError(f"{self.operator} takes no values")
        return self


class LabelSelector(_Part):
    """matchLabels and matchExpressions; empty matches everything."""

    match_labels: dict[StrictStr, StrictStr] = {}
    match_expressions: list[Expression] = []

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


class Before(_Part):
    """One gate before a stage."""

    approval: Approval


class After(_Part):
    """One gate after a stage."""

    soak: Soak


class Gates(_Part):
    """Gates of a stage; all of a list must hold."""

    before: list[Before] = Field(default=[], max_length=1)
    after: list[After] = []


class Stage(_Part):
    """One stage as written."""

    name: Name
    group: StrictStr = ""
    select: StageSelect | None = None
    depends_on: list[StrictStr] | None = None
    parallelism: Steps = (ONE,)
    failure_budget: Budget = NONE
    min_healthy: Share = ONE
    cluster_deadline: Seconds = 1800.0
    gates: Gates = Gates()

    @model_validator(mode="after")
    def _selects_once(self) -> Stage:
        if bool(self.group) == (self.select is not None):
            raise ValueError("a stage has either group or select")
        return self


class Source(_Part):
    """What is delivered."""

    bundles: LabelSelector | None = None


class Targets(_Part):
    """Which clusters take part at all."""

    selector: LabelSelector | None = None
    exclude: LabelSelector | None = None


class Strategy(_Part):
    """A preset instead of stages."""

    preset: Literal["default", "fast", "safe"]


class CatchUp(_Part):
    """The lane for late clusters."""

    parallelism: Annotated[Amount, PlainValidator(read_amount)] = TWO


class Connectivity(_Part):
    """What happens to clusters that cannot be reached."""

    lease: Seconds = 900.0
    offline: Annotated[str, PlainValidator(_one_of("Skip", {"Wait", "Fail"}))] = "Skip"
    catch_up: CatchUp = CatchUp()


class OnFailure(_Part):
    """What a breach does; only the pause of the whole run is built."""

    action: Annotated[str, PlainValidator(_one_of("Pause", {"Abort", "Rollback", "Continue"}))] = (
        "Pause"
    )
    scope: Annotated[str, PlainValidator(_one_of("Run", {"Cluster", "Stage"}))] = "Run"


class Supersede(_Part):
    """What a newer run does to a live one."""

    policy: Annotated[
        str, PlainValidator(_one_of("CoalesceLatest", {"Queue", "FinishStage", "Immediate"}))
    ] = "CoalesceLatest"


class Spec(_Part):
    """The whole spec of a Rollout in its short form."""

    source: Source = Source()
    targets: Targets = Targets()
    strategy: Strategy | None = None
    stages: list[Stage] = []
    connectivity: Connectivity = Connectivity()
    on_failure: OnFailure = OnFailure()
    supersede: Supersede = Supersede()

    @model_validator(mode="after")
    def _stages_or_preset(self) -> Spec:
        if self.stages and self.strategy is not None:
            raise ValueError("write either stages or strategy.preset, not both")
        return self
