"""Fields that are somebody else's, left as they are in the live object. Pure.

    ignored_paths     rules of the bundle → the places in this object that they name
    left_to_others    the wanted object with those places as they are live

Left as it is means: neither compared nor overwritten. What another manager owns is left out of
the apply, so that it is that manager's alone; what only we own is applied as it is, since leaving
it out would remove it; what is not there is not made. A missing object is made as wanted.

Never lets go of an object's identity, nor of the label that says whose it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from agents.diff.lists import element_key, is_keyed, map_keys
from agents.diff.path import Key, Path, others_own
from agents.protocol import IgnoreRule
from agents.protocol.expressions import jq_paths, pointer_tokens
from clusters.objects import Object

OWNER_LABEL = "applyset.kubernetes.io/part-of"
_KEPT: frozenset[Path] = frozenset(
    {
        ("apiVersion",),
        ("kind",),
        ("metadata", "name"),
        ("metadata", "namespace"),
        ("metadata", "labels", OWNER_LABEL),
    }
)
_GONE: Final = object()
"""No value at all, not even null."""


def ignored_paths(
    rules: Iterable[IgnoreRule], wanted: Object, live: Object, kind: str
) -> tuple[Path, ...]:
    """Where the rules point in `wanted`; an element of a list that is a map is named by its key.

    Pointers are read in the wanted object, jq in both. `kind` is empty for custom resources.
    """
    found: dict[Path, None] = {}
    for rule in rules:
        if rule.everything:
            return ((),)
        for pointer in rule.pointers:
            found |= dict.fromkeys(_located(wanted, _tokens(pointer), kind))
        for expression in rule.jq:
            for side in (wanted, live):
                for tokens in jq_paths(expression, side):
                    found |= dict.fromkeys(_located(side, tokens, kind))
        for manager in rule.managers:
            found |= dict.fromkeys(_owned_by(manager, wanted, live, kind))
    return tuple(found)


def _tokens(pointer: str) -> tuple[str, ...]:
    """A pointer that the hub would have refused names nothing."""
    try:
        return pointer_tokens(pointer)
    except ValueError:
        return ("",)


def _located(document: Any, tokens: Iterable[str | int], kind: str) -> Iterator[Path]:
    """The tokens as a path, if they lead somewhere."""
    path: Path = ()
    for token in tokens:
        if isinstance(document, list):
            index = _index(token, len(document))
            if index is None:
                return
            names = map_keys(path, kind) if kind else ()
            keyed = is_keyed(document, names)
            document = document[index]
            path = (*path, element_key(document, names) if keyed else index)
        elif isinstance(document, dict) and token in document:
            document = document[token]
            path = (*path, token)
        else:
            return
    yield path


def _index(token: str | int, length: int) -> int | None:
    """Pointers count from 0 in plain decimals; jq also counts from the end."""
    if isinstance(token, str):
        if not (token.isascii() and token.isdecimal()) or (token[0] == "0" and token != "0"):
            return None
        token = int(token) if len(token) < 10 else length
    token = token + length if token < 0 else token
    return token if 0 <= token < length else None


def _owned_by(manager: str, wanted: Object, live: Object, kind: str) -> Iterator[Path]:
    for entry in live["metadata"].get("managedFields") or []:
        if entry.get("manager") == manager:
            yield from _owned(wanted, entry.get("fieldsV1") or {}, (), kind)


def _owned(wanted: Any, fields: dict[str, Any], path: Path, kind: str) -> Iterator[Path]:
    """The wanted leaves that these managed fields name."""
    if not set(fields) - {"."}:
        if path:
            yield path
        return
    for segment, item in _children(wanted, path, kind):
        child = fields.get(f"f:{segment}") if isinstance(segment, str) else None
        if isinstance(segment, Key):
            child = next(
                (fields[n] for n in fields if n.startswith("k:") and segment.is_in(n)), None
            )
        if child is not None:
            yield from _owned(item, child, (*path, segment), kind)


def _children(value: Any, path: Path, kind: str) -> Iterator[tuple[str | Key, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        names = map_keys(path, kind) if kind else ()
        if is_keyed(value, names):
            yield from ((element_key(item, names), item) for item in value)


def left_to_others(
    wanted: Object, live: Object, paths: Iterable[Path], manager: str, kind: str
) -> Object:
    """A copy of `wanted` that agrees with `live` in all of `paths`; `manager` is our own."""
    managed = live["metadata"].get("managedFields") or []
    yielding = _Yielding(managed, manager, kind)
    for path in paths:
        wanted = yielding.at(path, (), wanted, live)
    return wanted


class _Yielding:
    """Gives way in one object."""

    def __init__(self, managed: list[dict[str, Any]], manager: str, kind: str) -> None:
        self._managed = managed
        self._manager = manager
        self._kind = kind

    def at(self, rest: Path, path: Path, wanted: Any, live: Any) -> Any:
        """`wanted` with what lies at `rest` below it as in `live`."""
        if not rest:
            return self._as_live(path, wanted, live)
        below, here = rest[1:], (*path, rest[0])
        if isinstance(wanted, dict) and isinstance(rest[0], str) and rest[0] in wanted:
            there = live.get(rest[0], _GONE) if isinstance(live, dict) else _GONE
            value = self.at(below, here, wanted[rest[0]], there)
            return _put(wanted, rest[0], value, live)
        if isinstance(wanted, list):
            for place, item in enumerate(wanted):
                if self._is(rest[0], wanted, path, place):
                    value = self.at(below, here, item, self._like(rest[0], live, path))
                    kept = [] if value is _GONE else [value]
                    return [*wanted[:place], *kept, *wanted[place + 1 :]]
        return wanted

    def _is(self, segment: Any, elements: list[Any], path: Path, place: int) -> bool:
        if isinstance(segment, Key):
            names = map_keys(path, self._kind)
            return is_keyed(elements, names) and element_key(elements[place], names) == segment
        return bool(segment == place)

    def _like(self, segment: Any, live: Any, path: Path) -> Any:
        """The element of the live list that the segment names."""
        if isinstance(live, list):
            for place, item in enumerate(live):
                if self._is(segment, live, path, place):
                    return item
        return _GONE

    def _as_live(self, path: Path, wanted: Any, live: Any) -> Any:
        if path in _KEPT:
            return wanted
        if isinstance(wanted, dict) and (isinstance(live, dict) or not path):
            for name in wanted:
                there = live.get(name, _GONE)
                value = self._as_live((*path, name), wanted[name], there)
                wanted = _put(wanted, name, value, live)
            return wanted
        if live is _GONE:
            return _without_kept(path, wanted)
        names = map_keys(path, self._kind) if self._kind else ()
        if isinstance(wanted, list) and isinstance(live, list) and is_keyed(wanted, names):
            return [
                kept
                for item in wanted
                if (kept := self._element(path, item, live, names)) is not _GONE
            ]
        if others_own(self._managed, path, self._manager):
            return _GONE
        return live

    def _element(self, path: Path, item: Any, live: list[Any], names: tuple[str, ...]) -> Any:
        key = element_key(item, names)
        there = self._like(key, live, path)
        if there is _GONE:
            return _GONE
        kept = {name: item[name] for name in names if name in item}
        return {**self._as_live((*path, key), item, there), **kept}


def _put(wanted: Object, name: str, value: Any, live: Any) -> Any:
    """The map with that entry; one that is empty now goes too, unless it is there live."""
    if value is not _GONE:
        return wanted if wanted[name] is value else {**wanted, name: value}
    left = {key: item for key, item in wanted.items() if key != name}
    return left if left or isinstance(live, dict) else _GONE


def _without_kept(path: Path, wanted: Any) -> Any:
    """Nothing, but for labels among which is the owner's."""
    if path == ("metadata", "labels") and OWNER_LABEL in (wanted or {}):
        return {OWNER_LABEL: wanted[OWNER_LABEL]}
    return _GONE
