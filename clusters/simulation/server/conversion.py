"""The same object in another version of its kind.

Custom kinds convert by name only (`conversion: None`), as do all built-in kinds but one:
`autoscaling/v1` knows a CPU target where `autoscaling/v2` has a list of metrics.

Never changes its argument; the result shares parts with it.
"""

from __future__ import annotations

from typing import Any

from clusters.objects import Object, split_api_version

_HPA = "HorizontalPodAutoscaler"


def convert(obj: Object, version: str) -> Object:
    """`obj` in `version` of its group."""
    group, current = split_api_version(obj["apiVersion"])
    if current == version:
        return obj
    result = {**obj, "apiVersion": f"{group}/{version}" if group else version}
    if group == "autoscaling" and obj["kind"] == _HPA and isinstance(obj.get("spec"), dict):
        result["spec"] = _to_v1(obj["spec"]) if version == "v1" else _to_v2(obj["spec"])
    return result


def _to_v2(spec: dict[str, Any]) -> dict[str, Any]:
    result = {key: value for key, value in spec.items() if key != "targetCPUUtilizationPercentage"}
    percentage = spec.get("targetCPUUtilizationPercentage")
    if percentage is not None:
        target = {"type": "Utilization", "averageUtilization": percentage}
        result["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    return result


def _to_v1(spec: dict[str, Any]) -> dict[str, Any]:
    result = {key: value for key, value in spec.items() if key not in ("metrics", "behavior")}
    for metric in spec.get("metrics", ()):
        resource = metric.get("resource") or {}
        target = resource.get("target") or {}
        if resource.get("name") == "cpu" and "averageUtilization" in target:
            result["targetCPUUtilizationPercentage"] = target["averageUtilization"]
    return result
