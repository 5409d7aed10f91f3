"""What the full model has and the engine does not honour yet: refused by name, never ignored.

A path names a field (`invariants`) or one value of it (`membership.unmatched=Fail`); list positions
are left out. Whoever makes one work takes its line out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

NOT_YET: frozenset[str] = frozenset(
    {
        # failure, supersede, decisions
        # caps, removal, connectivity
        # plan and stages
    }
)
_ON_THE_WAY = frozenset(
    path[:cut] for path in NOT_YET for cut, letter in enumerate(path) if letter in ".="
)


def not_yet(spec: Any) -> Iterator[str]:
    """Every place of a document that says something of `NOT_YET`, as `spec.stages[0].order`."""
    yield from _look(spec, "spec", "")


def without(spec: Any) -> Any:
    """The document without what is not honoured yet: for presets, which say what they will be."""
    return _kept(spec, "")


def _kept(value: Any, path: str) -> Any:
    if isinstance(value, Mapping):
        found = {}
        for key, inner in value.items():
            here = f"{path}.{key}" if path else str(key)
            if here not in NOT_YET and f"{here}={inner}" not in NOT_YET:
                found[key] = _kept(inner, here)
        return found
    if isinstance(value, list):
        return [kept for inner in value if (kept := _kept(inner, path)) != {}]
    return value


def _look(value: Any, place: str, path: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            here = f"{path}.{key}" if path else str(key)
            if here in NOT_YET:
                yield f"{place}.{key}"
            elif isinstance(inner, str) and f"{here}={inner}" in NOT_YET:
                yield f"{place}.{key}: {inner}"
            elif here in _ON_THE_WAY:
                yield from _look(inner, f"{place}.{key}", here)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _look(inner, f"{place}[{index}]", path)
