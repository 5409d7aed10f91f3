"""Who may set a field that another manager owns: the decision after a conflict. Pure.

| the other managers | and | then |
|---|---|---|
| another bundle's | it wants the object too | `owned-elsewhere`, naming both |
| another bundle's | its wanted objects lack this one: handed over | force |
| any | the bundle says takeOwnership, or the object `override` or `merge` | force |
| persons or controllers (they update, they do not apply) | the live owner label is ours | force |
| any | otherwise | `conflict`, naming them |

A commit that is released wins over a manual edit of an object that Fleet owns; another declarative
owner (one that applies) is never overruled unasked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from agents.apply.outcome import Failure
from agents.inventory import is_part_of, manager_of
from clusters.errors import ConflictError
from clusters.objects import Kind, Object, ObjectKey


@dataclass(frozen=True, slots=True)
class Claims:
    """Which bundles of the whole target want which object."""

    by_key: Mapping[ObjectKey, tuple[str, ...]] = field(default_factory=dict)
    unresolved: frozenset[tuple[Kind, str]] = frozenset()
    """Kind and name of what is wanted in a namespace that is not known yet."""
    bundles: tuple[str, ...] = ()
    """Every bundle that this agent knows of, those that are to be removed included."""
    missing: tuple[str, ...] = ()
    """Bundles whose artifact is not at hand: what they want is not known, so nothing is pruned."""

    def others(self, key: ObjectKey, bundle: str) -> tuple[str, ...]:
        """The other bundles that want this object."""
        return tuple(name for name in self.by_key.get(key, ()) if name != bundle)

    def wanted_elsewhere(self, key: ObjectKey, bundle: str) -> bool:
        """Might any other bundle want this object?"""
        return bool(self.others(key, bundle)) or (key.kind_key, key.name) in self.unresolved


@dataclass(frozen=True, slots=True)
class Claimant:
    """The bundle that met the conflict, and what entitles it."""

    bundle: str
    claims: Claims
    take_ownership: bool = False


def former_bundles(live: Object | None, key: ObjectKey, claimant: Claimant) -> set[str]:
    """Field managers of the bundles that held a live object and no longer want it."""
    managed = ((live or {}).get("metadata") or {}).get("managedFields") or []
    holding = {entry.get("manager") for entry in managed}
    others = (name for name in claimant.claims.bundles if name != claimant.bundle)
    return {
        manager_of(name)
        for name in others
        if manager_of(name) in holding and name not in claimant.claims.by_key.get(key, ())
    }


def judge_conflict(
    error: ConflictError,
    key: ObjectKey,
    live: Object | None,
    claimant: Claimant,
    *,
    wins: bool = False,
) -> Failure | None:
    """`None` if the bundle may force the apply, else why not.

    `error` names managers; `live` is the object in dispute; `wins` says that the object's own
    policy overrules strangers.
    """
    bundles = {manager_of(name): name for name in claimant.claims.bundles}
    rivals = sorted(
        bundles[name]
        for name in error.managers
        if name in bundles and bundles[name] in claimant.claims.others(key, claimant.bundle)
    )
    if rivals:
        names = ", ".join(f"bundle {name}" for name in rivals)
        message = f"is wanted by {names} and by bundle {claimant.bundle}"
        return Failure(key, "owned-elsewhere", message)
    strangers = [name for name in error.managers if name not in bundles]
    if not strangers:
        return None
    ours = live is not None and is_part_of(live, claimant.bundle)
    if wins or claimant.take_ownership or (ours and not _appliers(live, strangers)):
        return None
    return Failure(key, "conflict", _text(error, claimant.bundle))


def _appliers(live: Object | None, managers: list[str]) -> list[str]:
    """Those of the managers that apply, so that they would set it back on purpose."""
    managed = ((live or {}).get("metadata") or {}).get("managedFields") or []
    applying = {entry.get("manager") for entry in managed if entry.get("operation") == "Apply"}
    return [name for name in managers if name in applying]


def _text(error: ConflictError, bundle: str) -> str:
    """Names both: who has the fields, and who wants them."""
    fields = ", ".join(error.fields[:5]) + (", …" if len(error.fields) > 5 else "")
    who = ", ".join(error.managers)
    return f"{fields or 'a field'} owned by {who}, wanted by bundle {bundle}"
