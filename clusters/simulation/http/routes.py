"""What a Kubernetes URL means: which resource, which object, which subresource.

::

    /api/v1/namespaces/shop/pods/web-1/status     core v1, pods, shop, web-1, status
    /apis/apps/v1/deployments                     apps v1, deployments in all namespaces
    /api/v1/namespaces/shop                       the namespace itself
"""

from __future__ import annotations

from dataclasses import dataclass

from clusters.errors import KindNotFoundError
from clusters.objects import Kind, ObjectKey
from clusters.simulation.server.builtin import KindTraits
from clusters.simulation.server.catalog import Catalog

_OF_NAMESPACES = ("status", "finalize")


@dataclass(frozen=True, slots=True)
class Target:
    """What a request is about; `name` is ``""`` for a whole collection."""

    traits: KindTraits
    version: str
    namespace: str
    name: str
    subresource: str

    @property
    def kind(self) -> Kind:
        """Group and kind."""
        return self.traits.kind

    @property
    def key(self) -> ObjectKey:
        """The object's identity."""
        return ObjectKey(self.kind.group, self.kind.kind, self.namespace, self.name)

    @property
    def api_version(self) -> str:
        """The version asked for, with its group."""
        return f"{self.kind.group}/{self.version}" if self.kind.group else self.version


def find_target(catalog: Catalog, parts: list[str]) -> Target:
    """The target of a path's parts, such as `["apis", "apps", "v1", "deployments"]`.

    Errors: `KindNotFoundError` if nothing of that is served.
    """
    if parts[:1] == ["api"] and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        raise KindNotFoundError("the server could not find the requested resource")
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in _OF_NAMESPACES:
        namespace, rest = rest[1], rest[2:]
    traits = catalog.find_plural(group, version, rest[0])
    name, subresource = (*rest[1:], "", "")[:2]
    too_long = len(rest) > 3
    if too_long or (namespace and not traits.resource.namespaced):
        raise KindNotFoundError("the server could not find the requested resource")
    return Target(traits, version, namespace, name, subresource)
