"""What an `analysis` gate measures, as frozen values: queries, thresholds, which way is worse.

One value for each cluster and metric. `kind` says what the values are and so how two groups of
clusters are compared (`fleet.rollout.comparison`).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class MetricKind(StrEnum):
    """What a cluster's value is."""

    VALUE = "Value"
    """A number on some scale: a latency, a share of errors."""
    BINARY = "Binary"
    """0 or 1: something holds or it does not."""


class Worse(StrEnum):
    """Which way is bad."""

    HIGHER = "Higher"
    LOWER = "Lower"


EVERY_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Metric:
    """One thing that is measured in every cluster."""

    name: str
    query: str
    """PromQL; `$window` is the time since the stage was Healthy, as `1800s`."""
    kind: MetricKind = MetricKind.VALUE
    worse: Worse = Worse.HIGHER
    max: float | None = None
    min: float | None = None

    @property
    def has_threshold(self) -> bool:
        """Is there an absolute part?"""
        return self.max is not None or self.min is not None


@dataclass(frozen=True, slots=True)
class Measures:
    """All that one `kind: Analysis` says."""

    name: str
    url: str
    """Of Prometheus; the API is under it."""
    metrics: tuple[Metric, ...]
    cluster_label: str = "cluster"
    """The label of a series that names its cluster; one without it is about all of them."""
    every_seconds: float = EVERY_SECONDS
    samples: str = ""
    """PromQL: how many samples were taken in `$window`, for a soak's `minSamples`."""
