"""The YAML of `kind: Analysis` as pydantic models; `value()` makes frozen `Measures`.

::

    apiVersion: fleet.dev/v1
    kind: Analysis
    metadata: {name: payments-slo}
    spec:
      prometheus: {url: "https://prometheus.example", clusterLabel: cluster}
      every: 60s
      samples: 'sum by (cluster) (increase(requests_total[$window]))'
      metrics:
        - {name: errors, query: …, kind: Value | Binary, worse: Higher | Lower, max: 0.01, min: …}
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from fleet.rollout import measures
from fleet.rollout.fields import Name, Part, Seconds, Text, Url

Query = Annotated[str, Field(min_length=1, max_length=4000)]


class PrometheusDocument(Part):
    """Where to ask."""

    url: Url
    cluster_label: Text = "cluster"


class MetricDocument(Part):
    """One thing that is measured."""

    name: Name
    query: Query
    kind: Annotated[measures.MetricKind, Field(strict=False)] = measures.MetricKind.VALUE
    worse: Annotated[measures.Worse, Field(strict=False)] = measures.Worse.HIGHER
    max: float | None = Field(default=None, allow_inf_nan=False)
    min: float | None = Field(default=None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _in_order(self) -> MetricDocument:
        if self.max is not None and self.min is not None and self.max < self.min:
            raise ValueError("max is less than min")
        return self

    def value(self) -> measures.Metric:
        """The metric."""
        return measures.Metric(self.name, self.query, self.kind, self.worse, self.max, self.min)


class AnalysisSpec(Part):
    """`spec` of an Analysis."""

    prometheus: PrometheusDocument
    metrics: list[MetricDocument] = Field(min_length=1, max_length=20)
    every: Seconds = 60.0
    samples: str = Field(default="", max_length=4000)

    @model_validator(mode="after")
    def _named_once(self) -> AnalysisSpec:
        names = [metric.name for metric in self.metrics]
        if len(set(names)) < len(names):
            raise ValueError("two metrics have one name")
        return self

    def value(self, name: str) -> measures.Measures:
        """The measures."""
        return measures.Measures(
            name,
            self.prometheus.url,
            tuple(metric.value() for metric in self.metrics),
            self.prometheus.cluster_label,
            self.every,
            self.samples,
        )
