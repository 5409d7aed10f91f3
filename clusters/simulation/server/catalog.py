"""Which kinds one cluster serves: the shared built-in table, and its own custom kinds over it.

Schemas of custom kinds are compiled once per distinct text and shared by every cluster in the
process, as are the (large) specs of their definitions.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import orjson

from clusters.cluster import Discovery, Resource
from clusters.errors import KindNotFoundError
from clusters.objects import Kind, Object, canonical_bytes
from clusters.simulation.server.builtin import BUILT_IN, SELECTABLE, VERBS, KindTraits
from clusters.simulation.server.schema import (
    Node,
    Shape,
    built_in_schema,
    compile_schema,
    object_meta,
)

CRD = Kind("apiextensions.k8s.io", "CustomResourceDefinition")
_BUILT_IN_BY_PLURAL = {
    (traits.kind.group, traits.resource.plural): traits for traits in BUILT_IN.values()
}
_BUILT_IN_DISCOVERY = {kind: traits.resource for kind, traits in BUILT_IN.items()}


class Catalog:
    """The kinds served by one cluster."""

    def __init__(self) -> None:
        self._custom: dict[Kind, KindTraits] = {}
        self._schemas: dict[tuple[Kind, str], Node] = {}
        self._versions: dict[tuple[Kind, str], dict[str, Any]] = {}
        self.generation = 0
        """Grows when a custom kind comes, changes or goes."""

    def find(self, kind: Kind) -> KindTraits:
        """The traits of a kind. Errors: `KindNotFoundError`."""
        traits = self._custom.get(kind) or BUILT_IN.get(kind)
        if traits is None:
            raise KindNotFoundError(f'no matches for kind "{kind.kind}" in group "{kind.group}"')
        return traits

    def find_version(self, kind: Kind, version: str) -> KindTraits:
        """The traits of a kind that is served in `version`. Errors: `KindNotFoundError`."""
        traits = self._custom.get(kind) or BUILT_IN.get(kind)
        if traits is None or version not in traits.resource.versions:
            api_version = f"{kind.group}/{version}" if kind.group else version
            raise KindNotFoundError(f'no matches for kind "{kind.kind}" in version "{api_version}"')
        return traits

    def find_plural(self, group: str, version: str, plural: str) -> KindTraits:
        """The traits of a URL's resource. Errors: `KindNotFoundError`."""
        traits = _BUILT_IN_BY_PLURAL.get((group, plural)) or next(
            (
                item
                for item in self._custom.values()
                if item.kind.group == group and item.resource.plural == plural
            ),
            None,
        )
        if traits is None or version not in traits.resource.versions:
            raise KindNotFoundError("the server could not find the requested resource")
        return traits

    def schema(self, traits: KindTraits, version: str) -> Node:
        """The schema of a kind in one version."""
        if traits.custom:
            return self._schemas[(traits.kind, version)]
        return built_in_schema(traits.kind, version)

    def columns(self, kind: Kind, version: str) -> list[dict[str, Any]]:
        """A custom kind's `additionalPrinterColumns`; empty for built-in kinds."""
        return self._versions.get((kind, version), {}).get("additionalPrinterColumns") or []

    def selectable(self, kind: Kind, version: str) -> tuple[str, ...]:
        """The fields, beside name and namespace, by which objects can be listed."""
        declared = self._versions.get((kind, version), {}).get("selectableFields") or ()
        paths = tuple(field["jsonPath"].removeprefix(".") for field in declared)
        return SELECTABLE.get(kind, ()) + paths

    def declared_schema(self, kind: Kind, version: str) -> dict[str, Any]:
        """A custom kind's own OpenAPI schema, to be read only."""
        schema = self._versions.get((kind, version), {}).get("schema") or {}
        return schema.get("openAPIV3Schema") or {}

    def all(self) -> Iterator[KindTraits]:
        """Every kind, built-in ones first."""
        yield from BUILT_IN.values()
        yield from self._custom.values()

    def discovery(self) -> Discovery:
        """Every kind in its preferred version."""
        resources: dict[Kind, Resource] = dict(_BUILT_IN_DISCOVERY)
        resources.update({kind: traits.resource for kind, traits in self._custom.items()})
        return Discovery(resources)

    def install(self, definition: Object) -> None:
        """Serve what a CustomResourceDefinition declares, from now on."""
        spec = definition["spec"]
        traits = _custom_traits(spec)
        if traits.kind in BUILT_IN:
            return
        self._custom[traits.kind] = traits
        self.generation += 1
        for version in spec.get("versions", ()):
            place = (traits.kind, version["name"])
            self._versions[place] = version
            self._schemas[place] = _compiled(canonical_bytes(self.declared_schema(*place)))

    def uninstall(self, kind: Kind) -> None:
        """Serve a custom kind no longer."""
        self._custom.pop(kind, None)
        self.generation += 1


def custom_kind(definition: Object) -> Kind:
    """The kind that a CustomResourceDefinition declares."""
    return Kind(definition["spec"]["group"], definition["spec"]["names"]["kind"])


def _custom_traits(spec: dict[str, Any]) -> KindTraits:
    names = spec["names"]
    versions = spec.get("versions", ())
    served = tuple(version["name"] for version in versions if version.get("served"))
    stored = next(version for version in versions if version.get("storage"))
    served = tuple(sorted(served, key=_version_priority))
    scale = (stored.get("subresources") or {}).get("scale") or {}
    return KindTraits(
        resource=Resource(
            kind=Kind(spec["group"], names["kind"]),
            version=served[0] if served else stored["name"],
            plural=names["plural"],
            namespaced=spec.get("scope") == "Namespaced",
            verbs=VERBS,
            short_names=tuple(names.get("shortNames", ())),
            versions=served,
        ),
        has_status=any("status" in (version.get("subresources") or {}) for version in versions),
        has_scale=any("scale" in (version.get("subresources") or {}) for version in versions),
        counts_generation=True,
        categories=tuple(names.get("categories", ())),
        storage_version=stored["name"],
        singular=names.get("singular", names["kind"].lower()),
        custom=True,
        replica_paths=tuple(
            path for name in ("specReplicasPath", "statusReplicasPath") if (path := scale.get(name))
        ),
    )


def _version_priority(version: str) -> tuple[int, int, int, str]:
    """Kubernetes' order: v2, v1, v1beta2, v1beta1, v1alpha1, then anything else by name."""
    digits, _, rest = version.removeprefix("v").partition("beta")
    if digits.isdigit() and version == f"v{digits}":
        return (0, -int(digits), 0, "")
    if digits.isdigit() and rest.isdigit():
        return (1, -int(digits), -int(rest), "")
    digits, _, rest = version.removeprefix("v").partition("alpha")
    if digits.isdigit() and rest.isdigit():
        return (2, -int(digits), -int(rest), "")
    return (3, 0, 0, version)


@lru_cache(maxsize=512)
def _compiled(schema: bytes) -> Node:
    """The root schema of a custom kind: its own, with the fields that every object has."""
    declared = compile_schema(orjson.loads(schema))
    fields = dict(declared.fields)
    fields["apiVersion"] = fields["kind"] = Node(Shape.SCALAR, scalar="string")
    fields["metadata"] = object_meta()
    return Node(
        Shape.STRUCT,
        fields=fields,
        required=declared.required,
        open=declared.open or declared.shape is Shape.ANY,
    )


@lru_cache(maxsize=256)
def shared_spec(spec: bytes) -> dict[str, Any]:
    """One dict for equal CRD specs (canonical bytes) of all clusters; never written to."""
    loaded: dict[str, Any] = orjson.loads(spec)
    return loaded
