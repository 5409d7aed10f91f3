"""Values with a schema: which fields they have, and how two of them merge and differ.

This is Kubernetes' structured-merge-diff, over plain JSON values and `schema.Node`::

    fields_of(value)        the set of fields that a manager applies by sending `value`
    merge(live, applied)    applied wins; maps and list maps merge, atomic values are replaced
    compare(old, new)       added, modified and removed fields
    remove(value, fields)   the value less those fields
    named(fields)           the set, with the struct fields on the way to its members

Order of list maps: applied items in their own order, live ones kept where they stood.

Never changes its arguments. Results may share parts with them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from clusters.simulation.server.fieldsets import (
    SELF,
    FieldSet,
    field_element,
    is_member,
    key_element,
    node_of,
    readable_element,
    value_element,
)
from clusters.simulation.server.schema import Node, Shape, key_default


class ItemKeyError(ValueError):
    """An item of a list map lacks its key, or two have the same; the message says which."""


def granular(node: Node, value: Any) -> bool:
    """Whether the parts of this value are merged and owned one by one."""
    if isinstance(value, dict):
        return not node.atomic and node.shape is not Shape.SCALAR
    return isinstance(value, list) and node.shape is Shape.LIST and node.list_type != "atomic"


def item_element(node: Node, item: Any) -> str:
    """The path element of an item of a granular list.

    Errors: `ItemKeyError` if a key field is missing and has no default.
    """
    if node.list_type == "set":
        return value_element(item)
    if not isinstance(item, dict):
        raise ItemKeyError(f"an item is {item!r}, not an object")
    pairs = {}
    for key in node.keys:
        value = item.get(key)
        pairs[key] = key_default(node, key) if value is None else value
        if pairs[key] is None and len(node.keys) == 1:
            raise ItemKeyError(f'an item omits the key field "{key}"')
    return key_element({key: value for key, value in pairs.items() if value is not None})


class Repeated(tuple[Any, ...]):
    """Items of a live list that have the same key: compared as one, owned as one."""


def _parts(node: Node, value: Any) -> dict[str, tuple[Any, Node]]:
    """The parts of a granular value by path element, each with its schema."""
    if isinstance(value, dict):
        return {
            field_element(key): (item, node.child(key) or _NO_SCHEMA) for key, item in value.items()
        }
    inner = node.item()
    parts: dict[str, tuple[Any, Node]] = {}
    for item in value or ():
        element = item_element(node, item)
        known = parts.get(element)
        if known is not None:
            before = known[0] if isinstance(known[0], Repeated) else (known[0],)
            item = Repeated((*before, item))
        parts[element] = (item, inner)
    return parts


_NO_SCHEMA = Node(Shape.ANY)


def check_items(value: Any, node: Node, path: str = "") -> None:
    """Refuse an applied value of which two items of a list have the same key.

    Errors: `ItemKeyError`.
    """
    if not granular(node, value):
        return
    for element, (part, inner) in _parts(node, value).items():
        if isinstance(part, Repeated):
            raise ItemKeyError(f"{path}: duplicate entries for key {readable_element(element)}")
        check_items(part, inner, path + readable_element(element))


def fields_of(value: Any, node: Node) -> FieldSet:
    """The fields that `value` has: leaves, items, keys of maps; structs only by their fields.

    Errors: `ItemKeyError`.
    """
    result: FieldSet = {}
    for element, (part, inner) in _parts(node, value).items():
        if not granular(inner, part):
            result[element] = {}
            continue
        # An empty map is owned as such, an empty list is not: it has nothing to own.
        whole = not _is_declared(node, element) or part == {}
        child = node_of(fields_of(part, inner), member=whole)
        if child is not None:
            result[element] = child
    return result


def _is_declared(node: Node, element: str) -> bool:
    """Whether a path element is a field that the schema declares (not a map's key or an item)."""
    return node.shape is Shape.STRUCT and element[:2] == "f:" and element[2:] in node.fields


def merge(live: Any, applied: Any, node: Node) -> Any:
    """`applied` over `live`. Errors: `ItemKeyError`."""
    if applied is None and live and granular(node, live):
        return live  # a null has no items to set, and takes none away
    if type(live) is not type(applied) or not granular(node, applied):
        return applied
    if isinstance(applied, list):
        return _merge_items(live, applied, node)
    result = dict(live)
    for key, value in applied.items():
        inner = node.child(key) or _NO_SCHEMA
        result[key] = merge(live[key], value, inner) if key in live else value
    return result


def _merge_items(live: list[Any], applied: list[Any], node: Node) -> list[Any]:
    theirs = [(item_element(node, item), item) for item in live]
    by_element = dict(theirs)
    mine = {item_element(node, item): item for item in applied}
    places = {element: place for place, (element, _) in enumerate(theirs)}
    merged: list[Any] = []
    position = 0
    for element, item in mine.items():
        place = places.get(element, -1)
        # Live items stay ahead of whatever they stood ahead of, as far as the orders agree.
        while position < len(theirs) and (theirs[position][0] not in mine or position < place):
            if theirs[position][0] not in mine:
                merged.append(theirs[position][1])
            position += 1
        merged.append(merge(by_element[element], item, node.item()) if place >= 0 else item)
        position += 1 if position == place else 0
    merged.extend(item for element, item in theirs[position:] if element not in mine)
    return merged


@dataclass(slots=True)
class Comparison:
    """What differs between an old and a new value."""

    added: FieldSet = field(default_factory=dict)
    modified: FieldSet = field(default_factory=dict)
    removed: FieldSet = field(default_factory=dict)

    def is_same(self) -> bool:
        """Whether nothing differs."""
        return not (self.added or self.modified or self.removed)


def compare(old: Any, new: Any, node: Node) -> Comparison:
    """The fields that differ. Both values are objects or both lists, and granular.

    `None` stands for an empty one.
    """
    result = Comparison()
    before, after = _parts(node, old), _parts(node, new)
    for element, (value, inner) in after.items():
        if element not in before:
            result.added[element] = _everything(value, inner)
        else:
            _compare_part(result, element, before[element][0], value, inner)
    for element, (value, inner) in before.items():
        if element not in after:
            result.removed[element] = _everything(value, inner)
    return result


def _compare_part(result: Comparison, element: str, old: Any, new: Any, node: Node) -> None:
    if old == new and type(old) is type(new):
        return
    if isinstance(old, Repeated) != isinstance(new, Repeated):
        result.removed[element] = _everything(old, node)
        result.added[element] = _everything(new, node)
    elif _nestable(node, old, new):
        _nest(result, element, compare(old, new, node))
    else:
        result.modified[element] = {}


def _nestable(node: Node, old: Any, new: Any) -> bool:
    """Whether two values differ by their parts; a null is as good as an empty list or map."""
    if not (old or new):
        return False
    before, after = new if old is None else old, old if new is None else new
    return type(before) is type(after) and granular(node, before) and granular(node, after)


def _nest(result: Comparison, element: str, inner: Comparison) -> None:
    for target, part in (
        (result.added, inner.added),
        (result.modified, inner.modified),
        (result.removed, inner.removed),
    ):
        if part:
            target[element] = part


def _everything(value: Any, node: Node) -> FieldSet:
    """The node for a value that came or went whole: itself and all below it."""
    if not granular(node, value) or not value:
        return {}
    children = {
        element: _everything(part, inner) for element, (part, inner) in _parts(node, value).items()
    }
    return {SELF: {}, **children}


def remove(value: Any, fields: FieldSet, node: Node) -> Any:
    """`value` without the members of `fields`, and without what is below them."""
    if not fields or not granular(node, value):
        return value
    if isinstance(value, list):
        kept = []
        for item in value:
            below = fields.get(item_element(node, item))
            if below is None:
                kept.append(item)
            elif not is_member(below):
                kept.append(remove(item, below, node.item()))
        return kept
    result = {}
    for key, item in value.items():
        below = fields.get(field_element(key))
        if below is None:
            result[key] = item
        elif not is_member(below):
            result[key] = remove(item, below, node.child(key) or _NO_SCHEMA)
    return result


def named(fields: FieldSet, node: Node) -> FieldSet:
    """The set with every declared field that leads to a member made a member itself."""
    result: FieldSet = {}
    for element, below in fields.items():
        if element == SELF or not below:
            result[element] = below
            continue
        inner, is_field = _inner(node, element)
        child = named(below, inner)
        result[element] = {SELF: {}, **child} if is_field and SELF not in child else child
    return result


def _inner(node: Node, element: str) -> tuple[Node, bool]:
    """The schema below a path element, and whether the element is a declared field."""
    if not element.startswith("f:"):
        return node.item(), False
    return node.child(element[2:]) or _NO_SCHEMA, _is_declared(node, element)
