"""Sets of fields, in the very form that `managedFields` stores them (FieldsV1).

A set is a trie of path elements: `f:name` a field or map key, `k:{…}` an item of a list map,
`v:…` an item of a set. An empty node is a member; a node with children is a member only if it
has the child `.` too::

    {"f:spec": {"f:replicas": {}, "f:template": {…'k:{"name":"web"}': {".": {}, "f:image": {}}…}}}

All operations are pure and may share nodes with their arguments, so nodes are never changed once
made. Results are normal: no empty branches, and `{}` rather than `{".": {}}`; so equal sets are
equal dicts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

FieldSet = dict[str, Any]
SELF = "."
_MEMBER: FieldSet = {SELF: {}}


def node_of(children: FieldSet, *, member: bool) -> FieldSet | None:
    """The node with these children; `None` if there is nothing to record."""
    if not children:
        return {} if member else None
    return {SELF: {}, **children} if member else children


def union(one: FieldSet, other: FieldSet) -> FieldSet:
    """Members of either."""
    if not one or not other:
        return one or other
    result = dict(one)
    for key, node in other.items():
        mine = result.get(key)
        if mine is None:
            result[key] = node
        elif mine or node:
            result[key] = union(mine or _MEMBER, node or _MEMBER)
    return result


def difference(one: FieldSet, other: FieldSet) -> FieldSet:
    """Members of `one` that are not members of `other`."""
    result: FieldSet = {}
    for key, node in one.items():
        theirs = other.get(key)
        if theirs is None:
            result[key] = node
        elif node or theirs:
            _put(result, key, difference(node or _MEMBER, theirs or _MEMBER))
    return result


def intersection(one: FieldSet, other: FieldSet) -> FieldSet:
    """Members of both."""
    result: FieldSet = {}
    for key, node in one.items():
        theirs = other.get(key)
        if theirs is None:
            continue
        if not node and not theirs:
            result[key] = {}
        else:
            _put(result, key, intersection(node or _MEMBER, theirs or _MEMBER))
    return result


def _put(result: FieldSet, key: str, children: FieldSet) -> None:
    if children:
        result[key] = {} if len(children) == 1 and SELF in children else children


def without(fields: FieldSet, *paths: tuple[str, ...]) -> FieldSet:
    """The set less everything at or below the given paths of plain field names."""
    for path in paths:
        fields = _without_path(fields, tuple(f"f:{name}" for name in path))
    return fields


def _without_path(fields: FieldSet, path: tuple[str, ...]) -> FieldSet:
    node = fields.get(path[0])
    if node is None:
        return fields
    rest = {key: value for key, value in fields.items() if key != path[0]}
    if len(path) > 1 and node:
        _put(rest, path[0], _without_path(node, path[1:]))
    return rest


def is_member(node: FieldSet) -> bool:
    """Whether the node itself (not just something below it) is in the set."""
    return not node or SELF in node


def readable_paths(fields: FieldSet, prefix: str = "") -> Iterator[str]:
    """The members as Kubernetes prints them: `.spec.containers[name="web"].image`."""
    for key, node in sorted(fields.items()):
        if key == SELF:
            continue
        path = prefix + readable_element(key)
        if is_member(node):
            yield path
        yield from readable_paths(node, path)


def readable_element(element: str) -> str:
    """A path element as Kubernetes prints it."""
    tag, _, rest = element.partition(":")
    if tag == "f":
        return f".{rest}"
    if tag == "v":
        return f"[={rest}]"
    pairs = orjson.loads(rest)
    return "[" + ",".join(f"{key}={orjson.dumps(pairs[key]).decode()}" for key in pairs) + "]"


def field_element(name: str) -> str:
    """The path element of a field or map key."""
    return f"f:{name}"


def key_element(pairs: dict[str, Any]) -> str:
    """The path element of a list map's item, from its key fields and their values."""
    return "k:" + orjson.dumps(pairs, option=orjson.OPT_SORT_KEYS).decode()


def value_element(value: Any) -> str:
    """The path element of a set's item."""
    return "v:" + orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()
