"""From what a client sent to what the server takes in, and to what it stores.

`decode` reads a value against its schema: fields the kind does not have, values of the wrong
type, nulls (which mean "not set"). `normalise` gives the stored form: empty optional lists and
maps are left out, quantities are canonical. `missing_fields` names what is required and not there.

Never sets defaults (`defaults`), never looks at more than the schema (`validation`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from clusters.simulation.server.quantities import canonical_quantity
from clusters.simulation.server.schema import Node, Shape

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}
_ZERO_OMITTED = {
    ("EnvVar", "value"): "",
    ("Container", "stdin"): False,
    ("Container", "stdinOnce"): False,
    ("Container", "tty"): False,
    ("PodSpec", "hostNetwork"): False,
    ("PodSpec", "hostPID"): False,
    ("PodSpec", "hostIPC"): False,
    ("VolumeMount", "readOnly"): False,
    ("VolumeMount", "subPath"): "",
    ("Probe", "initialDelaySeconds"): 0,
    ("DeploymentSpec", "minReadySeconds"): 0,
    ("DeploymentSpec", "paused"): False,
    ("StatefulSetSpec", "minReadySeconds"): 0,
    ("DaemonSetSpec", "minReadySeconds"): 0,
    ("ServiceSpec", "publishNotReadyAddresses"): False,
    ("ServicePort", "name"): "",
    ("ServicePort", "nodePort"): 0,
}
"""Fields that Go leaves out when they are zero, though the applied text may spell them."""


@dataclass(slots=True)
class Problems:
    """What `decode` found: paths of unknown fields, and (path, type, value) of wrong types.

    With `keeps_nulls` they stay in the copy: an applier owns a field that it sends as null, though
    nothing of it is stored.
    """

    keeps_nulls: bool = False
    unknown: list[str] = field(default_factory=list)
    wrong: list[tuple[str, str, Any]] = field(default_factory=list)


def decode(value: Any, node: Node, problems: Problems, path: str = "") -> Any:
    """A copy without unknown fields and unset nulls; what was odd is noted in `problems`."""
    if isinstance(value, dict):
        return _decode_object(value, node, problems, path)
    if isinstance(value, list):
        return _decode_list(value, node, problems, path)
    _check_scalar(value, node, problems, path)
    return value


def _decode_object(value: dict[str, Any], node: Node, problems: Problems, path: str) -> Any:
    if node.shape in (Shape.SCALAR, Shape.LIST):
        problems.wrong.append((path, node.scalar or node.shape.value, value))
        return value
    result = {}
    for key, item in value.items():
        inner = node.child(key)
        where = f"{path}.{key}" if path else key
        if inner is None:
            problems.unknown.append(where)
        elif item is not None:
            result[key] = decode(item, inner, problems, where)
        elif problems.keeps_nulls or _may_be_null(node, inner) or _is_empty_text(node, inner, item):
            result[key] = None
    return result


def _may_be_null(node: Node, inner: Node) -> bool:
    return inner.nullable or node.shape is Shape.ANY or node.open


def _decode_list(value: list[Any], node: Node, problems: Problems, path: str) -> Any:
    if node.shape not in (Shape.LIST, Shape.ANY):
        problems.wrong.append((path, node.scalar or "object", value))
        return value
    inner = node.item()
    return [decode(item, inner, problems, f"{path}[{i}]") for i, item in enumerate(value)]


def _check_scalar(value: Any, node: Node, problems: Problems, path: str) -> None:
    if value is None or node.shape is Shape.ANY:
        return
    if node.shape is not Shape.SCALAR:
        expected = "array" if node.shape is Shape.LIST else "object"
        problems.wrong.append((path, expected, value))
        return
    allowed = _TYPES.get(node.scalar)
    if allowed is None:
        return
    if not isinstance(value, allowed) or (isinstance(value, bool) and node.scalar != "boolean"):
        problems.wrong.append((path, node.scalar, value))


def normalise(value: Any, node: Node) -> Any:
    """A fresh copy in the stored form; it shares nothing with `value`."""
    if isinstance(value, dict):
        result = {}
        for key, item in value.items():
            inner = node.child(key)
            if inner is None or _is_left_out(node, inner, key, item):
                continue
            result[key] = "" if _is_empty_text(node, inner, item) else normalise(item, inner)
        return result
    if isinstance(value, list):
        inner_node = node.item()
        return [normalise(item, inner_node) for item in value]
    if node.name == "Quantity" and not isinstance(value, bool) and value is not None:
        return canonical_quantity(str(value))
    return value


def missing_fields(value: Any, node: Node, path: str = "") -> Iterator[str]:
    """Paths of the required fields that a stored form lacks; a status may be unfinished."""
    if isinstance(value, dict):
        for key in sorted(node.required):
            if key not in value:
                yield f"{path}.{key}" if path else key
        for key, item in value.items():
            inner = node.child(key)
            if inner is not None and (path or key not in ("status", "metadata")):
                yield from missing_fields(item, inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from missing_fields(item, node.item(), f"{path}[{index}]")


def _is_empty_text(node: Node, inner: Node, item: Any) -> bool:
    """A null among the texts of a map is stored as the empty text, as Go reads it."""
    return item is None and node.shape is Shape.MAP and inner.scalar == "string"


def _is_left_out(node: Node, inner: Node, key: str, item: Any) -> bool:
    if item is None:
        return not (_may_be_null(node, inner) or _is_empty_text(node, inner, item))
    if _is_dropped_when_empty(node, inner, key, item):
        return True
    zero = _ZERO_OMITTED.get((node.name, key))
    return zero is not None and item == zero and type(item) is type(zero)


def _is_dropped_when_empty(node: Node, inner: Node, key: str, item: Any) -> bool:
    """Go's `omitempty`, for optional lists and maps of built-in types; structs are kept."""
    if node.shape is not Shape.STRUCT or not node.name or key in node.required:
        return False
    return item == [] or (item == {} and inner.shape is Shape.MAP)
