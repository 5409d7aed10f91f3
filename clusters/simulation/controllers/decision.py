"""What a controller is: a pure function from an object and what is around it to an `Outcome`.

    (object, view, now) → Outcome(writes, again_at, memory)

A view is read only and gives the stored objects themselves. The loop performs the writes; a
controller that is asked again in the middle of its own work yields the rest and repeats nothing,
because it looks at what is there, not at what it once wanted.

Never writes, never keeps a memory of its own: what it must remember is part of the outcome, and
the view gives it back. As with real controllers, it is gone when they are started anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from clusters.objects import Kind, Object, ObjectKey, key_of
from clusters.simulation.controllers.timing import Timing

MANAGER = "kube-controller-manager"


@dataclass(frozen=True, slots=True)
class Create:
    """Make a new object. If one of that name exists and nothing controls it, it is adopted."""

    obj: Object


@dataclass(frozen=True, slots=True)
class Remove:
    """Delete an object and what depends on it."""

    key: ObjectKey


@dataclass(frozen=True, slots=True)
class SetStatus:
    """Make the status of an object equal to `status`, through the status subresource.

    A controller is not asked again for the status that it wrote itself.
    """

    key: ObjectKey
    status: Object


@dataclass(frozen=True, slots=True)
class Merge:
    """Change an object, but not its status, by a merge patch."""

    key: ObjectKey
    patch: Object
    subresource: str = ""


Write = Create | Remove | SetStatus | Merge


@dataclass(frozen=True, slots=True)
class Outcome:
    """What to write, in order, and when to look again if nothing changes before."""

    writes: tuple[Write, ...] = ()
    again_at: datetime | None = None
    memory: Any = None
    """What to remember about the object once all is written; `None`: what there was."""


NOTHING = Outcome()


class View(Protocol):
    """The cluster as a controller sees it."""

    @property
    def timing(self) -> Timing:
        """How long things take."""
        ...

    @property
    def seed(self) -> int:
        """The cluster's dice."""
        ...

    def peek(self, key: ObjectKey) -> Object | None:
        """One stored object."""
        ...

    def peek_all(self, kind: Kind, namespace: str = "") -> list[Object]:
        """The stored objects of a kind."""
        ...

    def content(self, namespace: str) -> Iterator[tuple[str, Object]]:
        """All that is in a namespace, each with its resource: `deployments.apps`, `secrets.`."""
        ...

    def children(self, owner: Object, kind: str) -> list[Object]:
        """The objects of a kind that `owner` controls, by name."""
        ...

    def recall(self, obj: Object) -> Any:
        """What the last outcome for this object left to remember, `None` if none did."""
        ...

    def since(self, obj: Object) -> datetime:
        """When an object was made, more exactly than its creationTimestamp."""
        ...


Controller = Callable[[Object, View, datetime], Outcome]


def stamp(moment: datetime) -> str:
    """A moment as Kubernetes writes it, in whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_stamp(text: str) -> datetime:
    """The moment that `stamp` wrote."""
    return datetime.fromisoformat(text)


def after(moment: datetime, seconds: float) -> datetime:
    """So many seconds later."""
    return moment + timedelta(seconds=seconds)


def earliest(*moments: datetime | None) -> datetime | None:
    """The first of the moments that there are."""
    return min((moment for moment in moments if moment is not None), default=None)


def owner_reference(owner: Object) -> Object:
    """The reference by which an object is controlled."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def controller_of(obj: Object) -> Object | None:
    """The owner reference of the object's controller, if it has one."""
    references = obj["metadata"].get("ownerReferences") or ()
    return next((ref for ref in references if ref.get("controller")), None)


def condition_of(status: Object, type_: str) -> Object | None:
    """The condition of a type in a status."""
    found = (c for c in status.get("conditions") or () if c.get("type") == type_)
    return next(found, None)


def condition(
    old: Object, type_: str, status: str, now: datetime, reason: str = "", message: str = ""
) -> Object:
    """A condition; the time of its last transition is that of `old` unless its status changed.

    `old` is the whole former status of the object.
    """
    before = condition_of(old, type_)
    same = before is not None and before.get("status") == status
    entry: Object = {
        "type": type_,
        "status": status,
        "lastTransitionTime": before["lastTransitionTime"] if before and same else stamp(now),
    }
    return entry | {k: v for k, v in (("reason", reason), ("message", message)) if v}


def set_status(obj: Object, status: Object) -> tuple[Write, ...]:
    """The write that brings an object's status there, none if it is there."""
    if obj.get("status", {}) == status:
        return ()
    return (SetStatus(key_of(obj), status),)


def merge_patch(before: Any, wanted: Any) -> Object:
    """The JSON merge patch from one mapping to another; empty if they are equal."""
    patch: Object = {name: None for name in before if name not in wanted}
    for name, value in wanted.items():
        old = before.get(name)
        if isinstance(value, dict) and isinstance(old, dict):
            inner = merge_patch(old, value)
            if inner:
                patch[name] = inner
        elif name not in before or old != value:
            patch[name] = value
    return patch


def selects(selector: Object | None, labels: dict[str, str]) -> bool:
    """Whether a LabelSelector (matchLabels, matchExpressions) matches; an empty one matches all."""
    selector = selector or {}
    if any(labels.get(k) != v for k, v in (selector.get("matchLabels") or {}).items()):
        return False
    return all(
        value_matches(term["operator"], labels.get(term["key"]), term.get("values") or ())
        for term in selector.get("matchExpressions") or ()
    )


def value_matches(operator: str, value: str | None, wanted: Sequence[str]) -> bool:
    """Whether a label's value (`None` if it is not there) is what an expression asks for."""
    return {
        "In": value in wanted,
        "NotIn": value not in wanted,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }[operator]
