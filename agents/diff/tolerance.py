"""Fields that others legitimately fill in, without any rule being written: nobody fights over them.

`OUT_OF_THE_BOX` is the table. What the server defaults or adds is no difference in the first place
(`fields`), nor is what it makes of a value again and again (a dry-run confirms that).

    settle   the wanted object as it is to be compared and applied, given what is live
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from agents.diff.fields import is_built_in
from agents.diff.ignoring import ignored_paths, left_to_others
from agents.diff.path import Path
from agents.protocol import IgnoreRule
from clusters.objects import (
    Object,
    ObjectKey,
    annotations_of,
    kind_of,
    spec_of,
    split_api_version,
)


@dataclass(frozen=True, slots=True)
class Tolerance:
    """One row of the table."""

    field: str
    where: str
    reason: str


OUT_OF_THE_BOX = (
    Tolerance(
        "spec.replicas",
        "what a HorizontalPodAutoscaler scales, whoever made it (KEDA makes one too)",
        "the autoscaler decides; Git's number is where a new workload starts",
    ),
    Tolerance(
        "rules",
        "a ClusterRole with an `aggregationRule`",
        "the aggregation controller writes them",
    ),
    Tolerance(
        "caBundle",
        "webhook configurations, APIServices, CRD conversions: where Git leaves it empty or as a "
        "placeholder, or an annotation asks cert-manager or OpenShift to inject it",
        "the injector writes it, and again when the certificate is renewed",
    ),
)

_INJECTED = (
    "cert-manager.io/inject-ca-from",
    "cert-manager.io/inject-apiserver-ca",
    "service.beta.openshift.io/inject-cabundle",
)
_PLACEHOLDERS = ("", "Cg==", None)


def settle(
    wanted: Object,
    live: Object | None,
    *,
    scaled: bool,
    rules: Iterable[IgnoreRule] = (),
    manager: str = "",
    contested: Iterable[Path] = (),
) -> Object:
    """A copy of `wanted` with the fields of others as they are in `live`; itself if there are none.

    `scaled` says that an autoscaler targets it; `rules` are those about this object; `contested`
    are fields that are left to another manager for now. `manager` is our own field manager.
    With no live object only placeholders are dropped.
    """
    group, kind = kind_of(wanted)
    if kind == "ClusterRole" and wanted.get("aggregationRule"):
        wanted = {name: value for name, value in wanted.items() if name != "rules"}
    if group in _CA_CARRIERS:
        wanted = _without_foreign_ca(wanted)
    if live is None:
        return wanted
    known = kind if is_built_in(group) else ""
    paths = (
        *ignored_paths(rules, wanted, live, known),
        *contested,
        *([_REPLICAS] if scaled else []),
    )
    return left_to_others(wanted, live, paths, manager, known) if paths else wanted


_REPLICAS: Path = ("spec", "replicas")
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
    target = spec_of(hpa).get("scaleTargetRef")
    if not isinstance(target, dict):
        return
    version = target.get("apiVersion") or "apps/v1"
    if all(
        isinstance(word, str) and word for word in (target.get("kind"), target.get("name"), version)
    ):
        group = split_api_version(version)[0]
        namespace = hpa["metadata"].get("namespace") or ""
        yield ObjectKey(group, target["kind"], namespace, target["name"])
