"""Removing a whole bundle, because the target orders it (`absent`); never for any other reason."""

from __future__ import annotations

from dataclasses import replace

from agents.apply.move import Order
from agents.apply.outcome import Outcome, failed, syncing
from agents.apply.prune import prune
from agents.apply.site import Site
from agents.apply.state import BundleState
from agents.inventory import InventoryStore
from agents.protocol import ABSENT, SyncState


async def remove(site: Site, store: InventoryStore, state: BundleState, order: Order) -> Outcome:
    """One pass of removal; Synced when nothing is owned any more. Errors: `ClusterError`."""
    if not state.inventory.objects:
        return Outcome(SyncState.SYNCED)
    intent = replace(state.inventory, digest=ABSENT, generation=order.generation)
    if intent != state.inventory:
        await store.save(intent)
    pruned = await prune(site, intent.objects, order.claims, keep=state.inventory.keep_resources)
    kept = [*pruned.remaining, *(item.key for item in pruned.failures)]
    left = intent.owning(kept)
    if not kept:
        left = replace(left, applied=ABSENT)
    if left != state.inventory:
        await store.save(left)
    for key in set(state.inventory.objects) - set(kept):
        state.forget(key)
    state.inventory = left
    if pruned.failures:
        return failed(pruned.failures)
    if pruned.remaining:
        key, text = min(pruned.remaining.items())
        return replace(syncing(f"{key} {text}"), notes=pruned.remaining)
    return Outcome(SyncState.SYNCED)
