"""The fields in which a live object differs from what is wanted, over the wanted fields only.

What the API server or others add (defaults, status, injected containers) is no difference; what is
wanted and empty and not there is none either, since the server drops such fields. Lists that are
maps are compared by key, sets by membership, all others as a whole. Quantities are compared as
numbers.

What it never does: decide whether a difference is drift. A server-side dry-run confirms that,
since only the server knows every normalisation; this finds the candidates without a request.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from agents.diff.lists import element_key, is_keyed, is_set, map_keys
from agents.diff.path import Path
from agents.diff.quantity import equal_quantities
from clusters.objects import Object, kind_of

_IGNORED = frozenset({"managedFields", "resourceVersion", "uid", "generation", "creationTimestamp"})
_BUILT_IN = frozenset(
    {
        "",
        "admissionregistration.k8s.io",
        "apiextensions.k8s.io",
        "apiregistration.k8s.io",
        "apps",
        "authentication.k8s.io",
        "authorization.k8s.io",
        "autoscaling",
        "batch",
        "certificates.k8s.io",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "events.k8s.io",
        "flowcontrol.apiserver.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "resource.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
    }
)


@dataclass(frozen=True, slots=True)
class Difference:
    """One field; `None` means that it is not there."""

    path: Path
    wanted: Any
    live: Any


def is_built_in(group: str) -> bool:
    """Does Kubernetes itself serve this API group (CRDs never do)?"""
    return group in _BUILT_IN


def differences(wanted: Object, live: Object) -> tuple[Difference, ...]:
    """Every wanted field that `live` does not hold, in the order of the wanted object."""
    kind = kind_of(wanted)
    name = kind.kind if is_built_in(kind.group) else ""
    said = {key: value for key, value in _comparable(wanted).items() if key != "status"}
    return tuple(_maps((), said, _comparable(live), name))


def _comparable(obj: Object) -> Object:
    """The object with a Secret's stringData as the data that the server makes of it."""
    shown = {key: value for key, value in obj.items() if key not in ("apiVersion", "kind")}
    metadata = obj.get("metadata") or {}
    shown["metadata"] = {key: value for key, value in metadata.items() if key not in _IGNORED}
    if obj.get("kind") == "Secret" and obj.get("stringData"):
        plain = shown.pop("stringData")
        encoded = {k: base64.b64encode(str(v).encode()).decode() for k, v in plain.items()}
        shown["data"] = {**(shown.get("data") or {}), **encoded}
    return shown


def _values(path: Path, wanted: Any, live: Any, kind: str) -> Iterator[Difference]:
    """The differences of two values; `kind` is empty for custom resources."""
    if isinstance(wanted, dict) and isinstance(live, dict):
        yield from _maps(path, wanted, live, kind)
    elif isinstance(wanted, list) and isinstance(live, list):
        yield from _lists(path, wanted, live, kind)
    elif not _equal(path, wanted, live, bool(kind)):
        yield Difference(path, wanted, live)


def _maps(path: Path, wanted: Object, live: Object, kind: str) -> Iterator[Difference]:
    for name, value in wanted.items():
        if value is not None:
            yield from _values((*path, name), value, live.get(name), kind)


def _lists(path: Path, wanted: list[Any], live: list[Any], kind: str) -> Iterator[Difference]:
    if is_set(path):
        if not set(map(str, wanted)) <= set(map(str, live)):
            yield Difference(path, wanted, live)
        return
    names = map_keys(path, kind) if kind else ()
    if is_keyed(wanted, names) and is_keyed(live, names):
        yield from _keyed_lists(path, wanted, live, names, kind)
    elif len(wanted) != len(live):
        yield Difference(path, wanted, live)
    else:
        for index, (left, right) in enumerate(zip(wanted, live, strict=True)):
            yield from _values((*path, index), left, right, kind)


def _keyed_lists(
    path: Path, wanted: list[Any], live: list[Any], names: tuple[str, ...], kind: str
) -> Iterator[Difference]:
    there = {element_key(item, names): item for item in live}
    for item in wanted:
        key = element_key(item, names)
        if key in there:
            yield from _maps((*path, key), item, there[key], kind)
        else:
            yield Difference((*path, key), item, None)


_AMOUNTS = frozenset(
    {
        "averageValue",
        "capacity",
        "default",
        "defaultRequest",
        "divisor",
        "hard",
        "limits",
        "max",
        "maxLimitRequestRatio",
        "min",
        "podFixed",
        "requests",
        "sizeLimit",
    }
)
"""Names under which built-in kinds hold quantities."""


def _equal(path: Path, wanted: Any, live: Any, built_in: bool) -> bool:
    """Are two leaves the same to the server? An empty one that is not there is."""
    if isinstance(wanted, bool) == isinstance(live, bool) and wanted == live:
        return True
    if not built_in:
        return False
    if live is None:
        return _is_empty(wanted)
    return not _AMOUNTS.isdisjoint(map(str, path)) and equal_quantities(wanted, live)


def _is_empty(value: Any) -> bool:
    if isinstance(value, dict):
        return all(_is_empty(item) for item in value.values())
    return value is None or value == "" or value == [] or value is False or value == 0
