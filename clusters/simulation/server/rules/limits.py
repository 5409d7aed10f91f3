"""What bounds others: autoscalers, disruption budgets, limit ranges, leases, priorities."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from clusters.objects import Object
from clusters.simulation.server.names import is_qualified, selector_causes
from clusters.simulation.server.quantities import read_quantity
from clusters.simulation.server.rejections import (
    Cause,
    duplicate,
    forbidden,
    required,
    unsupported,
    wrong,
)
from clusters.simulation.server.rules.checks import amount_causes, choice_or_empty

Part = dict[str, Any]
_METRICS = ("ContainerResource", "External", "Object", "Pods", "Resource")
_HIGHEST_PRIORITY = 1_000_000_000
_SYSTEM = "system-"


def autoscaler_causes(obj: Object) -> Iterable[Cause]:
    """Of a HorizontalPodAutoscaler."""
    spec = obj["spec"]
    least, most = spec.get("minReplicas", 1), spec.get("maxReplicas", 0)
    if least < 0:
        yield wrong("spec.minReplicas", least, "must be greater than or equal to 0")
    if most == 0:
        yield required("spec.maxReplicas", "must be set and greater than 0")
    elif most < 0:
        yield wrong("spec.maxReplicas", most, "must be greater than or equal to 1")
    if most < least:
        yield wrong("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`")
    yield from _target(spec.get("scaleTargetRef") or {}, "spec.scaleTargetRef")
    metrics = spec.get("metrics") or ()
    for index, metric in enumerate(metrics):
        yield from _metric(metric, f"spec.metrics[{index}]")
    if least == 0 and not any(item.get("type") in ("Object", "External") for item in metrics):
        words = "must specify at least one Object or External metric to support scaling to zero"
        yield forbidden("spec.metrics", f"{words} replicas")
    behavior = spec.get("behavior") or {}
    for name in ("scaleUp", "scaleDown"):
        if behavior.get(name) is not None:
            yield from _scaling(behavior[name], f"spec.behavior.{name}")


def _target(reference: Part, path: str) -> Iterable[Cause]:
    for name in ("kind", "name"):
        if not reference.get(name):
            yield required(f"{path}.{name}")
    version = reference.get("apiVersion") or ""
    if not version:
        yield wrong(f"{path}.apiVersion", version, "apiVersion must specify API group")


def _metric(metric: Part, path: str) -> Iterable[Cause]:
    kind = metric.get("type") or ""
    if not kind:
        yield required(f"{path}.type", "must specify a metric source type")
    if kind not in _METRICS:
        yield unsupported(f"{path}.type", kind, _METRICS)
        return
    name = kind[:1].lower() + kind[1:]
    if metric.get(name) is None:
        words = "must populate information for the given metric source"
        yield required(f"{path}.{name}", words)
        return
    source, where = metric[name], f"{path}.{name}"
    target = source.get("target") or {}
    if kind in ("Resource", "ContainerResource") and not source.get("name"):
        yield required(f"{where}.name", "must specify a resource name")
    elif kind not in ("Resource", "ContainerResource") and not _metric_name(source):
        yield required(f"{where}.metric.name", "must specify a metric name")
    if target.get("type") not in ("Utilization", "Value", "AverageValue"):
        words = "must be either Utilization, Value, or AverageValue"
        yield wrong(f"{where}.target.type", target.get("type") or "", words)
    for field in ("value", "averageValue"):
        if target.get(field) is not None and read_quantity(str(target[field])).value <= 0:
            yield wrong(f"{where}.target.{field}", target[field], "must be positive")
    yield from _amounts(kind, target, f"{where}.target")


def _metric_name(source: Part) -> str:
    return (source.get("metric") or {}).get("name") or ""


def _amounts(kind: str, target: Part, path: str) -> Iterable[Cause]:
    share, mean = target.get("averageUtilization"), target.get("averageValue")
    if share is not None and share < 1:
        yield wrong(f"{path}.averageUtilization", share, "must be greater than 0")
    if kind == "Pods" and mean is None:
        yield required(f"{path}.averageValue", "must specify a positive target averageValue")
    if kind in ("Resource", "ContainerResource"):
        if share is None and mean is None:
            words = "must set either a target raw value or a target utilization"
            yield required(f"{path}.averageUtilization", words)
        elif share is not None and mean is not None:
            words = "may not set both a target raw value and a target utilization"
            yield forbidden(f"{path}.averageValue", words)


def _scaling(rules: Part, path: str) -> Iterable[Cause]:
    window = rules.get("stabilizationWindowSeconds")
    if window is not None and not 0 <= window <= 3600:
        words = "must be between 0 and 3600"
        yield wrong(f"{path}.stabilizationWindowSeconds", window, words)
    chosen = ("Disabled", "Max", "Min")
    yield from choice_or_empty(rules.get("selectPolicy"), f"{path}.selectPolicy", chosen)
    if not rules.get("policies"):
        yield required(f"{path}.policies", "must specify at least one Policy")
    for index, policy in enumerate(rules.get("policies") or ()):
        where = f"{path}.policies[{index}]"
        yield from choice_or_empty(policy.get("type"), f"{where}.type", ("Percent", "Pods"))
        if policy.get("value", 0) <= 0:
            yield wrong(f"{where}.value", policy.get("value"), "must be greater than zero")
        seconds = policy.get("periodSeconds", 0)
        if not 0 < seconds <= 1800:
            yield wrong(f"{where}.periodSeconds", seconds, "must be between 1 and 1800")


def budget_causes(obj: Object) -> Iterable[Cause]:
    """Of a PodDisruptionBudget."""
    spec = obj.get("spec") or {}
    if spec.get("minAvailable") is not None and spec.get("maxUnavailable") is not None:
        yield wrong("spec", spec, "minAvailable and maxUnavailable cannot be both set")
    for name in ("minAvailable", "maxUnavailable"):
        yield from amount_causes(spec.get(name), f"spec.{name}", capped=True)
    yield from selector_causes(spec.get("selector"), "spec.selector")
    field, policies = "spec.unhealthyPodEvictionPolicy", ("AlwaysAllow", "IfHealthyBudget")
    yield from choice_or_empty(spec.get("unhealthyPodEvictionPolicy"), field, policies)


_PAIRS = (
    ("min", "max", "min"),
    ("min", "defaultRequest", "defaultRequest"),
    ("defaultRequest", "max", "defaultRequest"),
    ("defaultRequest", "default", "defaultRequest"),
    ("min", "default", "default"),
    ("default", "max", "default"),
)
"""The first may not be greater than the second; if it is, the third is to blame."""
_LIMITED = ("Container", "PersistentVolumeClaim", "Pod")


def limit_range_causes(obj: Object) -> Iterable[Cause]:
    """Of a LimitRange."""
    seen: set[str] = set()
    for index, limit in enumerate((obj.get("spec") or {}).get("limits") or ()):
        path, kind = f"spec.limits[{index}]", limit.get("type") or ""
        if kind not in _LIMITED and ("/" not in kind or not is_qualified(kind)):
            yield wrong(f"{path}.type", kind, "must be a standard limit type or fully qualified")
        if kind in seen:
            yield duplicate(f"{path}.type", kind)
        seen.add(kind)
        for lower, upper, blamed in _PAIRS:
            low, high = limit.get(lower) or {}, limit.get(upper) or {}
            for name in {*low} & {*high}:
                if read_quantity(str(low[name])).value > read_quantity(str(high[name])).value:
                    words = f"{lower} value {low[name]} is greater than {upper} value"
                    yield wrong(f"{path}.{blamed}[{name}]", limit[blamed][name], words)
        for name in ("default", "defaultRequest") if kind == "Pod" else ():
            if limit.get(name):
                yield forbidden(f"{path}.{name}", "may not be specified when `type` is 'Pod'")


def lease_causes(obj: Object) -> Iterable[Cause]:
    """Of a Lease."""
    spec = obj.get("spec") or {}
    seconds, changes = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if seconds is not None and seconds <= 0:
        yield wrong("spec.leaseDurationSeconds", seconds, "must be greater than 0")
    if changes is not None and changes < 0:
        yield wrong("spec.leaseTransitions", changes, "must be greater than or equal to 0")


def priority_class_causes(obj: Object) -> Iterable[Cause]:
    """Of a PriorityClass."""
    value, name = obj.get("value", 0), obj["metadata"].get("name") or ""
    if value > _HIGHEST_PRIORITY and not name.startswith(_SYSTEM):
        words = f"maximum allowed value of a user defined priority is {_HIGHEST_PRIORITY}"
        yield forbidden("value", words)
    policies = ("PreemptLowerPriority", "Never")
    yield from choice_or_empty(obj.get("preemptionPolicy"), "preemptionPolicy", policies)
