"""OpenAPI documents of what a cluster serves: version 3 by group, version 2 in one piece.

The schemas are Kubernetes' published ones and those of the custom kinds. Paths name the verbs
that `kubectl` looks for before it relies on the server's own validation. Documents of built-in
groups are made once and shared by all clusters.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

from clusters.errors import KindNotFoundError
from clusters.objects import Kind, Object
from clusters.simulation.server.builtin import BUILT_IN, KindTraits
from clusters.simulation.server.catalog import Catalog
from clusters.simulation.server.schema import definition_name, definitions

_QUERY = ("dryRun", "fieldManager", "fieldValidation")
_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_PATCHES = (
    "application/apply-patch+yaml",
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)


def index(catalog: Catalog, path: str) -> Object:
    """`/openapi/v3`: where the document of each group and version is; `path` is its own URL."""
    places = sorted({_place(traits.kind.group, v) for traits, v in _served(catalog)})
    prefix = path.rstrip("/")
    return {
        "paths": {
            place: {"serverRelativeURL": f"{prefix}/{place}?hash={_hash(catalog, place)}"}
            for place in places
        }
    }


def _place(group: str, version: str) -> str:
    return f"apis/{group}/{version}" if group else f"api/{version}"


def _hash(catalog: Catalog, place: str) -> str:
    text = f"{place}/{catalog.generation}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _served(catalog: Catalog) -> Iterator[tuple[KindTraits, str]]:
    for traits in catalog.all():
        for version in traits.resource.versions:
            yield traits, version


def version_three(catalog: Catalog, group: str, version: str) -> Object:
    """The document of one group and version. Errors: `KindNotFoundError`."""
    kinds = [
        traits
        for traits, served in _served(catalog)
        if traits.kind.group == group and served == version
    ]
    if not kinds:
        raise KindNotFoundError("the server could not find the requested resource")
    if all(not traits.custom for traits in kinds):
        return _built_in_document(group, version)
    schemas = {
        _schema_name(traits.kind, version): _custom_schema(catalog, traits, version)
        for traits in kinds
        if traits.custom
    }
    return _document(group, version, kinds, {**schemas, **_with_dependencies([_META])})


@lru_cache(maxsize=64)
def _built_in_document(group: str, version: str) -> Object:
    kinds = [
        traits
        for kind, traits in BUILT_IN.items()
        if kind.group == group and version in traits.resource.versions
    ]
    names = [definition_name(traits.kind, version) for traits in kinds]
    return _document(group, version, kinds, _with_dependencies(filter(None, names)))


def _document(group: str, version: str, kinds: list[KindTraits], schemas: dict[str, Any]) -> Object:
    paths: dict[str, Any] = {}
    for traits in kinds:
        paths.update(_paths(traits, group, version))
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes (simulated)", "version": "unversioned"},
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _schema_name(kind: Kind, version: str) -> str:
    """Kubernetes' own name, or for a custom kind its group reversed."""
    built_in = definition_name(kind, version)
    return built_in or ".".join([*reversed(kind.group.split(".")), version, kind.kind])


def _paths(traits: KindTraits, group: str, version: str) -> dict[str, Any]:
    middle = "/namespaces/{namespace}" if traits.resource.namespaced else ""
    collection = f"/{_place(group, version)}{middle}/{traits.resource.plural}"
    mark = {"group": group, "version": version, "kind": traits.kind.kind}
    reference = {"$ref": f"#/components/schemas/{_schema_name(traits.kind, version)}"}
    return {
        collection: {
            "get": _operation("list", mark, reference),
            "post": _operation("post", mark, reference, body=("application/json",)),
        },
        f"{collection}/{{name}}": {
            "get": _operation("get", mark, reference),
            "put": _operation("put", mark, reference, body=("application/json",)),
            "patch": _operation("patch", mark, reference, body=_PATCHES),
            "delete": _operation("delete", mark, reference),
        },
    }


def _operation(
    action: str, mark: dict[str, str], schema: Object, body: tuple[str, ...] = ()
) -> Object:
    content = {"application/json": {"schema": schema}}
    operation: Object = {
        "x-kubernetes-action": action,
        "x-kubernetes-group-version-kind": mark,
        "responses": {"200": {"description": "OK", "content": content}},
    }
    if body:
        operation["parameters"] = [
            {"name": name, "in": "query", "schema": {"type": "string"}} for name in _QUERY
        ]
        operation["requestBody"] = {"content": {media: {"schema": schema} for media in body}}
    return operation


def _custom_schema(catalog: Catalog, traits: KindTraits, version: str) -> Object:
    text = {"type": "string"}
    declared = catalog.declared_schema(traits.kind, version)
    group = traits.kind.group
    return {
        **declared,
        "type": "object",
        "properties": {
            **declared.get("properties", {}),
            "apiVersion": text,
            "kind": text,
            "metadata": {"$ref": f"#/components/schemas/{_META}"},
        },
        "x-kubernetes-group-version-kind": [
            {"group": group, "version": version, "kind": traits.kind.kind}
        ],
    }


def _with_dependencies(names: Iterable[str]) -> dict[str, Any]:
    """The named definitions and all that they refer to, as OpenAPI 3 writes them."""
    found: dict[str, Any] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name] = _translated(definitions()[name], "#/components/schemas/")
        waiting.extend(_references(definitions()[name]))
    return found


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].rpartition("/")[2]
        for item in value.values():
            yield from _references(item)
    elif isinstance(value, list):
        for item in value:
            yield from _references(item)


def _translated(value: Any, prefix: str) -> Any:
    """A published JSON schema in OpenAPI's dialect: one type, references elsewhere."""
    if isinstance(value, list):
        return [_translated(item, prefix) for item in value]
    if not isinstance(value, dict):
        return value
    result: dict[str, Any] = {}
    for key, item in value.items():
        if key == "$ref" and isinstance(item, str):
            result[key] = prefix + item.rpartition("/")[2]
        elif key == "type" and isinstance(item, list):
            result[key] = next((name for name in item if name != "null"), "object")
        elif not (key == "additionalProperties" and item is False) and key != "$schema":
            result[key] = _translated(item, prefix)
    return result


def version_two(catalog: Catalog) -> Object:
    """`/openapi/v2`: every built-in definition and the custom kinds', without paths."""
    custom = {
        _schema_name(traits.kind, version): _translated(
            _custom_schema(catalog, traits, version), "#/definitions/"
        )
        for traits, version in _served(catalog)
        if traits.custom
    }
    return {
        "swagger": "2.0",
        "info": {"title": "Kubernetes (simulated)", "version": "unversioned"},
        "paths": {},
        "definitions": {**_built_in_definitions(), **custom},
    }


@lru_cache(maxsize=1)
def _built_in_definitions() -> dict[str, Any]:
    return {
        name: _translated(definition, "#/definitions/")
        for name, definition in definitions().items()
    }
