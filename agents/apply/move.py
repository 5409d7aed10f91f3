"""Bringing a cluster to a bundle deployment that it does not hold yet, as far as it goes at once.

    intent into the inventory → default namespace → pre hooks → stages → post hooks → prune → done

Every step may be asked again: what is done is seen to be done. Nothing here waits; an outcome that
is `pending` asks for another pass.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from agents.apply import hooks
from agents.apply.namespace import make_default_namespace
from agents.apply.observe import find_scaled, list_owned, note_health
from agents.apply.outcome import Failure, Outcome, failed, failed_bundle, syncing
from agents.apply.ownership import Claimant, Claims
from agents.apply.pausing import waits_for_pauses
from agents.apply.prune import Pruned, Rules, prune
from agents.apply.site import Site
from agents.apply.stages import Written, write_stages
from agents.apply.state import BundleState
from agents.apply.wanted import Prepared
from agents.apply.wipe_guard import doomed, is_wipe
from agents.inventory import Inventory, InventoryStore
from agents.protocol import Artifact, BundleDeployment, SyncState
from clusters.objects import Object, ObjectKey

_UNTRIED = frozenset({"duplicate", "cluster-scoped", "malformed"})
"""Failures of preparation that forbid to write any of the bundle."""


@dataclass(frozen=True, slots=True)
class Order:
    """What one bundle is to be in this cluster, and who else wants what."""

    deployment: BundleDeployment
    generation: int
    artifact: Artifact | None = None
    """`None` for the order to remove."""
    claims: Claims = field(default_factory=Claims)
    wipes: bool = False
    """Together with the other orders to remove, it would leave next to nothing in the cluster."""


async def move(
    site: Site,
    store: InventoryStore,
    state: BundleState,
    order: Order,
    prepared: Prepared,
    now: datetime,
) -> Outcome:
    """One pass towards the order. Errors: `ClusterError` of reads and of the inventory."""
    refusal = await _refusal(store, state.inventory, order, prepared)
    if refusal is not None:
        return refusal
    live = await list_owned(site, state.inventory.objects)
    await find_scaled(site, state, prepared)
    live |= await _shared_live(site, state, prepared, live)
    paused = await waits_for_pauses(site, state, prepared, live, now)
    if paused is not None:
        return paused
    await _intend(site, store, state, order, prepared)
    await make_default_namespace(site, order.deployment.options, prepared)
    waiting = await _hooks(site, store, state, order, prepared, now, "pre")
    if waiting is not None:
        return waiting
    claimant = Claimant(site.bundle, order.claims, order.deployment.options.take_ownership)
    written = await write_stages(
        site, state, prepared.objects, live, claimant, recreate=order.deployment.options.force
    )
    limit_seconds = order.deployment.options.timeout_seconds
    await note_health(site, state, written.live, now, limit_seconds)
    unfinished = _unfinished(written, prepared)
    if unfinished is not None:
        return unfinished
    waiting = await _hooks(site, store, state, order, prepared, now, "post")
    if waiting is not None:
        return waiting
    if site.superseded():
        return syncing("a newer target takes over")
    return await _finish(site, store, state, order, prepared, now)


async def _refusal(
    store: InventoryStore, inventory: Inventory, order: Order, prepared: Prepared
) -> Outcome | None:
    """What must not even begin. Errors: `ClusterError`."""
    untried = [item for item in prepared.failures if item.code in _UNTRIED]
    if untried:
        return failed(untried)
    message = _wipe(inventory, order, prepared)
    if not message or await store.allows_wipe(inventory.bundle):
        return None
    return failed_bundle("wipe-guard", message)


def _wipe(inventory: Inventory, order: Order, prepared: Prepared) -> str:
    """What the move would delete, if that is so much that it must be confirmed."""
    options, bundle = order.deployment.options, inventory.bundle
    if options.allow_wipe or not options.prune:
        return ""
    leftovers = [
        key
        for key in inventory.objects
        if key not in prepared.objects and key not in prepared.ignored
    ]
    going, owned = doomed(leftovers, order.claims, bundle), len(inventory.objects)
    if going and not prepared.objects and not prepared.failures:
        return f"the new revision has no objects, the bundle owns {owned}"
    if is_wipe(owned, len(going)):
        return f"the new revision would delete {len(going)} of {owned} objects"
    return ""


async def _shared_live(
    site: Site, state: BundleState, prepared: Prepared, live: dict[ObjectKey, Object]
) -> dict[ObjectKey, Object]:
    """Objects without our label of which others' fields must stay as they are, if they exist."""
    shared = {key for key, item in prepared.objects.items() if item.ignore} | state.scaled
    keys = [key for key in prepared.objects if key in shared and key not in live]
    found = await site.live(keys)
    return {key: item for key, item in found.items() if isinstance(item, dict)}


async def _intend(
    site: Site, store: InventoryStore, state: BundleState, order: Order, prepared: Prepared
) -> None:
    """Write down what is about to be owned, before any of it is written."""
    before, wanted = state.inventory, order.deployment
    same = before.digest == wanted.digest and before.generation == order.generation
    if not same:
        state.progressing_since.clear()
    operation = before.operation if same or not before.is_installed else ""
    intent = replace(
        before.owning({*before.objects, *prepared.objects}),
        digest=wanted.digest,
        generation=order.generation,
        operation=operation or await _operation(site, before, prepared),
        hooks_done=before.hooks_done if same else (),
        deletion=wanted.options.on_leaving,
    )
    await _save(store, state, intent)


async def _operation(site: Site, before: Inventory, prepared: Prepared) -> str:
    """`upgrade` if the bundle was ever complete here, or if any of its objects exists."""
    if before.is_installed:
        return "upgrade"
    if prepared.hooks:
        found = await site.live(prepared.objects)
        if any(isinstance(item, dict) for item in found.values()):
            return "upgrade"
    return "install"


async def _save(store: InventoryStore, state: BundleState, inventory: Inventory) -> None:
    if inventory != state.inventory:
        await store.save(inventory)
        state.inventory = inventory


async def _hooks(
    site: Site,
    store: InventoryStore,
    state: BundleState,
    order: Order,
    prepared: Prepared,
    now: datetime,
    moment: str,
) -> Outcome | None:
    due = hooks.due(prepared.hooks, moment, state.inventory.operation)
    if not due:
        return None
    name = f"{order.deployment.digest}/{order.generation}"
    attempt = hooks.Attempt(name, order.deployment.options.timeout_seconds)
    return await hooks.run_phase(site, state, due, attempt, now, moment, _recorder(store, state))


def _recorder(store: InventoryStore, state: BundleState) -> Callable[[str], Awaitable[None]]:
    async def record(name: str) -> None:
        done = (*state.inventory.hooks_done, name)
        await _save(store, state, replace(state.inventory, hooks_done=done))

    return record


def _unfinished(written: Written, prepared: Prepared) -> Outcome | None:
    failures: list[Failure] = [*written.failures, *prepared.failures]
    if failures:
        return failed(failures)
    return syncing("; ".join(sorted(written.pending)[:3])) if written.pending else None


async def _finish(
    site: Site,
    store: InventoryStore,
    state: BundleState,
    order: Order,
    prepared: Prepared,
    now: datetime,
) -> Outcome:
    """All is applied: remove what is left over, and write down that the attempt is complete."""
    pruned = await prune_leftovers(site, state, order, prepared, now)
    if pruned.failures:
        return failed(pruned.failures)
    done = replace(
        state.inventory.owning({*prepared.objects, *pruned.remaining}),
        applied=order.deployment.digest,
        operation="",
        hooks_done=(),
    )
    await _save(store, state, done)
    for memory in (state.drift, state.contests, state.check_failures, state.hooks_seen):
        memory.clear()
    return synced(pruned)


async def prune_leftovers(
    site: Site, state: BundleState, order: Order, prepared: Prepared, now: datetime
) -> Pruned:
    """Remove what the inventory has and the bundle no longer wants, as its options say."""
    leftovers = [key for key in state.inventory.objects if key not in prepared.objects]
    options = order.deployment.options
    rules = Rules(
        now,
        keep=not options.prune,
        ignored=prepared.ignored,
        patience_seconds=options.timeout_seconds,
    )
    pruned = await prune(site, leftovers, order.claims, rules)
    for key in leftovers:
        state.forget(key)
    return pruned


def synced(pruned: Pruned) -> Outcome:
    """In sync, with a word about leftovers that are still there."""
    notes = dict(pruned.remaining)
    notes |= kept_notes(pruned)
    return Outcome(SyncState.SYNCED, notes=notes, pending=bool(pruned.remaining))


def kept_notes(pruned: Pruned) -> dict[ObjectKey, str]:
    """What is said of objects that stay without an owner."""
    text = "was left in the cluster; Fleet no longer owns it"
    return {key: f"{text} ({why})" for key, why in pruned.kept.items()}
