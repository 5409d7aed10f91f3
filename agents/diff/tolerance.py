"""Fields that others legitimately fill in: taken from the live object, so that nobody fights.

| field | whose it is |
|---|---|
| `spec.replicas` of what a HorizontalPodAutoscaler scales | the autoscaler's |
| `rules` of a ClusterRole with an `aggregationRule` | the aggregation controller's |
| `caBundle` of webhooks, APIServices, CRD conversions, empty or injected | the injector's |

Live replicas are *applied*, not left out: leaving a field out that only we own would remove it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from clusters.objects import Object, ObjectKey, annotations_of, kind_of, split_api_version

_INJECTED = ("cert-manager.io/inject-ca-from", "cert-manager.io/inject-apiserver-ca")
_PLACEHOLDERS = ("", "Cg==", None)


def settle(wanted: Object, live: Object | None, *, scaled: bool) -> Object:
    """A copy of `wanted` with the fields of others as they are in `live`; itself if there are none.

    `scaled` says that an autoscaler targets it. With no live object only placeholders are dropped.
    """
    group, kind = kind_of(wanted)
    if scaled and live is not None and "replicas" in (wanted.get("spec") or {}):
        replicas = (live.get("spec") or {}).get("replicas", wanted["spec"]["replicas"])
        return {**wanted, "spec": {**wanted["spec"], "replicas": replicas}}
    if kind == "ClusterRole" and wanted.get("aggregationRule"):
        return {name: value for name, value in wanted.items() if name != "rules"}
    if group in _CA_CARRIERS:
        return _without_foreign_ca(wanted)
    return wanted


_CA_CARRIERS = ("admissionregistration.k8s.io", "apiregistration.k8s.io", "apiextensions.k8s.io")


def _without_foreign_ca(wanted: Object) -> Object:
    injected = any(name.startswith(_INJECTED) for name in annotations_of(wanted))
    if not any(injected or ca in _PLACEHOLDERS for ca in _ca_bundles(wanted)):
        return wanted
    return _drop_ca(wanted, injected)  # type: ignore[no-any-return]


def _ca_bundles(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for name, item in value.items():
            if name == "caBundle":
                yield item
            elif name != "openAPIV3Schema":
                yield from _ca_bundles(item)
    elif isinstance(value, list):
        for item in value:
            yield from _ca_bundles(item)


def _drop_ca(value: Any, injected: bool) -> Any:
    if isinstance(value, dict):
        return {
            name: item if name == "openAPIV3Schema" else _drop_ca(item, injected)
            for name, item in value.items()
            if name != "caBundle" or not (injected or item in _PLACEHOLDERS)
        }
    if isinstance(value, list):
        return [_drop_ca(item, injected) for item in value]
    return value


def scaled_by(autoscalers: list[Object]) -> frozenset[ObjectKey]:
    """What these HorizontalPodAutoscalers target."""
    return frozenset(key for hpa in autoscalers for key in _scale_target(hpa))


def _scale_target(hpa: Object) -> Iterator[ObjectKey]:
    target = (hpa.get("spec") or {}).get("scaleTargetRef") or {}
    if target.get("kind") and target.get("name"):
        group = split_api_version(target.get("apiVersion") or "apps/v1")[0]
        namespace = hpa["metadata"].get("namespace") or ""
        yield ObjectKey(group, target["kind"], namespace, target["name"])
