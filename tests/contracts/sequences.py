"""Sequences of operations that are tried on two API servers, as Hypothesis strategies.

One sequence is about one kind: a few objects of it, written, read and deleted by several
managers. What is written is the kind's specimen (`specimens.yaml`) with a few changes, so that a
failing sequence prints as a handful of short lines::

    Apply('ConfigMap', 'a', [metadata/labels/color=red], manager='m')
    Merge('ConfigMap', 'a', [data/x=2], manager='n')

Never knows a server: `requests.py` makes HTTP requests of operations.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from clusters.objects import Object, read_yaml

HERE = Path(__file__).parent
NAMES = ("a", "b")
MANAGERS = ("m", "n", "o")
LEAVE_OUT = ...


class Change:
    """A path into an object, and the value to put there; or to leave out what is there."""

    def __init__(self, path: str, *value: Any) -> None:
        self.steps = tuple(part.replace("~1", "/") for part in path.split("/"))
        self.value = value[0] if value else LEAVE_OUT
        self.path = path

    def __repr__(self) -> str:
        shown = "" if self.value is LEAVE_OUT else f"={self.value!r}"
        return f"{'-' if self.value is LEAVE_OUT else ''}{self.path}{shown}"

    def made_in(self, obj: Object) -> None:
        """Change `obj` in place; a path that cannot be gone is left alone."""
        at: Any = obj
        for step in self.steps[:-1]:
            at = _entered(at, step)
            if at is None:
                return
        _put(at, self.steps[-1], copy.deepcopy(self.value))


def _entered(at: Any, step: str) -> Any:
    if isinstance(at, list):
        return at[int(step)] if step.isdigit() and int(step) < len(at) else None
    if isinstance(at, dict):
        return at.setdefault(step, {})
    return None


def _put(at: Any, step: str, value: Any) -> None:
    if isinstance(at, dict):
        if value is LEAVE_OUT:
            at.pop(step, None)
        else:
            at[step] = value
    elif isinstance(at, list) and step.isdigit():
        place = min(int(step), len(at))
        at[place : place + 1] = [] if value is LEAVE_OUT else [value]


@dataclass(frozen=True)
class Specimen:
    """One kind: an object that is right, and what may be changed in it."""

    base: Object
    changes: tuple[Change, ...]
    plural: str
    namespaced: bool

    @property
    def kind(self) -> str:
        """The kind's name."""
        return str(self.base["kind"])

    def with_changes(self, changes: Sequence[Change]) -> Object:
        """A copy of the base, changed."""
        obj = copy.deepcopy(self.base)
        obj.setdefault("metadata", {})
        for change in changes:
            change.made_in(obj)
        return obj


_CLUSTER_WIDE = ("StorageClass", "PriorityClass", "ClusterRole", "Namespace")
_PLURALS = {"Ingress": "ingresses", "NetworkPolicy": "networkpolicies"}
ABOUT_METADATA = (
    Change("metadata/labels/color", "red"),
    Change("metadata/labels/color", "blue"),
    Change("metadata/labels/color", ""),
    Change("metadata/labels/color", None),
    Change("metadata/labels/color", 5),
    Change("metadata/labels/color", "bad value!"),
    Change("metadata/labels/bad key!", "x"),
    Change("metadata/labels", {}),
    Change("metadata/labels", None),
    Change("metadata/annotations/note", "one"),
    Change("metadata/annotations/note", "two"),
    Change("metadata/annotations/note", True),
    Change("metadata/annotations/bad key!", "x"),
    Change("metadata/annotations", {}),
    Change("metadata/finalizers", ["example.com/hold"]),
    Change("metadata/finalizers", ["example.com/more", "example.com/hold"]),
    Change("metadata/finalizers", []),
    Change("metadata/finalizers", None),
    Change("metadata/finalizers", ["bad"]),
    Change("metadata/finalizers", ["bad value!"]),
    Change("metadata/generation", 7),
    Change("metadata/creationTimestamp", "2020-01-01T00:00:00Z"),
    Change("metadata/creationTimestamp", None),
    Change("metadata/deletionTimestamp", "2020-01-01T00:00:00Z"),
    Change("metadata/uid", "00000000-0000-0000-0000-000000000000"),
    Change("metadata/resourceVersion", "1"),
    Change("metadata/managedFields", []),
    Change("metadata/managedFields", [{"manager": "x"}]),
    Change("metadata/generateName", "gen-"),
    Change("metadata/unknown", 1),
    Change("metadata/selfLink", "/x"),
    Change(
        "metadata/ownerReferences",
        [{"apiVersion": "v1", "kind": "ConfigMap", "name": "own", "uid": "u-1"}],
    ),
    Change("metadata/ownerReferences", [{"apiVersion": "v1", "kind": "ConfigMap", "name": "own"}]),
    Change("metadata/ownerReferences", [{"kind": "ConfigMap", "name": "own", "uid": "u-1"}]),
    Change("apiVersion", "v9"),
    Change("kind", "Odd"),
    Change("apiVersion"),
    Change("kind"),
)


@cache
def specimens() -> dict[str, Specimen]:
    """The kinds by name."""
    found = {}
    for entry in read_yaml((HERE / "specimens.yaml").read_bytes()):
        kind = entry["base"]["kind"]
        changes = tuple(Change(*change) for change in entry["changes"])
        plural = _PLURALS.get(kind, kind.lower() + ("es" if kind.endswith("s") else "s"))
        found[kind] = Specimen(entry["base"], changes, plural, kind not in _CLUSTER_WIDE)
    return found


def widgets() -> Object:
    """The definition of the specimen `Widget`."""
    loaded: Object = read_yaml((HERE / "widgets.yaml").read_bytes())
    return loaded


@dataclass(frozen=True)
class Operation:
    """One request to make. What does not fit its verb is left alone."""

    verb: str
    kind: str
    name: str = "a"
    changes: tuple[Change, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        options = "".join(f", {key}={value!r}" for key, value in self.options.items())
        changes = f", {list(self.changes)}" if self.changes else ""
        return f"{self.verb}({self.kind} {self.name}{changes}{options})"


READS = ("get", "list")
WRITES = ("apply", "create", "update", "merge", "strategic", "json")
_LEFT_OUT = {
    "Widget": ("merge scale", "get scale", "apply status"),
    "Service": ("update status", "apply status"),
}
SUBRESOURCES = ("apply status", "update status", "merge status", "merge scale", "get scale")


def _changes(specimen: Specimen) -> st.SearchStrategy[tuple[Change, ...]]:
    one = st.one_of(st.sampled_from(specimen.changes), st.sampled_from(ABOUT_METADATA))
    weighted = st.one_of(st.sampled_from(specimen.changes), one)
    return st.lists(weighted, max_size=3).map(tuple)


_FLAG = st.sampled_from((False, False, False, True))


@st.composite
def writes(draw: st.DrawFn, specimen: Specimen) -> Operation:
    """An operation that changes an object, or is refused."""
    left_out = _LEFT_OUT.get(specimen.kind, ())
    subresources = [verb for verb in SUBRESOURCES if verb not in left_out]
    verb = draw(st.sampled_from(("apply", "apply", *WRITES, *subresources)))
    options: dict[str, Any] = {"manager": draw(st.sampled_from(MANAGERS))}
    if draw(_FLAG):
        options["dry_run"] = True
    if verb.startswith("apply") and draw(st.booleans()):
        options["force"] = True
    if not verb.startswith("apply") and draw(_FLAG):
        options["validation"] = draw(st.sampled_from(("Strict", "Ignore", "Odd")))
    name = draw(st.sampled_from(("a", *NAMES)))
    changes = draw(_changes(specimen))
    stored = "dry_run" not in options
    changes = tuple(change for change in changes if not _is_left_out(verb, change, stored))
    return Operation(verb, specimen.kind, name, changes, options)


def _is_left_out(verb: str, change: Change, stored: bool) -> bool:
    """Changes on which a real server stumbles where another answer was due."""
    if change.path in ("apiVersion", "kind"):
        return " " in verb or (change.path == "apiVersion" and change.value is LEAVE_OUT)
    if change.path in ("metadata/resourceVersion", "metadata/generateName"):
        return verb == "create"
    if change.path == "metadata/selfLink":
        return " " in verb or (verb == "apply" and stored)
    return verb == "strategic" and change.path == "metadata/ownerReferences"


@st.composite
def deletes(draw: st.DrawFn, specimen: Specimen) -> Operation:
    """A delete, maybe with preconditions."""
    options: dict[str, Any] = {}
    for name in ("uid", "resourceVersion"):
        if draw(_FLAG):
            options[name] = draw(st.sampled_from(("right", "wrong")))
    if draw(_FLAG):
        options["dry_run"] = True
    if draw(_FLAG):
        options["propagation"] = draw(st.sampled_from(("Background", "Odd")))
    name = draw(st.sampled_from(("a", *NAMES)))
    return Operation("delete", specimen.kind, name, (), options)


@st.composite
def reads(draw: st.DrawFn, specimen: Specimen) -> Operation:
    """A get or a list, in one of the forms."""
    verb = draw(st.sampled_from(READS))
    options: dict[str, Any] = {"form": draw(st.sampled_from(("", "Partial")))}
    if verb == "list" and not specimen.namespaced:
        verb = "get"
    if verb == "list":
        labels = (
            "",
            "color=red",
            "color!=red",
            "color in (red,blue)",
            "!color",
            "color",
            "a=(",
            "=",
        )
        options["labels"] = draw(st.sampled_from(labels))
        fields = ("", "", "metadata.name={a}", "metadata.name!={a}", "spec.odd=1", "metadata.name")
        options["fields"] = draw(st.sampled_from(fields))
        options["limit"] = draw(st.sampled_from((0, 1)))
    return Operation(verb, specimen.kind, draw(st.sampled_from(NAMES)), (), options)


@st.composite
def sequences(draw: st.DrawFn, kinds: Sequence[str] = ()) -> list[Operation]:
    """Operations on one kind, the first of which often makes an object."""
    specimen = specimens()[draw(st.sampled_from(kinds or sorted(specimens())))]
    steps = st.one_of(writes(specimen), writes(specimen), deletes(specimen), reads(specimen))
    if specimen.kind == "Namespace":
        steps = st.one_of(writes(specimen), writes(specimen), reads(specimen))
    first = Operation("apply", specimen.kind, "a", draw(_changes(specimen)), {"manager": "m"})
    return [first, *draw(st.lists(steps, min_size=1, max_size=8))]
