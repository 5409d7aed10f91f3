"""Bringing a cluster to a bundle deployment that it does not hold yet, as far as it goes at once.

    intent into the inventory → default namespace → pre hooks
      → for each sync wave: stages → its sync hooks → healthy, if another wave follows
      → post hooks (those of a sync when all is healthy) → prune → done

Every step may be asked again: what is done is seen to be done. Nothing here waits; an outcome that
is `pending` asks for another pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from agents.apply import delete_hooks, hooks
from agents.apply.finished import COMPLETED, is_finished, with_finished
from agents.apply.hooks import Phase, Record
from agents.apply.namespace import make_default_namespace
from agents.apply.observe import find_scaled, list_owned, note_health
from agents.apply.order import wave_of
from agents.apply.outcome import Outcome, failed, failed_bundle, is_patient, syncing
from agents.apply.ownership import Claimant, Claims
from agents.apply.pausing import waits_for_pauses
from agents.apply.prune import Pruned, Rules, prune
from agents.apply.site import Site
from agents.apply.stages import write_stages
from agents.apply.state import CALM, BundleState
from agents.apply.wanted import Prepared, Wanted, WantedHook
from agents.apply.wipe_guard import doomed, is_wipe
from agents.inventory import Inventory, InventoryStore
from agents.protocol import Artifact, BundleDeployment, Deletion, Health, SyncState
from clusters.objects import Digest, Object, ObjectKey

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
    leaving: Deletion | None = None
    """The whole cluster leaves, by this policy."""


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
    work = _Work(site, store, state, order, prepared, now)
    outcome = await work.carry_out(live)
    if outcome is not None and outcome.failed and not is_patient(outcome):
        await work.cry()
    if outcome is not None:
        return outcome
    if site.superseded():
        return syncing("a newer target takes over")
    return await _finish(site, store, state, order, prepared, now)


@dataclass(frozen=True, slots=True)
class _Work:
    """The phases of one pass; each answers why the bundle cannot go on yet, `None` if it can."""

    site: Site
    store: InventoryStore
    state: BundleState
    order: Order
    prepared: Prepared
    now: datetime

    async def carry_out(self, live: dict[ObjectKey, Object]) -> Outcome | None:
        """All phases in their order. Errors: `ClusterError`."""
        waiting = await self.hooks(Phase.PRE)
        if waiting is not None:
            return waiting
        by_wave = self._by_wave(live)
        for wave in sorted(by_wave):
            waiting = await self._wave(wave, by_wave[wave], live, last=wave == max(by_wave))
            if waiting is not None:
                return waiting
        if self.prepared.failures:
            return failed([*self.prepared.failures])
        due = self._due(Phase.POST)
        if hooks.waits_for_health(due):
            waiting = self._unhealthy(self.prepared.objects, "post-sync hooks")
        return waiting if waiting is not None else await self.hooks(Phase.POST)

    def _by_wave(self, live: dict[ObjectKey, Object]) -> dict[int, dict[ObjectKey, Wanted]]:
        """What is to be written, by sync wave; waves of sync hooks alone are there too."""
        found: dict[int, dict[ObjectKey, Wanted]] = {
            item.hook.weight: {} for item in self._due(Phase.SYNC)
        }
        for key, item in self.prepared.objects.items():
            if key not in live and is_finished(self.state.inventory, item):
                self.state.health[key] = COMPLETED
            else:
                found.setdefault(wave_of(item.object), {})[key] = item
        return found

    async def _wave(
        self,
        wave: int,
        wanted: dict[ObjectKey, Wanted],
        live: dict[ObjectKey, Object],
        *,
        last: bool,
    ) -> Outcome | None:
        options = self.order.deployment.options
        claimant = Claimant(self.site.bundle, self.order.claims, options.take_ownership)
        written = await write_stages(
            self.site, self.state, wanted, live, claimant, recreate=options.force
        )
        await note_health(self.site, self.state, written.live, self.now, options.timeout_seconds)
        await note_finished(self.store, self.state, self.prepared, written.live)
        if written.failures:
            return failed([*written.failures, *self.prepared.failures])
        if written.pending:
            return syncing("; ".join(sorted(written.pending)[:3]))
        waiting = await self.hooks(Phase.SYNC, wave)
        if waiting is None and not last:
            waiting = self._unhealthy(wanted, f"what follows wave {wave}")
        return waiting

    def _unhealthy(self, keys: Iterable[ObjectKey], who: str) -> Outcome | None:
        """Why what follows must wait for these objects."""
        health = {key: self.state.health.get(key) for key in sorted(keys)}
        for key, found in health.items():
            if found is not None and found.health is Health.DEGRADED:
                text = f"{who} cannot begin: {key} is Degraded: {found.message}"
                return failed_bundle("wave-unhealthy", text)
        for key, found in health.items():
            if found is None or found.health not in CALM:
                said = f": {found.message}" if found is not None and found.message else ""
                return syncing(f"{who} waits for {key}{said}")
        return None

    async def hooks(self, phase: Phase, wave: int | None = None) -> Outcome | None:
        """Go on with the hooks of a phase, or of one wave of it."""
        due = [item for item in self._due(phase) if wave is None or item.hook.weight == wave]
        if not due:
            return None
        options = self.order.deployment.options
        name = f"{self.order.deployment.digest}/{self.order.generation}/{phase}"
        attempt = hooks.Attempt(name, options.timeout_seconds, self.prepared.checks)
        record = recorder(self.store, self.state)
        return await hooks.run_phase(self.site, self.state, due, attempt, self.now, phase, record)

    async def cry(self) -> None:
        """Run the hooks for a failed attempt, once; what they come to changes nothing."""
        outcome = await self.hooks(Phase.FAIL)
        if outcome is not None and outcome.failed:
            done = {hooks.done_name(Phase.FAIL, item) for item in self._due(Phase.FAIL)}
            noted = tuple(sorted({*self.state.inventory.hooks_done, *done}))
            await keep_inventory(
                self.store, self.state, replace(self.state.inventory, hooks_done=noted)
            )

    def _due(self, phase: Phase) -> list[WantedHook]:
        return hooks.due(self.prepared.hooks, phase, self.state.inventory.operation)


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
        operation=operation or await _operation(site, before, wanted.digest, prepared),
        hooks_done=before.hooks_done if same else (),
        deletion=wanted.options.on_leaving,
        service_account=wanted.options.service_account,
    )
    intent = with_finished(intent, prepared.objects, {})
    await keep_inventory(store, state, intent)
    kept = await delete_hooks.keep(store, site.bundle, prepared.hooks, intent.delete_hooks)
    await keep_inventory(store, state, replace(intent, delete_hooks=kept))


async def _operation(site: Site, before: Inventory, digest: Digest, prepared: Prepared) -> str:
    """`upgrade` if the bundle was ever complete here, or if any of its objects exists.

    `rollback` if it goes back to what was complete here before.
    """
    if before.goes_back(digest):
        return "rollback"
    if before.is_installed:
        return "upgrade"
    if prepared.hooks:
        found = await site.live(prepared.objects)
        if any(isinstance(item, dict) for item in found.values()):
            return "upgrade"
    return "install"


async def note_finished(
    store: InventoryStore,
    state: BundleState,
    prepared: Prepared,
    live: Mapping[ObjectKey, Object | None],
) -> None:
    """Write down which Jobs that remove themselves are seen to have completed."""
    await keep_inventory(store, state, with_finished(state.inventory, prepared.objects, live))


async def keep_inventory(store: InventoryStore, state: BundleState, inventory: Inventory) -> None:
    """Write the inventory if it says something new. Errors: `ClusterError`."""
    if inventory != state.inventory:
        await store.save(inventory)
        state.inventory = inventory


def recorder(store: InventoryStore, state: BundleState) -> Record:
    """Notes hooks that are done in the inventory."""

    async def record(name: str) -> None:
        done = (*state.inventory.hooks_done, name)
        await keep_inventory(store, state, replace(state.inventory, hooks_done=done))

    return record


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
    done = state.inventory.owning({*prepared.objects, *pruned.remaining}).completed()
    await keep_inventory(store, state, done)
    memories: tuple[dict[Any, Any], ...] = (
        state.drift,
        state.contests,
        state.disputed,
        state.check_failures,
        state.hooks_seen,
        state.hooks_started,
    )
    for memory in memories:
        memory.clear()
    state.phases_over.clear()
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
