"""Which lists of the built-in kinds are maps, and by which fields an element is named.

From the `x-kubernetes-list-map-keys` of Kubernetes' OpenAPI. A list that is not here is atomic: it
belongs to one manager as a whole and is compared element by element.
"""

from __future__ import annotations

from typing import Any

from agents.diff.path import Key, Path

_MAP_KEYS: dict[str, tuple[str, ...]] = {
    "containers": ("name",),
    "initContainers": ("name",),
    "ephemeralContainers": ("name",),
    "env": ("name",),
    "volumes": ("name",),
    "volumeMounts": ("mountPath",),
    "volumeDevices": ("devicePath",),
    "imagePullSecrets": ("name",),
    "resourceClaims": ("name",),
    "hostAliases": ("ip",),
    "topologySpreadConstraints": ("topologyKey", "whenUnsatisfiable"),
    "webhooks": ("name",),
    "matchConditions": ("name",),
    "conditions": ("type",),
    "ownerReferences": ("uid",),
}
_PROTOCOL = "protocol"


def map_keys(path: Path, kind: str) -> tuple[str, ...]:
    """The fields that name an element of the list at `path`; empty for an atomic list."""
    name = path[-1] if path else ""
    if not isinstance(name, str):
        return ()
    if name == "ports":
        if kind == "Service" and path == ("spec", "ports"):
            return ("port", _PROTOCOL)
        return ("containerPort", _PROTOCOL) if "containers" in _names(path) else ()
    if kind == "ServiceAccount" and path == ("secrets",):
        return ("name",)
    return _MAP_KEYS.get(name, ())


def is_set(path: Path) -> bool:
    """Is the list at `path` a set, of which others may own further members?"""
    return path == ("metadata", "finalizers")


_DEFAULTS = {_PROTOCOL: "TCP"}
"""What the API server fills in for a key field that is left out."""


def is_keyed(elements: list[Any], names: tuple[str, ...]) -> bool:
    """Does every element have a key of its own? Otherwise the list is no map."""
    if not names or not all(isinstance(item, dict) and names[0] in item for item in elements):
        return False
    if not all(isinstance(item.get(name, ""), str | int) for item in elements for name in names):
        return False
    return len({element_key(item, names) for item in elements}) == len(elements)


def element_key(element: dict[str, Any], names: tuple[str, ...]) -> Key:
    """What names the element among its like, with the fields that the server would fill in."""
    defaults = {name: _DEFAULTS[name] for name in names if name in _DEFAULTS}
    return Key.of({**defaults, **element}, names)


def _names(path: Path) -> set[str]:
    names = {segment for segment in path if isinstance(segment, str)}
    return names | ({"containers"} if "initContainers" in names else set())
