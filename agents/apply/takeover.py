"""Taking over fields that another manager holds, so that what is not wanted of them goes. Pure.

Server-side apply removes a field once its last owner no longer sends it. A field that a bundle let
go to another one, or that a person added with kubectl, would so stay for ever: nobody sends it. Its
entry in `managedFields` is therefore made the new owner's own before the next apply.

Never touches what was written through a subresource (status, scale): that is a controller's.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from clusters.objects import Object

_PEOPLE = ("kubectl", "before-first-apply")


def managers_by_hand(live: Object) -> frozenset[str]:
    """Managers of a live object that are people at work with kubectl."""
    return frozenset(
        entry.get("manager", "")
        for entry in _entries(live)
        if not entry.get("subresource") and str(entry.get("manager", "")).startswith(_PEOPLE)
    )


def has_fields_of(live: Object, managers: Collection[str]) -> bool:
    """Does any of these managers hold a field, other than through a subresource?"""
    return any(_is_of(entry, managers) for entry in _entries(live))


def taken_over(live: Object, managers: Collection[str], owner: str) -> list[dict[str, Any]]:
    """`managedFields` in which the entries of `managers` are `owner`'s applied ones."""
    version = live["apiVersion"]
    theirs: dict[str, Any] = {}
    rest: list[dict[str, Any]] = []
    for entry in _entries(live):
        ours = (entry.get("manager"), entry.get("operation")) == (owner, "Apply")
        if (ours and not entry.get("subresource")) or _is_of(entry, managers):
            theirs = _union(theirs, entry.get("fieldsV1") or {})
        else:
            rest.append(entry)
    mine = {
        "manager": owner,
        "operation": "Apply",
        "apiVersion": version,
        "fieldsType": "FieldsV1",
        "fieldsV1": theirs,
    }
    return [mine, *rest]


def _is_of(entry: dict[str, Any], managers: Collection[str]) -> bool:
    return not entry.get("subresource") and entry.get("manager") in managers


def _union(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    merged = dict(one)
    for name, below in other.items():
        merged[name] = _union(merged.get(name) or {}, below or {})
    return merged


def _entries(live: Object) -> list[dict[str, Any]]:
    return live["metadata"].get("managedFields") or []
