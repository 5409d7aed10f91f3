"""What fields the kinds have: a compact schema, compiled when first needed and shared.

The data is Kubernetes' own (the PyPI package `kubernetes-validate`, 1.37), read as one file; a
`Node` keeps of it what merging, ownership and decoding ask for::

    Node  ── STRUCT  declared fields; others are unknown (or kept, if `open`)
          ── MAP     any key, values of `element`
          ── LIST    list_type "atomic", "set" or "map" with `keys`
          ── SCALAR  with the JSON type, or untyped
          ── ANY     no schema: maps merge key by key, lists are replaced

Custom kinds bring an OpenAPI v3 schema of their own, compiled by the same function. Compiled
nodes refer to each other and may be cyclic (JSONSchemaProps holds itself).

Never validates anything: patterns, enums and ranges are kept for `custom_values`.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from clusters.objects import Kind
from clusters.simulation.server.go_types import GoType, go_type

SCHEMA_VERSION = "1.37"


class Shape(Enum):
    """What a value of a node can be."""

    SCALAR = "scalar"
    STRUCT = "struct"
    MAP = "map"
    LIST = "list"
    ANY = "any"


@dataclass(slots=True, eq=False)
class Node:
    """The schema of one value. Written while it is compiled, never after."""

    shape: Shape
    name: str = ""
    atomic: bool = False
    scalar: str = ""
    format: str = ""
    fields: dict[str, Node] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    open: bool = False
    element: Node | None = None
    list_type: str = "atomic"
    keys: tuple[str, ...] = ()
    merge_key: str = ""
    retain_keys: bool = False
    replaced: bool = False
    """Whether a strategic merge patch replaces the value whole."""
    nullable: bool = False
    default: Any = None
    checks: dict[str, Any] = field(default_factory=dict)
    """What the schema of a custom kind asks of a value beyond its type: enum, pattern, maximum …"""
    go: GoType | None = None
    """The Go type of a built-in definition; `None` in custom kinds."""

    def child(self, key: str) -> Node | None:
        """The node of a field or map key; `None` if the field is not declared."""
        if self.shape is Shape.STRUCT:
            found = self.fields.get(key)
            return ANY if found is None and self.open else found
        return self.element or ANY

    def item(self) -> Node:
        """The node of a list's items."""
        return self.element or ANY


ANY = Node(Shape.ANY)
_CHECKS = (
    "enum",
    "pattern",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
    "x-kubernetes-int-or-string",
)
_DEFAULTED_KEYS = {"protocol": "TCP"}
"""Keys of list maps that may be left out, with what Kubernetes takes in their place."""


@cache
def definitions() -> dict[str, Any]:
    """Kubernetes' published definitions by name, such as `io.k8s.api.apps.v1.Deployment`."""
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or spec.origin is None:
        raise RuntimeError(
            "the simulated cluster needs Kubernetes' schemas\n"
            "  fix: pip install 'kubernetes-validate>=1.37,<1.38'"
        )
    folder = Path(spec.origin).parent / "kubernetes-json-schema"
    path = folder / f"v{SCHEMA_VERSION}.0-local-strict" / "_definitions.json"
    loaded: dict[str, Any] = orjson.loads(path.read_bytes())["$defs"]
    return loaded


@cache
def _names_by_kind() -> dict[tuple[str, str, str], str]:
    names: dict[tuple[str, str, str], str] = {}
    for name, definition in definitions().items():
        marks = definition.get("x-kubernetes-group-version-kind", ())
        if len(marks) == 1:
            names[(marks[0]["group"], marks[0]["version"], marks[0]["kind"])] = name
    return names


def definition_name(kind: Kind, version: str) -> str:
    """The name of a built-in kind's definition, ``""`` if there is none."""
    return _names_by_kind().get((kind.group, version, kind.kind), "")


def built_in_schema(kind: Kind, version: str) -> Node:
    """The schema of a built-in kind; `ANY` if Kubernetes publishes none."""
    name = definition_name(kind, version)
    return _compile_definition(name) if name else ANY


def object_meta() -> Node:
    """The schema of `metadata`."""
    return _compile_definition("io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta")


_compiled: dict[str, Node] = {}


def _compile_definition(name: str) -> Node:
    """Compile a named definition once; it is known before its fields are, for the cycles."""
    known = _compiled.get(name)
    if known is None:
        definition = definitions()[name]
        short = name.rpartition(".")[2]
        known = _compiled[name] = Node(Shape.ANY, name=short, go=go_type(name))
        _fill(known, definition)
        known.atomic = known.atomic or short == "RawExtension"
    return known


def compile_schema(schema: dict[str, Any]) -> Node:
    """A node for a JSON schema: a property of a definition, or a custom kind's own."""
    reference = schema.get("$ref", "")
    if reference:
        node = _compile_definition(reference.rpartition("/")[2])
        map_type = schema.get("x-kubernetes-map-type", "")
        return _variant(node, schema, map_type) if _differs(node, schema, map_type) else node
    node = Node(Shape.ANY)
    _fill(node, schema)
    return node


def _differs(node: Node, schema: dict[str, Any], map_type: str) -> bool:
    strategy = schema.get("x-kubernetes-patch-strategy", "")
    directed = "retainKeys" in strategy or "replace" in strategy
    return directed or (bool(map_type) and (map_type == "atomic") != node.atomic)


def _variant(node: Node, schema: dict[str, Any], map_type: str) -> Node:
    """The same definition, with what the property that refers to it says otherwise."""
    return Node(
        shape=node.shape,
        name=node.name,
        atomic=(map_type == "atomic") if map_type else node.atomic,
        fields=node.fields,
        required=node.required,
        element=node.element,
        retain_keys="retainKeys" in schema.get("x-kubernetes-patch-strategy", ""),
        replaced="replace" in schema.get("x-kubernetes-patch-strategy", ""),
        go=node.go,
    )


def _fill(node: Node, schema: dict[str, Any]) -> None:
    types = schema.get("type", "")
    kind = types if isinstance(types, str) else next(t for t in types if t != "null")
    node.nullable = bool(schema.get("nullable"))
    node.default = schema.get("default")
    node.checks = {key: schema[key] for key in _CHECKS if key in schema}
    node.atomic = schema.get("x-kubernetes-map-type") == "atomic"
    node.retain_keys = "retainKeys" in schema.get("x-kubernetes-patch-strategy", "")
    if schema.get("x-kubernetes-int-or-string") or "oneOf" in schema:
        node.shape = Shape.SCALAR
    elif kind == "array":
        _fill_list(node, schema)
    elif kind == "object" or "properties" in schema:
        _fill_object(node, schema)
    elif kind:
        node.shape, node.scalar, node.format = Shape.SCALAR, kind, schema.get("format", "")


def _fill_list(node: Node, schema: dict[str, Any]) -> None:
    node.shape = Shape.LIST
    node.element = compile_schema(schema.get("items") or {})
    node.list_type = schema.get("x-kubernetes-list-type", "atomic")
    node.keys = tuple(schema.get("x-kubernetes-list-map-keys", ()))
    strategy = schema.get("x-kubernetes-patch-strategy", "")
    node.merge_key = schema.get("x-kubernetes-patch-merge-key", "") if "merge" in strategy else ""
    if node.list_type == "set" and "merge" in strategy:
        node.merge_key = "*"


def _fill_object(node: Node, schema: dict[str, Any]) -> None:
    properties = schema.get("properties")
    extra = schema.get("additionalProperties")
    embedded = schema.get("x-kubernetes-embedded-resource")
    node.open = bool(schema.get("x-kubernetes-preserve-unknown-fields"))
    if properties or embedded:
        node.shape = Shape.STRUCT
        node.required = frozenset(schema.get("required", ()))
        node.fields.update(
            {key: compile_schema(value) for key, value in (properties or {}).items()}
        )
        if embedded:
            node.open = True
            node.fields["metadata"] = object_meta()
    elif isinstance(extra, dict):
        node.shape, node.element = Shape.MAP, compile_schema(extra)
    else:
        node.shape = Shape.ANY


def key_default(node: Node, key: str) -> Any:
    """What stands for a missing key of a list map's item, `None` if it must be there."""
    go = node.item().go
    if go is not None and go.always.get(key) is not None:
        return go.always[key]
    field_node = node.item().fields.get(key)
    if field_node is not None and field_node.default is not None:
        return field_node.default
    return _DEFAULTED_KEYS.get(key) if field_node is not None and not field_node.open else None
