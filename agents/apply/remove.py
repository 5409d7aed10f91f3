"""Removing a whole bundle, because the target orders it (`absent`); never for any other reason.

| the bundle's deletion policy, as last applied | it is gone when |
|---|---|
| `wait` | its objects are |
| `delete` | the API server has taken the orders to delete them |
| `orphan` | its objects have lost the owner label; they stay |
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from agents.apply.move import Order, kept_notes
from agents.apply.outcome import Outcome, failed, failed_bundle, syncing
from agents.apply.prune import Rules, prune
from agents.apply.site import Site
from agents.apply.state import BundleState
from agents.inventory import InventoryStore
from agents.protocol import ABSENT, Deletion, SyncState


async def remove(
    site: Site, store: InventoryStore, state: BundleState, order: Order, now: datetime
) -> Outcome:
    """One pass of removal; Synced when nothing is owned any more. Errors: `ClusterError`."""
    if not state.inventory.objects:
        return Outcome(SyncState.SYNCED)
    if order.wipes and not await store.allows_wipe(site.bundle):
        message = "is to be removed together with most of what Fleet owns in this cluster"
        return failed_bundle("wipe-guard", message)
    intent = replace(state.inventory, digest=ABSENT, generation=order.generation)
    if intent != state.inventory:
        await store.save(intent)
    policy = intent.deletion
    rules = Rules(
        now, keep=policy is Deletion.ORPHAN, leaving=True, wait=policy is not Deletion.DELETE
    )
    pruned = await prune(site, intent.objects, order.claims, rules)
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
    return Outcome(SyncState.SYNCED, notes=kept_notes(pruned))
