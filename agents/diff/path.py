"""Where a field is: names, list-map keys and indices, as the user reads it and as managedFields do.

("spec", "containers", Key((("name", "app"),)), "image")  ↔  spec.containers[name=app].image
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson

_PLAIN = re.compile(r"[A-Za-z0-9_-]+\Z")


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """One element of a list that is a map: the fields that name it, sorted."""

    fields: tuple[tuple[str, Any], ...]

    @classmethod
    def of(cls, element: dict[str, Any], names: tuple[str, ...]) -> Key:
        """The key of `element` by the fields `names` that it has."""
        return cls(tuple(sorted((name, element[name]) for name in names if name in element)))

    def is_in(self, name: str) -> bool:
        """Is this the element that managedFields call `name` (`k:{"name":"app"}`)?"""
        said = orjson.loads(name[2:])
        return all(said.get(field) == value for field, value in self.fields)


Segment = str | int | Key
Path = tuple[Segment, ...]


def path_text(path: Path) -> str:
    """As shown to people: `spec.template.spec.containers[name=app].image`."""
    text = ""
    for segment in path:
        if isinstance(segment, int):
            text += f"[{segment}]"
        elif isinstance(segment, Key):
            text += "[" + ",".join(f"{name}={value}" for name, value in segment.fields) + "]"
        elif _PLAIN.match(segment):
            text += f".{segment}" if text else segment
        else:
            text += f"[{segment!r}]"
    return text


def managers_of(managed_fields: list[dict[str, Any]], path: Path) -> list[str]:
    """Managers that own the field at `path`, or the atomic value it is in; the latest first."""
    found = [
        (entry.get("time") or "", entry.get("manager") or "")
        for entry in managed_fields
        if _owns(entry.get("fieldsV1") or {}, path)
    ]
    return [manager for _, manager in sorted(found, reverse=True)]


def others_own(managed_fields: list[dict[str, Any]], path: Path, ours: str) -> bool:
    """Does a manager other than `ours` own just this field, so that it stays if we let go?

    What lies in an atomic value has no owner of its own: who writes it writes all of it.
    """
    return any(
        entry.get("manager") != ours and _child_at(entry.get("fieldsV1") or {}, path) is not None
        for entry in managed_fields
    )


def _child_at(node: Any, path: Path) -> Any:
    for segment in path:
        if node is not None:
            node = _child(node, segment)
    return node


def _owns(fields: dict[str, Any], path: Path) -> bool:
    node: Any = fields
    for segment in path:
        if node == {} and node is not fields:
            return True
        node = _child(node, segment)
        if node is None:
            return False
    return True


def _child(node: dict[str, Any], segment: Segment) -> Any:
    if isinstance(segment, str):
        return node.get(f"f:{segment}")
    if isinstance(segment, int):
        return node.get(f"i:{segment}")
    for name, child in node.items():
        if name.startswith("k:") and segment.is_in(name):
            return child
    return None
