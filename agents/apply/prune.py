"""Removing what a bundle owns and no longer wants. What is deleted, and what never.

| the live object | then |
|---|---|
| is not there, or its kind is not | let go |
| does not carry this bundle's owner label | let go: it is somebody else's now |
| another bundle of the target wants it | kept until that bundle has taken it |
| is protected: CRD, Namespace, PVC without `fleet.dev/prune: "true"` | label off, let go |
| the bundle keeps its resources | label off, let go |
| otherwise | deleted, with its uid as precondition, in reverse order of installing |

"Let go" means that the inventory forgets it. An object held by a finalizer stays in the inventory
and is reported; nobody fights for it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from agents.apply.order import waves
from agents.apply.outcome import Failure
from agents.apply.ownership import Claims
from agents.apply.site import Site, is_protected
from agents.inventory import AGENT_MANAGER, PART_OF, is_part_of
from clusters.errors import ClusterError, KindNotFoundError, NotFoundError
from clusters.objects import Object, ObjectKey


@dataclass(slots=True)
class Pruned:
    """What became of the leftovers."""

    remaining: dict[ObjectKey, str] = field(default_factory=dict)
    """Still owned, and why."""
    kept: list[ObjectKey] = field(default_factory=list)
    """Left in the cluster without an owner."""
    failures: list[Failure] = field(default_factory=list)


async def prune(
    site: Site, leftovers: Iterable[ObjectKey], claims: Claims, *, keep: bool
) -> Pruned:
    """Remove the leftovers; `keep` leaves them in the cluster without an owner."""
    result = Pruned()
    due: list[ObjectKey] = []
    for key in leftovers:
        if claims.missing:
            names = ", ".join(claims.missing)
            result.remaining[key] = f"is kept until the artifact of {names} is at hand"
        elif claims.wanted_elsewhere(key, site.bundle):
            result.remaining[key] = "is kept until the other bundle that wants it has taken it"
        else:
            due.append(key)
    await _let_go_taken(site, result)
    for wave in waves(due, backwards=True):

        async def remove(key: ObjectKey) -> None:
            await _remove(site, key, result, keep=keep)

        await site.each(wave, remove)
    return result


async def _let_go_taken(site: Site, result: Pruned) -> None:
    """What another bundle has taken already is its own."""
    for key, live in (await site.live(result.remaining)).items():
        if live is None or (not isinstance(live, Failure) and not is_part_of(live, site.bundle)):
            del result.remaining[key]


async def _remove(site: Site, key: ObjectKey, result: Pruned, *, keep: bool) -> None:
    try:
        live = await site.cluster.get(key)
        if live is None or not is_part_of(live, site.bundle):
            return
        if keep or is_protected(live, key):
            await _release(site, key)
            result.kept.append(key)
        else:
            await _delete(site, key, live, result)
    except (KindNotFoundError, NotFoundError):
        return
    except ClusterError as error:
        result.failures.append(Failure.of(key, error))


async def _release(site: Site, key: ObjectKey) -> None:
    await site.cluster.patch(key, {"metadata": {"labels": {PART_OF: None}}}, manager=AGENT_MANAGER)


async def _delete(site: Site, key: ObjectKey, live: Object, result: Pruned) -> None:
    if not live["metadata"].get("deletionTimestamp"):
        await site.cluster.delete(key, uid=live["metadata"].get("uid", ""))
    left = await site.cluster.get(key)
    if left is not None and left["metadata"].get("uid") == live["metadata"].get("uid"):
        held = ", ".join(left["metadata"].get("finalizers") or [])
        result.remaining[key] = "is being deleted" + (
            f", held by finalizers {held}" if held else ""
        )
