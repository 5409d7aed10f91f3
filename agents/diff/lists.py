"""Which lists of the built-in kinds are maps, and by which fields an element is named.

From the `x-kubernetes-list-map-keys` of Kubernetes' OpenAPI. A list that is not here is atomic: it
belongs to one manager as a whole and is compared element by element.
"""

from __future__ import annotations

from agents.diff.path import Path

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


DEFAULTS = {_PROTOCOL: "TCP"}
"""What the API server fills in for a key field that is left out."""


def _names(path: Path) -> set[str]:
    names = {segment for segment in path if isinstance(segment, str)}
    return names | ({"containers"} if "initContainers" in names else set())
