"""What a pause keeps from happening: noticed in passes, and what a release waits for.

A release that would change something paused waits as a whole, before its first write: half of a
revision is no revision. What is paused and need not change holds up nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from agents.apply.outcome import Outcome
from agents.apply.pauses import (
    LOOK_AGAIN,
    namespace_key,
    pause_of,
    pause_over,
    pauses_of_namespaces,
)
from agents.apply.site import Site
from agents.apply.state import BundleState
from agents.apply.wanted import Prepared
from agents.diff import differences
from agents.protocol import SyncState
from clusters.objects import Object, ObjectKey


async def note_namespaces(
    site: Site, state: BundleState, prepared: Prepared, names: Iterable[str]
) -> None:
    """Read these namespaces and note which of them are paused. Errors: `ClusterError`."""
    found = await pauses_of_namespaces(site, names, prepared.objects)
    for key, pause in found.items():
        if pause is not None:
            state.pauses[key] = pause
        else:
            state.pauses.pop(key, None)


def paused_namespaces(state: BundleState) -> set[str]:
    """Those of which it is known, over or not."""
    return {key.name for key in state.pauses if key == namespace_key(key.name)}


def look_again(state: BundleState, now: datetime) -> datetime | None:
    """When a contest or a pause may be over; no watch shows the end of a namespace's pause."""
    times = [item.until for item in state.drift.values()]
    times += [pause.until for pause in state.pauses.values() if pause.holds(now)]
    if paused_namespaces(state):
        times.append(now + LOOK_AGAIN)
    return min((at for at in times if at is not None), default=None)


async def waits_for_pauses(
    site: Site,
    state: BundleState,
    prepared: Prepared,
    live: Mapping[ObjectKey, Object],
    now: datetime,
) -> Outcome | None:
    """Why the release cannot go on yet, if it would change what is paused.

    Errors: `ClusterError`.
    """
    changing = [key for key in prepared.objects if _changes(site, state, prepared, key, live)]
    await note_namespaces(site, state, prepared, {key.namespace for key in changing})
    for key in live.keys() & prepared.objects.keys():
        pause = pause_of(live[key], prepared.objects[key].object, site.manager)
        if pause is not None:
            state.pauses[key] = pause
        else:
            state.pauses.pop(key, None)
    held = {over for key in changing if (over := pause_over(key, state.pauses, now))}
    if not held:
        return None
    where, pause = min(held, key=lambda over: over[0])
    more = f", and {len(held) - 1} more" if len(held) > 1 else ""
    notes = {each: item.text() for each, item in held}
    later = min(now + LOOK_AGAIN, look_again(state, now) or now + LOOK_AGAIN)
    return Outcome(
        SyncState.WAITING,
        "paused",
        f"{where} is {pause.text()}{more}",
        notes=notes,
        look_again=later,
    )


def _changes(
    site: Site,
    state: BundleState,
    prepared: Prepared,
    key: ObjectKey,
    live: Mapping[ObjectKey, Object],
) -> bool:
    """Would the release write this object?"""
    wanted, found = prepared.objects[key], live.get(key)
    if found is None or state.is_known(key, wanted.digest, found):
        return found is None
    scaled = key in state.scaled
    return bool(differences(wanted.settled(found, site.manager, scaled=scaled), found))
