"""From what a client sent to what the server takes in, and to what it stores.

`decode` reads a value against its schema: fields the kind does not have, values of the wrong
type, text that is no quantity, time or base64. `normalise` gives the stored form: nulls and empty
optional fields are left out, what Go always writes is there, quantities are canonical.
`missing_fields` names what is required and not there.

Never sets defaults (`defaults`), never looks at more than the schema (`validation`).
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from clusters.simulation.server.quantities import canonical_quantity, is_quantity
from clusters.simulation.server.schema import Node, Shape

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


@dataclass(slots=True)
class Problems:
    """What `decode` found: paths of unknown fields, and (path, type, value) of wrong types."""

    undecodable: list[tuple[str, str]] = field(default_factory=list)
    """Paths of text that is no base64, quantity or time, and what is said of it."""
    unknown: list[str] = field(default_factory=list)
    wrong: list[tuple[str, str, Any]] = field(default_factory=list)


def decode(value: Any, node: Node, problems: Problems, path: str = "") -> Any:
    """A copy without unknown fields; what was odd is noted in `problems`."""
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
        else:
            result[key] = decode(item, inner, problems, where)
    return result


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
    if words := _unreadable(value, node):
        problems.undecodable.append((path, words))
    allowed = _TYPES.get(node.scalar)
    if allowed is None:
        return
    if not isinstance(value, allowed) or (isinstance(value, bool) and node.scalar != "boolean"):
        problems.wrong.append((path, node.scalar, value))


def _unreadable(value: Any, node: Node) -> str:
    """What a server says of text that it cannot take for what it should be; mostly nothing."""
    if node.name == "Quantity":
        number = str(value) if not isinstance(value, bool | dict | list) else ""
        return "" if is_quantity(number) else _QUANTITY_WORDS
    if not isinstance(value, str):
        return ""
    if node.name in _TIMES and not _is_time(value):
        return f'parsing time "{value}" as "2006-01-02T15:04:05Z07:00": cannot parse'
    if node.format == "byte" and not _is_base64(value):
        return "illegal base64 data"
    return ""


_TIMES = ("Time", "MicroTime")
_QUANTITY_WORDS = (
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
)


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None and "T" in text
    except ValueError:
        return False


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text.replace("\n", "").replace("\r", ""), validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def normalise(value: Any, node: Node) -> Any:
    """A fresh copy in the stored form, which is what Go writes; it shares nothing with `value`."""
    if isinstance(value, dict):
        return _normal_object(value, node)
    if isinstance(value, list):
        return [_normal_item(item, node.item()) for item in value]
    if node.name == "Quantity" and not isinstance(value, bool) and value is not None:
        return canonical_quantity(str(value))
    return value


def _normal_object(value: dict[str, Any], node: Node) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for key, item in value.items():
        inner = node.child(key)
        if inner is None or _is_left_out(node, inner, key, item):
            continue
        is_entry = node.shape is Shape.MAP
        result[key] = _normal_item(item, inner) if is_entry else normalise(item, inner)
    if node.go is not None:
        _write_always(result, node)
    return result


def _write_always(result: dict[str, Any], node: Node) -> None:
    """Add the fields of a built-in type that are there also when nobody sets them."""
    assert node.go is not None
    for key in node.go.structs:
        if key not in result:
            result[key] = normalise({}, node.fields[key])
    for key, zero in node.go.always.items():
        if result.get(key) is None:
            result[key] = zero


def _normal_item(item: Any, node: Node) -> Any:
    """An entry of a list or map; one that is null is a zero value in Go."""
    if item is not None or node.nullable:
        return normalise(item, node)
    if node.shape is Shape.STRUCT:
        return normalise({}, node)
    return _ZEROS.get(node.scalar) if node.shape is Shape.SCALAR else None


_ZEROS: dict[str, Any] = {"string": "", "integer": 0, "number": 0, "boolean": False}


def missing_fields(value: Any, node: Node, path: str = "") -> Iterator[str]:
    """Paths of the required fields that a stored form lacks; a status may be unfinished."""
    if isinstance(value, dict):
        for key in sorted(node.required):
            if key not in value or (node.go is not None and _is_unset(value[key])):
                yield f"{path}.{key}" if path else key
        for key, item in value.items():
            inner = node.child(key)
            if inner is not None and (path or key not in ("status", "metadata")):
                yield from missing_fields(item, inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from missing_fields(item, node.item(), f"{path}[{index}]")


def _is_unset(value: Any) -> bool:
    """What Go writes for a required field that nobody set; a number may well be meant."""
    return value is None or value == "" or value == []


def _is_left_out(node: Node, inner: Node, key: str, item: Any) -> bool:
    """Go's `omitempty`: nulls, empty lists and maps, and zeros of fields without a pointer."""
    if item is None:
        return not (inner.nullable or node.shape is not Shape.STRUCT or node.open)
    if node.go is None:
        return False
    if item == [] or (item == {} and inner.shape is Shape.MAP):
        return True
    zero = node.go.omitted.get(key)
    return zero is not None and item == zero and type(item) is type(zero)
