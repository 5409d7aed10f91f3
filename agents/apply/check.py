"""Holding a bundle to what is applied: find drift, set it back or report it, look at health.

A full check lists what is owned; otherwise only what a watch touched and what is not healthy is
looked at. An object that looks as it was last known costs no comparison. A suspect is read again
and tried by a server-side dry-run: if that would change nothing, it is no drift. So no drift is
ever reported with an empty diff, and no write is made that changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from agents.apply.move import Order, prune_leftovers, synced
from agents.apply.observe import find_scaled, list_owned, note_health
from agents.apply.order import waves
from agents.apply.outcome import Failure, Outcome, failed
from agents.apply.policy import ApplyPolicy
from agents.apply.prune import Pruned
from agents.apply.site import Site
from agents.apply.state import BundleState
from agents.apply.wanted import Prepared, Wanted
from agents.diff import describe, differences, settle
from agents.inventory import Inventory, InventoryStore, ensure_namespace
from agents.protocol import DriftMode, FieldDrift, Health, SyncState
from clusters.errors import ClusterError, NotFoundError
from clusters.objects import Object, ObjectKey

_CALM = (Health.HEALTHY, Health.SUSPENDED)
Live = dict[ObjectKey, Object | None]


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
        live = await _all_live(site, prepared)
    else:
        live = await _some_live(site, state, prepared, touched)
    for wave in waves(live):

        async def hold(key: ObjectKey) -> None:
            await _hold(site, state, order, prepared.objects[key], live)

        await site.each(wave, hold)
    limit_seconds = order.deployment.options.timeout_seconds
    await note_health(site, state, live, now, limit_seconds)
    pruned = await _leftovers(site, store, state, order, prepared, now)
    return _outcome(state, prepared, pruned)


async def _all_live(site: Site, prepared: Prepared) -> Live:
    owned = await list_owned(site, prepared.objects)
    unseen = await _read(site, [key for key in prepared.objects if key not in owned])
    return {**{key: owned[key] for key in prepared.objects if key in owned}, **unseen}


async def _some_live(
    site: Site, state: BundleState, prepared: Prepared, touched: Mapping[ObjectKey, Object | None]
) -> Live:
    restless = {key for key, found in state.health.items() if found.health not in _CALM}
    restless |= state.check_failures.keys()
    due = {key for key in {*restless, *touched} if key in prepared.objects}
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
    """Did a watch only show what a pass has found in order meanwhile, as at the agent's start?"""
    known, found = state.known.get(key), state.health.get(key)
    return (
        shown is not None
        and known is not None
        and known.wanted == prepared.objects[key].digest
        and known.resource_version == shown["metadata"].get("resourceVersion")
        and found is not None
        and found.health in _CALM
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


async def _hold(site: Site, state: BundleState, order: Order, wanted: Wanted, live: Live) -> None:
    """Compare one object and do what the drift mode says; `live` is brought up to date."""
    key, found = wanted.key, live[wanted.key]
    state.check_failures.pop(key, None)
    if found is not None and found["metadata"].get("deletionTimestamp"):
        return
    if found is not None and wanted.policy is ApplyPolicy.IF_NOT_PRESENT:
        return
    if found is not None and state.is_known(key, wanted.digest, found):
        _in_order(state, wanted, found)
        return
    try:
        drift = await _confirmed(site, state, wanted, live)
        if not drift:
            _in_order(state, wanted, live[key])
        elif order.deployment.options.drift is DriftMode.WARN:
            state.drift[key] = drift
        else:
            await _heal(site, state, order, wanted, live)
    except ClusterError as error:
        state.check_failures[key] = Failure.of(key, error, wanted.object)


def _in_order(state: BundleState, wanted: Wanted, live: Object | None) -> None:
    state.drift.pop(wanted.key, None)
    if live is not None:
        state.remember(wanted.digest, live)


async def _confirmed(
    site: Site, state: BundleState, wanted: Wanted, live: Live
) -> tuple[FieldDrift, ...]:
    """The drift of one object, empty if the server would change nothing. Never writes."""
    scaled = wanted.key in state.scaled
    found = live[wanted.key]
    if found is not None and not differences(settle(wanted.object, found, scaled=scaled), found):
        return ()
    found = live[wanted.key] = await site.cluster.get(wanted.key)
    if found is None:
        return (FieldDrift(path="", wanted="present", live=None),)
    if found["apiVersion"] != wanted.object["apiVersion"]:
        found = await _in_version_of(site, wanted)
    target = settle(wanted.object, found, scaled=scaled)
    suspects = differences(target, found)
    if not suspects:
        return ()
    would_be = await site.cluster.apply(target, manager=site.manager, force=True, dry_run=True)
    # What the server would again make of it as it is now is its own normalisation, no drift.
    normalised = {item.path for item in differences(target, would_be)}
    real = tuple(item for item in suspects if item.path not in normalised)
    return describe(real, found, site.manager)


async def _in_version_of(site: Site, wanted: Wanted) -> Object:
    """The live object in the wanted API version: what an apply of nothing would store."""
    nothing = {name: wanted.object[name] for name in ("apiVersion", "kind")}
    where = {k: v for k, v in wanted.object["metadata"].items() if k in ("name", "namespace")}
    return await site.cluster.apply(
        {**nothing, "metadata": where}, manager="fleet/probe", dry_run=True
    )


async def _heal(site: Site, state: BundleState, order: Order, wanted: Wanted, live: Live) -> None:
    key = wanted.key
    rivals = order.claims.others(key, site.bundle)
    if rivals:
        text = f"is wanted by bundle {', bundle '.join(rivals)} too"
        state.check_failures[key] = Failure(key, "owned-elsewhere", text)
        return
    if live[key] is None and key.namespace == (order.deployment.options.namespace or "default"):
        await ensure_namespace(site.cluster, key.namespace)
    target = settle(wanted.object, live[key], scaled=key in state.scaled)
    stored = await site.cluster.apply(target, manager=site.manager, force=True)
    live[key] = stored
    state.healed += 1
    _in_order(state, wanted, stored)


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


def _outcome(state: BundleState, prepared: Prepared, pruned: Pruned) -> Outcome:
    failures = [*prepared.failures, *state.check_failures.values(), *pruned.failures]
    if failures:
        return failed(failures)
    if state.drift:
        key = min(state.drift)
        more = f", and {len(state.drift) - 1} more" if len(state.drift) > 1 else ""
        text = f"{key} differs from what is applied{more}"
        return Outcome(SyncState.OUT_OF_SYNC, "drift", text, pending=bool(pruned.remaining))
    return synced(pruned)
