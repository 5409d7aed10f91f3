"""Who owns which field: `managedFields`, kept as Kubernetes' server-side apply keeps them.

`apply_config` merges what a manager sends into the live object, takes away what it sent before
and no longer does (unless somebody else owns it too), and refuses to change what others own.
`track_update` records what any other write changed: the writer now owns it, the others do not.

An entry is (manager, operation, subresource, apiVersion). Its time is that of the last write by
which its owner changed the object: an apply that changes nothing has none.

Never stores anything, and never owns apiVersion, kind, name, namespace or what the server sets.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from clusters.errors import ConflictError
from clusters.objects import Object
from clusters.simulation.server.decoding import normalise
from clusters.simulation.server.fieldsets import (
    FieldSet,
    difference,
    intersection,
    readable_paths,
    union,
    without,
)
from clusters.simulation.server.schema import Node
from clusters.simulation.server.typed import (
    check_items,
    compare,
    fields_of,
    merge,
    named,
    remove,
)

APPLY = "Apply"
UPDATE = "Update"
BEFORE_FIRST_APPLY = "before-first-apply"
"""The manager of what an object without `managedFields` holds when it is first applied to."""
_IDENTITY: FieldSet = {"f:apiVersion": {}, "f:kind": {}, "f:metadata": {"f:name": {}}}
"""What every apply sends and nobody owns; it keeps `metadata` from being let go."""
_SERVER_FIELDS = (
    ("apiVersion",),
    ("kind",),
    *(
        ("metadata", name)
        for name in (
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "clusterName",
            "generation",
            "managedFields",
            "resourceVersion",
        )
    ),
)


@dataclass(frozen=True, slots=True)
class Owner:
    """Whose fields an entry lists."""

    manager: str
    operation: str
    subresource: str
    api_version: str

    def __str__(self) -> str:
        """As Kubernetes names it in a conflict."""
        subresource = f' with subresource "{self.subresource}"' if self.subresource else ""
        using = f" using {self.api_version}" if self.operation == UPDATE else ""
        return f'"{self.manager}"{subresource}{using}'


@dataclass(frozen=True, slots=True)
class Claim:
    """The fields of one owner, and since when."""

    fields: FieldSet
    time: str


Claims = dict[Owner, Claim]


def read_claims(obj: Object) -> Claims:
    """The entries of `metadata.managedFields`."""
    claims: Claims = {}
    for entry in obj.get("metadata", {}).get("managedFields") or ():
        owner = Owner(
            entry.get("manager", ""),
            entry.get("operation", UPDATE),
            entry.get("subresource", ""),
            entry.get("apiVersion", ""),
        )
        if entry.get("fieldsV1"):
            claims[owner] = Claim(entry["fieldsV1"], entry.get("time", ""))
    return claims


def write_claims(obj: Object, claims: Claims) -> None:
    """Set `metadata.managedFields` of `obj`, which the caller owns; applied entries first."""
    entries = []
    for owner, claim in sorted(claims.items(), key=_entry_order):
        entry: dict[str, Any] = {
            "manager": owner.manager,
            "operation": owner.operation,
            "apiVersion": owner.api_version,
            **({"time": claim.time} if claim.time else {}),
            "fieldsType": "FieldsV1",
            "fieldsV1": claim.fields,
        }
        if owner.subresource:
            entry["subresource"] = owner.subresource
        entries.append(entry)
    metadata = obj["metadata"] = {k: v for k, v in obj["metadata"].items() if k != "managedFields"}
    if entries:
        metadata["managedFields"] = entries


def _entry_order(item: tuple[Owner, Claim]) -> tuple[bool, str, str, str]:
    owner, claim = item
    return (owner.operation != APPLY, claim.time, owner.manager, owner.subresource)


def owned_fields(obj: Object, node: Node) -> FieldSet:
    """What a manager owns by applying `obj`. Errors: `typed.ItemKeyError`."""
    check_items(obj, node)
    return without(fields_of(obj, node), *_SERVER_FIELDS)


def apply_config(
    live: Object | None,
    applied: Object,
    node: Node,
    owner: Owner,
    *,
    now: str,
    force: bool,
    before: Object | None = None,
) -> tuple[Object, Claims]:
    """The object after `owner` applies `applied`, and who owns what then.

    `live` is `None` when there is no object yet; `before` is the part of it that this request
    can touch, and that nobody owns if nobody was ever asked.

    Errors: `ConflictError`, `typed.ItemKeyError`.
    """
    claims = read_claims(live or {})
    if live is None:
        live = empty_object(node)
    elif not claims:
        claims = _claims_before(before or live, node, owner, now)
    fields = owned_fields(applied, node)
    previous = _take(claims, owner)
    kept = Claim(fields, previous.time if previous is not None else "")
    merged: Object = merge(live, applied, node)
    if previous is not None and previous.fields != fields:
        merged = _let_go(merged, node, previous.fields, [kept, *claims.values()])
    if merged != live:
        kept = replace(kept, time=now)
    changed = compare(live, merged, node)
    written = without(union(changed.added, changed.modified), *_SERVER_FIELDS)
    conflicts = {
        other: shared
        for other, claim in claims.items()
        if (shared := intersection(claim.fields, written))
    }
    if conflicts and not force:
        raise conflict_error(conflicts)
    lost = union(written, changed.removed)
    for other, claim in list(claims.items()):
        claims[other] = replace(claim, fields=difference(claim.fields, lost))
    claims[owner] = kept
    return merged, {other: claim for other, claim in claims.items() if claim.fields}


@lru_cache(maxsize=1024)
def empty_object(node: Node) -> Object:
    """An object of which nothing is set yet, as Go has it: what a create is compared with."""
    made: Object = normalise({"metadata": {}}, node)
    return made


def _claims_before(live: Object, node: Node, applier: Owner, now: str) -> Claims:
    """What was set before anybody was asked who they are belongs to nobody in particular."""
    owner = replace(applier, manager=BEFORE_FIRST_APPLY, operation=UPDATE)
    return track_update(empty_object(node), live, node, owner, claims={}, now=now)


def _take(claims: Claims, owner: Owner) -> Claim | None:
    """Remove and return what this applier claimed last, in whichever apiVersion that was."""
    for other in claims:
        if replace(other, api_version=owner.api_version) == owner:
            return claims.pop(other)
    return None


def _let_go(merged: Object, node: Node, previous: FieldSet, claims: list[Claim]) -> Object:
    """`merged` less what was applied before and nobody owns any more."""
    owned = _IDENTITY
    for claim in claims:
        owned = union(owned, claim.fields)
    result: Object = remove(merged, difference(named(previous, node), named(owned, node)), node)
    return result


def track_update(
    live: Object | None,
    new: Object,
    node: Node,
    owner: Owner,
    *,
    claims: Claims,
    now: str,
) -> Claims:
    """Who owns what after `owner` wrote `new` over `live` by anything but an apply.

    `claims` is who owned what before: the live object's entries, or those a client sent in
    their place.
    """
    claims = dict(claims)
    changed = compare(empty_object(node) if live is None else live, new, node)
    written = without(union(changed.added, changed.modified), *_SERVER_FIELDS)
    if not written and not changed.removed:
        return claims
    lost = union(written, changed.removed)
    for other, claim in list(claims.items()):
        if other != owner:
            claims[other] = replace(claim, fields=difference(claim.fields, lost))
    mine = claims.get(owner)
    fields = union(difference(mine.fields, changed.removed) if mine else {}, written)
    claims[owner] = Claim(fields, now)
    return {other: claim for other, claim in claims.items() if claim.fields}


def conflict_error(conflicts: dict[Owner, FieldSet]) -> ConflictError:
    """The error of an apply that would change what others own, in Kubernetes' words."""
    causes = [
        (path, owner)
        for owner, shared in sorted(conflicts.items(), key=lambda item: item[0].manager)
        for path in readable_paths(shared)
    ]
    return FieldConflictError(
        _conflict_text(causes),
        managers=tuple(sorted({owner.manager for owner in conflicts})),
        fields=tuple(path for path, _ in causes),
        causes=tuple((path, f"conflict with {owner}") for path, owner in causes),
    )


def _conflict_text(causes: list[tuple[str, Owner]]) -> str:
    if len(causes) == 1:
        path, owner = causes[0]
        return f"Apply failed with 1 conflict: conflict with {owner}: {path}"
    lines: list[str] = []
    for owner in dict.fromkeys(owner for _, owner in causes):
        lines.append(f"conflicts with {owner}:")
        lines.extend(f"- {path}" for path, other in causes if other == owner)
    return f"Apply failed with {len(causes)} conflicts: " + "\n".join(lines)


class FieldConflictError(ConflictError):
    """An apply met fields of other managers; `causes` are (field, message) pairs."""

    def __init__(
        self,
        message: str,
        managers: tuple[str, ...],
        fields: tuple[str, ...],
        causes: tuple[tuple[str, str], ...],
    ) -> None:
        super().__init__(message, managers, fields)
        self.causes = causes
