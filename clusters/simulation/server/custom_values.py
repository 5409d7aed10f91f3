"""What the schema of a custom kind asks of values: presence, null, enum, pattern, ranges, sizes.

`value_causes` sees an object as it was sent, or as an apply merged it: without defaults, which
it counts as present. Causes have the real server's fields and reasons.

Never looks at metadata, at CEL rules, at `format`, or at allOf, anyOf, oneOf and not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from clusters.objects import Object
from clusters.simulation.server.rejections import (
    Cause,
    duplicate,
    hidden,
    required,
    unsupported,
    wrong,
)
from clusters.simulation.server.schema import Node, Shape


def object_causes(obj: Object, schema: Node) -> list[Cause]:
    """All that is wrong with the values of an object of a custom kind."""
    rest = {key: value for key, value in obj.items() if key not in _NOT_THEIRS}
    causes = list(value_causes(rest, schema, ""))
    return [cause for cause in causes if cause.field not in _NOT_THEIRS]


def replica_causes(obj: Object, paths: tuple[str, ...]) -> list[Cause]:
    """What is wrong with the numbers that a custom kind's scale shows."""
    causes = []
    for path in paths:
        value, found = _at(obj, path.removeprefix(".").split("."))
        if not found:
            continue
        if not isinstance(value, int) or isinstance(value, bool):
            causes.append(wrong(path, 0, f"{path} accessor error: expected int64"))
        elif not 0 <= value < 2**31:
            causes.append(wrong(path, value, "should be a non-negative integer"))
    return causes


def _at(value: Any, steps: list[str]) -> tuple[Any, bool]:
    """What is there, or in the way to it, and whether anything is."""
    for step in steps:
        if value is not None and not isinstance(value, dict):
            return value, True
        if value is None or step not in value:
            return None, False
        value = value[step]
    return value, True


_NOT_THEIRS = ("apiVersion", "kind", "metadata")


def value_causes(value: Any, node: Node, path: str) -> Iterator[Cause]:
    """What is wrong with one value and with all below it; wrong types are `decoding`'s."""
    if value is None:
        if not node.nullable and node.default is None and node.shape is not Shape.ANY:
            yield type_cause(path, "null", node.scalar or _TYPES[node.shape])
        return
    if node.checks:
        yield from _checked(value, node.checks, path)
    if isinstance(value, dict) and node.shape in (Shape.STRUCT, Shape.MAP):
        for key in sorted(node.required):
            inner = node.child(key)
            if key not in value and (inner is None or inner.default is None):
                yield required(f"{path}.{key}" if path else key)
        for key, item in value.items():
            inner = node.child(key)
            if inner is not None:
                yield from value_causes(item, inner, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and node.shape is Shape.LIST:
        yield from _repeated(value, node, path)
        for index, item in enumerate(value):
            yield from value_causes(item, node.item(), f"{path}[{index}]")


def _repeated(value: list[Any], node: Node, path: str) -> Iterator[Cause]:
    """Of a set, and of a map that is written as a list: what is there twice."""
    if node.list_type not in ("set", "map"):
        return
    seen: list[Any] = []
    for index, item in enumerate(value):
        mark = item
        if node.list_type == "map" and isinstance(item, dict):
            mark = {key: item[key] for key in node.keys if key in item}
            if len(mark) < len(node.keys):
                continue
        if mark in seen:
            yield duplicate(f"{path}[{index}]", mark)
        seen.append(mark)


_TYPES = {Shape.STRUCT: "object", Shape.MAP: "object", Shape.LIST: "array", Shape.SCALAR: ""}


def type_causes(wrong_types: Iterable[tuple[str, str, Any]]) -> tuple[Cause, ...]:
    """The causes of (path, type, value) that `decoding` found to be of the wrong type."""
    causes = []
    for path, wanted, value in wrong_types:
        causes.append(type_cause(path, _json_type(value), wanted))
        if wanted == "integer" and isinstance(value, float):
            causes.append(hidden("<nil>", f"Checked value must be of type integer in {path}"))
    return tuple(causes)


def type_cause(path: str, found: str, wanted: str) -> Cause:
    """A value of type `found` where the schema asks for `wanted`."""
    words = f'Invalid value: "{found}": {path} in body must be of type {wanted}: "{found}"'
    return Cause(path, "FieldValueTypeInvalid", words)


def _checked(value: Any, checks: dict[str, Any], path: str) -> Iterator[Cause]:
    if checks.get("x-kubernetes-int-or-string") and not _is_int_or_string(value):
        yield type_cause(path, _json_type(value), "integer,string")
    if "enum" in checks and value not in checks["enum"]:
        yield unsupported(path, value, [str(item) for item in checks["enum"]])
    if isinstance(value, str):
        yield from _text(value, checks, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from _number(value, checks, path)
    elif isinstance(value, list):
        yield from _size(len(value), checks, path, "Items", "items")
    elif isinstance(value, dict):
        yield from _size(len(value), checks, path, "Properties", "properties")


def _is_int_or_string(value: Any) -> bool:
    return isinstance(value, int | str) and not isinstance(value, bool)


def _json_type(value: Any) -> str:
    names: dict[type, str] = {
        str: "string",
        bool: "boolean",
        int: "integer",
        float: "number",
        list: "array",
        dict: "object",
    }
    return names.get(type(value), "null")


def _text(value: str, checks: dict[str, Any], path: str) -> Iterator[Cause]:
    """The first thing that is wrong with it: a server looks no further."""
    pattern = checks.get("pattern")
    most, least = checks.get("maxLength"), checks.get("minLength", 0)
    if most is not None and len(value) > most:
        words = f"Too long: may not be more than {most} bytes"
        yield Cause(path, "FieldValueTooLong", words)
    elif len(value) < least:
        yield wrong(path, value, f"{path} in body should be at least {least} chars long")
    elif pattern is not None and not re.search(pattern, value):
        yield wrong(path, value, f"{path} in body should match '{pattern}'")


def _number(value: float, checks: dict[str, Any], path: str) -> Iterator[Cause]:
    least, most = checks.get("minimum"), checks.get("maximum")
    open_below = bool(checks.get("exclusiveMinimum"))
    open_above = bool(checks.get("exclusiveMaximum"))
    if least is not None and (value < least or (open_below and value == least)):
        relation = "greater than" if open_below else "greater than or equal to"
        yield wrong(path, value, f"{path} in body should be {relation} {least}")
    if most is not None and (value > most or (open_above and value == most)):
        relation = "less than" if open_above else "less than or equal to"
        yield wrong(path, value, f"{path} in body should be {relation} {most}")
    step = checks.get("multipleOf")
    if step and value % step:
        yield wrong(path, value, f"{path} in body should be a multiple of {step}")


def _size(size: int, checks: dict[str, Any], path: str, word: str, things: str) -> Iterator[Cause]:
    most, least = checks.get(f"max{word}"), checks.get(f"min{word}", 0)
    if most is not None and size > most:
        words = f"Too many: {size}: must have at most {most} {things}"
        yield Cause(path, "FieldValueTooMany", words)
    if size < least:
        yield wrong(path, size, f"{path} in body should have at least {least} {things}")
