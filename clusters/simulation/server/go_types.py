"""What Kubernetes' Go types say that its published schemas do not: what is written when empty.

A JSON field of a Go struct is left out when it is zero (`omitempty`) or is written all the same; a
struct that is held by value is always there. Clients see both in every object that they read, and
`managedFields` follow them. `go_types.txt` has a line for each type of k8s.io/api 0.37, apart from
previews: the definition's name without `io.k8s.`, and its fields by letter; the command
`python -m tests.go_types_generation` writes it from the published sources::

    {  a struct held by value: always there
    S I B Q N    written when zero: "", 0, false, quantity "0", null (a list, map or pointer)
    s i b        left out when zero

Every other field is left out when it is not set, and kept when it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

_ALWAYS: dict[str, Any] = {"S": "", "I": 0, "B": False, "Q": "0", "N": None}
_OMITTED: dict[str, Any] = {"s": "", "i": 0, "b": False}
_PREFIX = "io.k8s."


@dataclass(frozen=True, slots=True)
class GoType:
    """One struct."""

    structs: tuple[str, ...]
    """Fields that are structs held by value."""
    always: dict[str, Any]
    """Fields that are written when they are not set, with what is written then."""
    omitted: dict[str, Any]
    """Fields that are left out when they have this value."""


@cache
def _table() -> dict[str, GoType]:
    text = Path(__file__).with_suffix(".txt").read_text("utf-8")
    return dict(_row(line) for line in text.splitlines())


def _row(line: str) -> tuple[str, GoType]:
    name, *groups = line.split()
    fields: dict[str, tuple[str, ...]] = {}
    for group in groups:
        letter, _, names = group.partition(":")
        fields[letter] = tuple(names.split(","))
    return name, GoType(
        structs=fields.get("{", ()),
        always={key: zero for letter, zero in _ALWAYS.items() for key in fields.get(letter, ())},
        omitted={key: zero for letter, zero in _OMITTED.items() for key in fields.get(letter, ())},
    )


_UNKNOWN = GoType((), {}, {})


def go_type(definition: str) -> GoType:
    """The type behind a published definition; one without such fields if it is not known."""
    return _table().get(definition.removeprefix(_PREFIX), _UNKNOWN)
