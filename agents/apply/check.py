"""Holding a bundle to what is applied: find drift, set it back or report it, look at health.

A full check lists what is owned; otherwise only what a watch touched and what is not healthy is
looked at, and what is paused or contested when that may be over. What becomes of one object is
`drift`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from agents.apply import contests
from agents.apply.drift import Holding, Live
from agents.apply.finished import COMPLETED, is_finished
from agents.apply.move import Order, note_finished, prune_leftovers, synced
from agents.apply.observe import FEW, find_scaled, list_owned, note_health
from agents.apply.order import waves
from agents.apply.outcome import Outcome, failed
from agents.apply.pauses import pause_over
from agents.apply.pausing import look_again, note_namespaces, paused_namespaces
from agents.apply.prune import Pruned
from agents.apply.site import Site
from agents.apply.state import CALM, BundleState
from agents.apply.wanted import Prepared
from agents.inventory import Inventory, InventoryStore
from agents.protocol import SyncState
from clusters.errors import NotFoundError
from clusters.objects import Object, ObjectKey


async def check(
    site: Site,
    store: InventoryStore,
    state: BundleState,
    order: Order,
    prepared: Prepared,
    *,
    now: datetime,
    full: bool,
) -> Outcome:
    """One pass over an applied bundle. Errors: `ClusterError` of listings."""
    touched, state.touched = state.touched, {}
    if full:
        await store.restore(state.inventory)
        await find_scaled(site, state, prepared)
        await note_namespaces(site, state, prepared, {key.namespace for key in prepared.objects})
        live = await _all_live(site, state, prepared)
    else:
        await note_namespaces(site, state, prepared, paused_namespaces(state))
        live = await _some_live(site, state, prepared, touched, now)
    _leave_finished(state, prepared, live)
    holding = Holding(site, state, order, prepared, live, now)
    for wave in waves(live):
        await site.each(wave, holding.hold)
    limit_seconds = order.deployment.options.timeout_seconds
    await note_health(site, state, _counted(prepared, live), now, limit_seconds)
    await note_finished(store, state, prepared, live)
    pruned = await _leftovers(site, store, state, order, prepared, now)
    await _note_contested(store, state, now)
    return _outcome(state, prepared, pruned, now)


def _leave_finished(state: BundleState, prepared: Prepared, live: Live) -> None:
    """Jobs that completed and removed themselves are missed by nobody."""
    for key in [key for key, found in live.items() if found is None]:
        if is_finished(state.inventory, prepared.objects[key]):
            del live[key]
            state.health[key] = COMPLETED
            state.drift.pop(key, None)


def _counted(prepared: Prepared, live: Live) -> Live:
    """All but what is ignored and gone: nobody misses it."""
    return {
        key: found
        for key, found in live.items()
        if found is not None or not prepared.objects[key].is_ignored
    }


async def _all_live(site: Site, state: BundleState, prepared: Prepared) -> Live:
    """All but what metadata show to be as it was last in order; most often that is nothing."""
    unsettled = Counter(
        key.kind_key for key in prepared.objects if not _is_settled(state, prepared, key)
    )
    partial = {key.kind_key for key in prepared.objects if unsettled[key.kind_key] <= FEW}
    owned = await list_owned(site, prepared.objects, partial=partial)
    seen: Live = {
        key: owned[key] for key in prepared.objects if key in owned and key.kind_key not in partial
    }
    unread = [
        key
        for key in prepared.objects
        if key not in seen and not _is_as_known(state, prepared, key, owned.get(key))
    ]
    return {**seen, **await _read(site, unread)}


async def _some_live(
    site: Site,
    state: BundleState,
    prepared: Prepared,
    touched: Mapping[ObjectKey, Object | None],
    now: datetime,
) -> Live:
    waited = {
        key
        for key, item in state.drift.items()
        if (item.until is not None and item.until <= now)
        or (item.code == "paused" and pause_over(key, state.pauses, now) is None)
    }
    restless = {key for key, found in state.health.items() if found.health not in CALM}
    restless |= state.check_failures.keys()
    due = {key for key in {*restless, *touched, *waited} if key in prepared.objects}
    seen: Live = {}
    for key in due:
        shown = touched.get(key)
        if shown is not None and shown["kind"] != "PartialObjectMetadata":
            seen[key] = shown
    unread = [
        key
        for key in due
        if key not in seen and not _is_as_known(state, prepared, key, touched.get(key))
    ]
    return {**seen, **await _read(site, unread)}


def _is_as_known(
    state: BundleState, prepared: Prepared, key: ObjectKey, shown: Object | None
) -> bool:
    """Is the object just as a pass has found it in order before?"""
    if shown is None or not _is_settled(state, prepared, key):
        return False
    return bool(state.known[key].resource_version == shown["metadata"].get("resourceVersion"))


def _is_settled(state: BundleState, prepared: Prepared, key: ObjectKey) -> bool:
    """Was the object in order and healthy when it was last looked at?"""
    known, found = state.known.get(key), state.health.get(key)
    return (
        known is not None
        and known.wanted == prepared.objects[key].digest
        and found is not None
        and found.health in CALM
        and key not in state.check_failures
    )


async def _read(site: Site, keys: list[ObjectKey]) -> Live:
    """Errors: `ClusterError` as soon as one of them cannot be read, a missing kind excepted."""

    async def read(key: ObjectKey) -> Object | None:
        try:
            return await site.cluster.get(key)
        except NotFoundError:
            return None

    return dict(zip(keys, await site.each(keys, read), strict=True))


async def _leftovers(
    site: Site,
    store: InventoryStore,
    state: BundleState,
    order: Order,
    prepared: Prepared,
    now: datetime,
) -> Pruned:
    """Objects that a former pass could not remove yet."""
    if all(key in prepared.objects for key in state.inventory.objects):
        return Pruned()
    pruned = await prune_leftovers(site, state, order, prepared, now)
    unremoved = [*pruned.remaining, *(item.key for item in pruned.failures)]
    left: Inventory = state.inventory.owning({*prepared.objects, *unremoved})
    if left != state.inventory:
        await store.save(left)
        state.inventory = left
    return pruned


async def _note_contested(store: InventoryStore, state: BundleState, now: datetime) -> None:
    """An agent that starts anew must not take every fight up again."""
    known = state.inventory.contested
    left = contests.kept(state.contests, state.disputed, known, now)
    if left != known:
        noted = replace(state.inventory, contested=left)
        await store.save(noted)
        state.inventory = noted


def _outcome(state: BundleState, prepared: Prepared, pruned: Pruned, now: datetime) -> Outcome:
    failures = [*prepared.failures, *state.check_failures.values(), *pruned.failures]
    later = look_again(state, now)
    if failures:
        return replace(failed(failures), look_again=later)
    paused = {key: pause.text() for key, pause in state.pauses.items() if pause.holds(now)}
    if state.drift:
        key = min(state.drift, key=lambda each: (_CODES.index(state.drift[each].code), each))
        first = state.drift[key]
        more = f", and {len(state.drift) - 1} more" if len(state.drift) > 1 else ""
        text = f"{key} {first.message or 'differs from what is applied'}{more}"
        return Outcome(
            SyncState.OUT_OF_SYNC,
            first.code,
            text,
            pending=bool(pruned.remaining),
            look_again=later,
            notes=paused,
        )
    done = synced(pruned)
    return replace(done, look_again=later, notes={**(done.notes or {}), **paused})


_CODES = ("contested", "paused", "drift")
"""What speaks for the bundle, the first that there is."""
