"""What a stage may ask for before it starts and before it is Done: the closed set of gates.

::

    before   Approval  Proven  Window*  Webhook  Dependency*
    after    Soak  Analysis                        * judged for each cluster by itself

All gates of a list must hold at the same evaluation. `fleet.rollout.gates` judges them; a gate that
asks a machine (Webhook, Analysis, a Soak with `min_samples`) is answered by a `Reading` that the
hub puts into the evidence. Values only: nothing here decides. `kind` is the key in the YAML.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from fleet.rollout.measures import Measures


class OnNoData(StrEnum):
    """What becomes of a stage whose gate has had no data for `no_data_timeout`."""

    PAUSE = "Pause"
    FAIL = "Fail"


class ResetOn(StrEnum):
    """What sets the clock of a soak back to zero."""

    HEALTH_REGRESSION = "HealthRegression"


class Against(StrEnum):
    """What an analysis compares the updated clusters with."""

    ABSOLUTE = "Absolute"
    BEFORE = "Before"
    NOT_YET_UPDATED = "NotYetUpdated"


class Material(StrEnum):
    """What a `proven` gate looks at."""

    IMAGES = "images"
    CHARTS = "charts"


class WebhookMode(StrEnum):
    """How a webhook is asked."""

    POLL = "Poll"


class DependencyCondition(StrEnum):
    """What must hold of the named rollout."""

    CLUSTER_HAS_REVISION = "ClusterHasRevision"


P90: Literal["P90"] = "P90"
"""`Window.min_remaining`: the stage's observed 90th percentile duration of one cluster."""
HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Approval:
    """People say yes, to exactly this run, stage, revision and plan hash."""

    groups: tuple[str, ...] = ()
    """Who may approve, with `users`; both empty: anybody."""
    users: tuple[str, ...] = ()
    min_approvers: int = 1
    """Distinct people."""
    not_author: bool = False
    """No author or committer of the revision counts."""
    expires_seconds: float | None = None
    """How long an approval is good, counted from when it was given; `None`: for ever."""
    kind: Literal["approval"] = "approval"


@dataclass(frozen=True, slots=True)
class Soak:
    """Time since the last cluster of the stage became Healthy at this run's revision."""

    min_seconds: float
    max_seconds: float | None = None
    """Caps what `min_samples` may add."""
    min_samples: int = 0
    """From the analysis provider; 0: none are asked for."""
    reset_on: tuple[ResetOn, ...] = (ResetOn.HEALTH_REGRESSION,)
    no_data_timeout_seconds: float = HOUR
    on_no_data: OnNoData = OnNoData.PAUSE
    measures: Measures | None = None
    """Of the analysis beside it, which says how samples are counted."""
    kind: Literal["soak"] = "soak"


@dataclass(frozen=True, slots=True)
class OpenHours:
    """A window opens at each time of a five-field cron expression and stays open that long."""

    cron: str
    duration_seconds: float


@dataclass(frozen=True, slots=True)
class ClosedDays:
    """A named span of whole days, both ends included, in which nothing starts."""

    name: str
    first: date
    last: date


@dataclass(frozen=True, slots=True)
class Window:
    """When a start is allowed, per cluster in its own time zone; deny beats allow."""

    allow: tuple[OpenHours, ...] = ()
    """Empty: always, but for `deny`."""
    deny: tuple[ClosedDays, ...] = ()
    zone_label: str = ""
    """The cluster's label that names its IANA time zone; empty: `zone_default` for all."""
    zone_default: str = "UTC"
    min_remaining: float | Literal["P90"] | None = None
    """No start if the window closes in fewer seconds than this."""
    only: tuple[str, ...] = ()
    """The clusters that it is about; empty: all of the stage. For the catch-up lane."""
    kind: Literal["window"] = "window"


@dataclass(frozen=True, slots=True)
class Proven:
    """All that this stage would newly run was Healthy in stage `stage` for that long."""

    stage: str
    what: tuple[Material, ...] = (Material.CHARTS, Material.IMAGES)
    min_seconds: float = 0
    kind: Literal["proven"] = "proven"


@dataclass(frozen=True, slots=True)
class Webhook:
    """A URL says yes (2xx) before `timeout`; any other answer is none."""

    url: str
    mode: WebhookMode = WebhookMode.POLL
    every_seconds: float = 60
    timeout_seconds: float = 4 * HOUR
    no_data_timeout_seconds: float = HOUR
    on_no_data: OnNoData = OnNoData.PAUSE
    kind: Literal["webhook"] = "webhook"


@dataclass(frozen=True, slots=True)
class Dependency:
    """In each cluster another rollout has a baked revision first."""

    rollout: str
    condition: DependencyCondition = DependencyCondition.CLUSTER_HAS_REVISION
    kind: Literal["dependency"] = "dependency"


@dataclass(frozen=True, slots=True)
class Analysis:
    """Measurements of the updated clusters, absolutely or against others."""

    ref: str
    """The name of what is measured."""
    against: Against = Against.ABSOLUTE
    stratify_by: str = ""
    """A cluster label: compare like with like."""
    min_n: int = 8
    """Fewer on either side: no verdict on the relative part."""
    alpha: float = 0.01
    no_data_timeout_seconds: float = HOUR
    on_no_data: OnNoData = OnNoData.PAUSE
    measures: Measures | None = None
    """What the `kind: Analysis` of that name says; put in when policies are read."""
    kind: Literal["analysis"] = "analysis"


BeforeGate: TypeAlias = Annotated[
    Approval | Proven | Window | Webhook | Dependency, Field(discriminator="kind")
]
AfterGate: TypeAlias = Annotated[Soak | Analysis, Field(discriminator="kind")]
Gate: TypeAlias = Approval | Proven | Window | Webhook | Dependency | Soak | Analysis


class Side(StrEnum):
    """Which list of a stage a gate stands in."""

    BEFORE = "before"
    AFTER = "after"


def gate_id(stage: str, side: Side, index: int) -> str:
    """The name of one gate within a run, for readings and overrides: `eu/before/1`."""
    return f"{stage}/{side}/{index}"
