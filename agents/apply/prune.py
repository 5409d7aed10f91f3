"""Removing what a bundle owns and no longer wants. What is deleted, and what never.

| the live object | then |
|---|---|
| is not there, or its kind is not | let go |
| does not carry this bundle's owner label | let go: it is somebody else's now |
| another bundle of the target wants it | kept until that bundle has taken it |
| says so itself, or is protected (`policy`): CRD, Namespace, PVC | label off, let go |
| the bundle keeps its resources, or the object is ignored | label off, let go |
| otherwise | deleted, with uid and resourceVersion as preconditions, in reverse order |

"Let go" means that the inventory forgets it. An object held by a finalizer stays in the inventory
and is reported; nobody fights for it. While custom resources are on their way out, what may be
their controller is kept, for as long as `Rules.patience_seconds` at most.

What cannot be read is never taken for gone, and a refused deletion is a failure that is told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from agents.apply.observe import read_owned
from agents.apply.order import Stage, stage_of, wave_of, waves
from agents.apply.outcome import Failure
from agents.apply.ownership import Claims
from agents.apply.policy import why_kept
from agents.apply.site import Site
from agents.inventory import AGENT_MANAGER, PART_OF, is_part_of
from clusters.errors import ClusterError, ConflictError, KindNotFoundError, NotFoundError
from clusters.objects import Object, ObjectKey

_TRIES = 3
"""Times that an object which keeps changing is looked at again before it counts as stale."""


@dataclass(frozen=True, slots=True)
class Rules:
    """How leftovers are removed."""

    now: datetime
    keep: bool = False
    """Leave everything in the cluster, without an owner."""
    leaving: bool = False
    """The whole bundle goes."""
    wait: bool = True
    """What is still being deleted stays owned until it is gone."""
    ignored: frozenset[ObjectKey] = frozenset()
    patience_seconds: int = 600
    """How long custom resources may take to go before their controllers are removed as well."""


@dataclass(slots=True)
class Pruned:
    """What became of the leftovers."""

    remaining: dict[ObjectKey, str] = field(default_factory=dict)
    """Still owned, and why."""
    kept: dict[ObjectKey, str] = field(default_factory=dict)
    """Left in the cluster without an owner, and why."""
    failures: list[Failure] = field(default_factory=list)


async def prune(site: Site, leftovers: Iterable[ObjectKey], claims: Claims, rules: Rules) -> Pruned:
    """Remove the leftovers, as far as it goes at once."""
    result = Pruned()
    due: list[ObjectKey] = []
    for key in leftovers:
        reason = why_not_yet(claims, key, site.bundle)
        if reason:
            result.remaining[key] = reason
        else:
            due.append(key)
    await _let_go_taken(site, result)
    custom = [key for key in due if stage_of(key) is Stage.CUSTOM]
    busy = await _remove_all(site, custom, result, rules)
    others = [key for key in due if stage_of(key) is not Stage.CUSTOM]
    if busy:
        result.remaining |= dict.fromkeys(others, f"is kept until {min(busy)} is gone")
    else:
        await _remove_all(site, others, result, rules)
    return result


def why_not_yet(claims: Claims, key: ObjectKey, bundle: str) -> str:
    """Why a leftover must not be touched now, empty if it may be removed."""
    if claims.missing:
        return f"is kept until the artifact of {', '.join(claims.missing)} is at hand"
    if claims.wanted_elsewhere(key, bundle):
        return "is kept until the other bundle that wants it has taken it"
    return ""


async def _let_go_taken(site: Site, result: Pruned) -> None:
    """What another bundle has taken already is its own."""
    for key, live in (await site.live(result.remaining)).items():
        if live is None or (not isinstance(live, Failure) and not is_part_of(live, site.bundle)):
            del result.remaining[key]


async def _remove_all(
    site: Site, keys: list[ObjectKey], result: Pruned, rules: Rules
) -> set[ObjectKey]:
    """Remove in reverse order; what is still on its way out, and not for too long already."""
    found = await read_owned(site, keys)
    deleted: list[ObjectKey] = []

    def in_wave(key: ObjectKey) -> int:
        live = found[key]
        return wave_of(live) if isinstance(live, dict) else 0

    for wave in waves(keys, backwards=True, in_wave=in_wave):

        async def remove(key: ObjectKey) -> None:
            if await _remove(site, key, found[key], result, rules):
                deleted.append(key)

        await site.each(wave, remove)
    if not rules.wait:
        return set()
    busy: set[ObjectKey] = set()
    for key, left in (await read_owned(site, deleted)).items():
        before = found[key]
        if isinstance(left, Failure) or isinstance(before, Failure) or before is None:
            result.remaining[key] = "is being deleted"
        elif left is not None and left["metadata"]["uid"] == before["metadata"]["uid"]:
            held = ", ".join(left["metadata"].get("finalizers") or [])
            by = f", held by finalizers {held}" if held else ""
            result.remaining[key] = f"is being deleted{by}"
            if _seconds_in_deletion(left, rules.now) < rules.patience_seconds:
                busy.add(key)
    return busy


async def _remove(
    site: Site, key: ObjectKey, live: Object | Failure | None, result: Pruned, rules: Rules
) -> bool:
    """Delete one object or let it go; was it deleted?"""
    try:
        for attempt in range(_TRIES):
            if isinstance(live, Failure):
                result.failures.append(live)
                return False
            if live is None or not is_part_of(live, site.bundle):
                return False
            why = _why_kept(live, key, rules)
            if why:
                await _release(site, key)
                result.kept[key] = why
                return False
            if await _deleted(site, key, live, last=attempt == _TRIES - 1):
                return True
            live = await site.cluster.get(key)
    except (KindNotFoundError, NotFoundError):
        return False
    except ClusterError as error:
        result.failures.append(Failure.of(key, error))
    return False


def _why_kept(live: Object, key: ObjectKey, rules: Rules) -> str:
    if key in rules.ignored:
        return "its annotation says that Fleet ignores it"
    return "as the bundle asks" if rules.keep else why_kept(live, key, leaving=rules.leaving)


async def _release(site: Site, key: ObjectKey) -> None:
    await site.cluster.patch(key, {"metadata": {"labels": {PART_OF: None}}}, manager=AGENT_MANAGER)


async def _deleted(site: Site, key: ObjectKey, live: Object, *, last: bool) -> bool:
    """Delete what was looked at; `False` if it has changed since. Errors: `ClusterError`."""
    metadata = live["metadata"]
    if metadata.get("deletionTimestamp"):
        return True
    try:
        await site.cluster.delete(
            key, uid=metadata["uid"], resource_version=metadata["resourceVersion"]
        )
    except ConflictError:
        if last:
            raise
        return False
    return True


def _seconds_in_deletion(live: Object, now: datetime) -> float:
    since = live["metadata"].get("deletionTimestamp")
    return (now - datetime.fromisoformat(since)).total_seconds() if since else 0.0
