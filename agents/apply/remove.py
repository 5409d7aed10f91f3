"""Removing a whole bundle, because the target orders it (`absent`); never for any other reason.

    pre-delete hooks → its objects → post-delete hooks → gone

| the bundle's deletion policy, as last applied | its objects are removed when |
|---|---|
| `wait` | they are gone |
| `delete` | the API server has taken the orders to delete them |
| `orphan` | they have lost the owner label; they stay, and no hook runs |

Where the whole cluster leaves by `delete`, a bundle that says `wait` is not waited for either.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from agents.apply import hooks
from agents.apply.delete_hooks import kept_hooks
from agents.apply.hooks import Phase
from agents.apply.move import Order, keep_inventory, kept_notes, recorder
from agents.apply.outcome import Outcome, failed, failed_bundle, syncing
from agents.apply.prune import Pruned, Rules, prune
from agents.apply.site import Site
from agents.apply.state import BundleState
from agents.apply.wanted import WantedHook
from agents.inventory import InventoryStore
from agents.protocol import ABSENT, Deletion, SyncState

HOOK_SECONDS = 600
"""How long a hook of removal may run: the order to remove says nothing of it."""


async def remove(
    site: Site, store: InventoryStore, state: BundleState, order: Order, now: datetime
) -> Outcome:
    """One pass of removal; Synced when nothing is owned any more.

    Errors: `ClusterError`; `BundleError` for hooks that cannot be read.
    """
    before = state.inventory
    if not before.objects and (before.applied == ABSENT or not before.delete_hooks):
        return Outcome(SyncState.SYNCED)
    if order.wipes and not await store.allows_wipe(site.bundle):
        message = "is to be removed together with most of what Fleet owns in this cluster"
        return failed_bundle("wipe-guard", message)
    await _intend(store, state, order)
    policy = state.inventory.deletion
    if policy is Deletion.WAIT and order.leaving is Deletion.DELETE:
        policy = Deletion.DELETE
    runs = () if policy is Deletion.ORPHAN else await kept_hooks(store, state.inventory)
    waiting = await _hooks(site, store, state, order, runs, now, Phase.PRE_DELETE)
    if waiting is not None:
        return waiting
    rules = Rules(
        now, keep=policy is Deletion.ORPHAN, leaving=True, wait=policy is not Deletion.DELETE
    )
    pruned = await prune(site, state.inventory.objects, order.claims, rules)
    await _let_go(store, state, pruned)
    if pruned.failures:
        return failed(pruned.failures)
    if pruned.remaining:
        key, text = min(pruned.remaining.items())
        return replace(syncing(f"{key} {text}"), notes=pruned.remaining)
    waiting = await _hooks(site, store, state, order, runs, now, Phase.POST_DELETE)
    if waiting is not None:
        return waiting
    await keep_inventory(
        store, state, replace(state.inventory, applied=ABSENT, history=(), finished=())
    )
    return Outcome(SyncState.SYNCED, notes=kept_notes(pruned))


async def _intend(store: InventoryStore, state: BundleState, order: Order) -> None:
    before = state.inventory
    same = before.digest == ABSENT and before.generation == order.generation
    done = before.hooks_done if same else ()
    intent = replace(before, digest=ABSENT, generation=order.generation, hooks_done=done)
    await keep_inventory(store, state, intent)


async def _hooks(
    site: Site,
    store: InventoryStore,
    state: BundleState,
    order: Order,
    runs: Iterable[WantedHook],
    now: datetime,
    phase: Phase,
) -> Outcome | None:
    chosen = hooks.due(runs, phase)
    attempt = hooks.Attempt(f"{ABSENT}/{order.generation}/{phase}", HOOK_SECONDS)
    record = recorder(store, state)
    return await hooks.run_phase(site, state, chosen, attempt, now, phase, record)


async def _let_go(store: InventoryStore, state: BundleState, pruned: Pruned) -> None:
    kept = [*pruned.remaining, *(item.key for item in pruned.failures)]
    for key in set(state.inventory.objects) - set(kept):
        state.forget(key)
    await keep_inventory(store, state, state.inventory.owning(kept))
