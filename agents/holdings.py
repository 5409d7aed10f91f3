"""What the agent holds its cluster to: the bundles of the accepted target, each with its state.

::

    accept(target) ── bundles that changed are due at once, their failures forgotten
    due(now)       ── bundles to look at
    pass_over      ── one pass of one bundle, never two of the same at once; then the next look

      outcome            next look
      failed             back-off with jitter, or what the API server asked for
      pending, unhealthy after `health_interval_seconds`, or when a watch shows a change
      waiting            after `health_interval_seconds`
      retries used up    when the target says something else
      in order           at the next full check, or when a watch shows a change

Only what the accepted target says is `current` is ever applied: an offer is nothing yet.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from random import Random

from agents.apply import (
    BundleState,
    Claims,
    Order,
    Outcome,
    Prepared,
    Site,
    acting_for,
    is_moving,
    prepare_for,
    reconcile,
)
from agents.apply.outcome import failed_bundle, given_up, is_endless, soften
from agents.apply.preview import Seen, preview
from agents.apply.wipe_guard import wiped_bundles
from agents.backoff import delay_seconds
from agents.errors import BundleError
from agents.inventory import Inventory, InventoryStore, parent_name
from agents.leaving import acts_on, leaving_of
from agents.protocol import (
    Artifact,
    BundleDeployment,
    Health,
    SyncRequest,
    SyncState,
    Target,
)
from agents.reporting import kept_by_nobody
from agents.settings import Settings
from agents.syncing import Asked, Syncs
from agents.targets import claims_of, held_by, is_as_named, left_out
from agents.telling import Telling
from agents.watching import Place, place_of
from clusters.clock import Clock
from clusters.cluster import Cluster, Discovery
from clusters.errors import ClusterError
from clusters.objects import Digest, Object, ObjectKey

_log = logging.getLogger(__name__)
NEVER = datetime.max.replace(tzinfo=UTC)
"""The next look at a bundle that is not to be tried again until its order changes."""
_CALM = (Health.HEALTHY, Health.SUSPENDED)


class Holdings:
    """The bundles of one cluster. Everything it raises is a `ClusterError`, and only in `open`."""

    def __init__(
        self,
        cluster: Cluster,
        clock: Clock,
        settings: Settings,
        dice: Random,
        telling: Telling,
        artifacts: Callable[[Digest], Artifact | None],
    ) -> None:
        self._cluster, self._clock = cluster, clock
        self._settings = settings
        self._dice = dice
        self._telling, self._reporter = telling, telling.reporter
        self._artifacts = artifacts
        self._store = InventoryStore(cluster)
        self._gate = asyncio.Semaphore(settings.parallel_bundles)
        self._broken: dict[str, BundleError] = {}
        self._untidy = True
        self._claims_made = Claims()
        self._claims_from: list[object] = []
        self._syncs = Syncs(telling.reporter)
        self.opened = False
        self.target: Target | None = None
        self.states: dict[str, BundleState] = {}
        self.running: set[str] = set()

    async def open(self) -> None:
        """Read the inventories. Until that has succeeded nothing is applied or pruned."""
        found, self._broken = await self._store.load_all()
        for name, inventory in found.items():
            state = self.states.setdefault(name, BundleState(inventory))
            state.recall(inventory, self._clock.now())
        self.opened = True

    def accept(self, target: Target) -> None:
        """Hold the cluster to this target from now on."""
        before = {item.bundle: self._version(item) for item in self._current()}
        self.target = target
        self._untidy = True
        for item in target.current:
            state = self.states.setdefault(item.bundle, BundleState(Inventory(item.bundle)))
            if before.get(item.bundle) != self._version(item):
                state.next_look = None
                state.failures_in_a_row = state.attempts_failed = 0

    def ask(self, requests: Iterable[SyncRequest]) -> bool:
        """Syncs that the hub passed on; is there one that is new?"""
        bundles = {item.bundle for item in self._current()}
        fresh = self._syncs.take(requests, bundles, self._clock.now())
        for asked in fresh:
            if not asked.request.dry_run:
                asked.open(self.states[asked.bundle])
        return bool(fresh)

    def artifacts_arrived(self) -> bool:
        """Bundles that waited for their artifact are due at once; is there any?"""
        arrived = False
        for item in self._current():
            state = self.states[item.bundle]
            waits = state.outcome is not None and state.outcome.code == "artifact"
            if waits and self._artifacts(item.artifact) is not None:
                state.next_look, arrived = None, True
        return arrived

    def due(self, now: datetime) -> list[str]:
        """Bundles to look at now, in order of name."""
        if not self.opened:
            return []
        return sorted(
            item.bundle
            for item in self._current()
            if item.bundle not in self.running and self._next_look(item.bundle, now) <= now
        )

    def next_look(self, now: datetime) -> datetime | None:
        """When the next bundle that is not being worked on is due; `None` if there is none."""
        if not self.opened:
            return None
        waiting = [item.bundle for item in self._current() if item.bundle not in self.running]
        looks = (self._next_look(name, now) for name in waiting)
        return min((at for at in looks if at < NEVER), default=None)

    def saw(self, key: ObjectKey, live: Object | None, *, whole: bool) -> bool:
        """A watch showed an object; is some bundle to look at it?"""
        stirred = False
        for state in self.states.values():
            wanted = state.prepared is not None and key in state.prepared.objects
            if wanted and state.saw(key, live, whole=whole):
                soon = self._clock.now() + timedelta(seconds=self._settings.event_delay_seconds)
                calm = state.failures_in_a_row == 0 and state.next_look is not None
                if calm and state.next_look is not None:
                    state.next_look = min(state.next_look, soon)
                stirred = True
        return stirred

    def keys_in(self, place: Place) -> frozenset[ObjectKey]:
        """All objects that are wanted there."""
        return frozenset(
            key
            for state in self.states.values()
            if state.prepared is not None
            for key in state.prepared.objects
            if key.kind_key == place.kind and place.namespace in ("", key.namespace)
        )

    def places(self) -> frozenset[Place]:
        """Where to watch for what bundles own."""
        named = {item.bundle for item in self._current()}
        return frozenset(
            place_of(key)
            for name, state in self.states.items()
            if name in named
            for key in state.inventory.objects
        )

    async def tidy(self) -> None:
        """Say what the target left out; forget what is gone for good. Deletes no object."""
        if not self._untidy or self.target is None or not self.opened:
            return
        self._untidy = False
        inventories = {name: state.inventory for name, state in self.states.items()}
        for name in left_out(self.target, inventories):
            if parent_name(name) in self._broken:
                continue
            if name in self.running:
                self._untidy = True
            elif inventories[name].objects:
                self._reporter.note(kept_by_nobody(inventories[name]), self._clock.now())
            else:
                await self._drop(name)

    async def _drop(self, name: str) -> None:
        try:
            await self._store.forget(name)
        except ClusterError as error:
            self._untidy = True
            _log.warning("inventory not removed", extra={"bundle": name, "reason": str(error)})
            return
        del self.states[name]
        self._telling.drop(name)

    async def pass_over(self, bundle: str) -> bool:
        """One pass of one bundle; is there news to report? Does nothing if one is under way."""
        item = self._deployment(bundle)
        if item is None or bundle in self.running:
            return False
        self.running.add(bundle)
        try:
            async with self._gate:
                return await self._pass_over(item, self.states[bundle])
        finally:
            self.running.discard(bundle)

    async def _pass_over(self, item: BundleDeployment, state: BundleState) -> bool:
        generation = self._generation(item)
        asked = self._syncs.begin(item.bundle, self._clock.now())
        if asked is not None and asked.request.dry_run:
            return await self._previewed(asked, item, state)
        moving = is_moving(state, Order(item, generation))
        try:
            order = await self._order(item, generation)
            raw = await self._outcome(state, order, moving, asked)
        except Exception as error:  # one bundle's surprise must not stop the others
            _log.exception("pass failed", extra={"bundle": item.bundle})
            raw = failed_bundle("internal", f"the agent failed with {type(error).__name__}")
        if asked is not None:
            self._syncs.passed(asked, Order(item, generation), state, raw)
        state.failures_in_a_row = state.failures_in_a_row + 1 if raw.failed else 0
        if raw.failed and moving and not is_endless(raw):
            state.attempts_failed += 1
        limit = item.options.retry.limit
        gave_up = moving and limit is not None and state.attempts_failed > limit
        if gave_up and limit is not None:
            outcome = given_up(raw, limit)
        else:
            outcome = soften(raw, state.outcome, state.failures_in_a_row, moving=moving)
        state.outcome = outcome
        now = self._clock.now()
        if self._version(item) != self._version(self._deployment(item.bundle)):
            state.next_look = None
            return False
        state.next_look = NEVER if gave_up else self._look_again(item, state, raw, now)
        told = self._telling.tell(Order(item, generation), state, outcome, now, moving=moving)
        return told or asked is not None

    async def _previewed(self, asked: Asked, item: BundleDeployment, state: BundleState) -> bool:
        """Answer a dry run; the bundle's state and next look stay as they are."""
        order = Order(item, self._generation(item))
        try:
            order = asked.ordered(await self._order(item, order.generation))
            cluster = acting_for(self._cluster, item, state)
            seen = await preview(Site(cluster, item.bundle, self._settings), state, order)
        except Exception as error:  # as in a pass
            _log.exception("dry run failed", extra={"bundle": item.bundle})
            what = f"the agent failed with {type(error).__name__}"
            seen = Seen(failure=failed_bundle("internal", what))
        self._syncs.seen(asked, order, seen)
        return True

    async def _outcome(
        self, state: BundleState, order: Order, moving: bool, asked: Asked | None
    ) -> Outcome:
        item = order.deployment
        if not is_as_named(item):
            message = "its variables and options are not what its digest says; nothing was applied"
            return failed_bundle("digest", message)
        if parent_name(item.bundle) in self._broken:
            return await self._read_again(item.bundle)
        if moving and not item.is_absent and self.target is not None:
            reasons = held_by(item, self.target, self._reporter.now)
            if reasons:
                message = "waits for " + ", ".join(reasons)
                return Outcome(SyncState.WAITING, "dependency", message, pending=True)
        version = self._version(item)
        if asked is not None:
            order = asked.ordered(order)
        cluster = acting_for(self._cluster, item, state)
        site = Site(
            cluster if asked is None else asked.through(cluster),
            item.bundle,
            self._settings,
            lambda: self._version(self._deployment(item.bundle)) != version,
        )
        return await reconcile(site, self._store, state, order, self._clock.now())

    async def _read_again(self, bundle: str) -> Outcome:
        """Somebody broke the inventory; perhaps it was mended."""
        error = self._broken[parent_name(bundle)]
        try:
            found, self._broken = await self._store.load_all()
        except ClusterError as other:
            return failed_bundle(other.code, str(other))
        if bundle in found:
            self.states[bundle].inventory = found[bundle]
        return failed_bundle(error.code, f"{error.what} ({error.at})")

    async def _order(self, item: BundleDeployment, generation: int) -> Order:
        artifact = None if item.is_absent else self._artifacts(item.artifact)
        outcome = self.states[item.bundle].outcome
        lacks_kinds = outcome is not None and outcome.code == "kind-not-found"
        claims = await self._claims(refresh=lacks_kinds)
        wipes, leaving = self._wipes(item, claims), leaving_of(self.target)
        return Order(item, generation, artifact, claims, wipes=wipes, leaving=leaving)

    def _wipes(self, item: BundleDeployment, claims: Claims) -> bool:
        """Is the order to remove a bundle part of one that removes nearly everything?"""
        if not item.is_absent or leaving_of(self.target):
            return False
        absent = {other.bundle for other in self._current() if other.is_absent}
        inventories = {name: state.inventory for name, state in self.states.items()}
        return item.bundle in wiped_bundles(inventories, absent, claims)

    async def _claims(self, *, refresh: bool) -> Claims:
        """What every bundle of the target wants; prepares those that are not prepared yet.

        `refresh` asks the cluster for its kinds again: one that was missing may be served by now.
        """
        assert self.target is not None
        try:
            discovery = await self._cluster.discover(refresh=refresh)
        except ClusterError:
            return Claims(missing=tuple(item.bundle for item in self.target.current))
        current = self.target.current
        prepared = {item.bundle: self._prepared(item, discovery) for item in current}
        made_from: list[object] = [self.target, *prepared.values()]
        if len(made_from) != len(self._claims_from) or any(
            one is not other for one, other in zip(made_from, self._claims_from, strict=True)
        ):
            self._claims_made = claims_of(self.target, prepared, self.states)
            self._claims_from = made_from
        return self._claims_made

    def _prepared(self, item: BundleDeployment, discovery: Discovery) -> Prepared | None:
        """What a bundle wants; `None` if that fails, or is not at hand: its own pass says so."""
        artifact = None if item.is_absent else self._artifacts(item.artifact)
        if artifact is None:
            return None
        try:
            return prepare_for(self.states[item.bundle], item, artifact, discovery)
        except Exception as error:  # one bundle's surprise must not stop the others
            _log.debug("unprepared", extra={"bundle": item.bundle, "error": type(error).__name__})
            return None

    def _look_again(
        self, item: BundleDeployment, state: BundleState, outcome: Outcome, now: datetime
    ) -> datetime:
        if outcome.failed:
            asked = max((item.retry_after_seconds for item in outcome.failures), default=0.0)
            failures, retry = state.failures_in_a_row, item.options.retry
            drawn = delay_seconds(failures, self._settings, self._dice, retry)
            return now + timedelta(seconds=max(asked, drawn))
        restless = any(found.health not in _CALM for found in state.health.values())
        if outcome.pending or restless:
            return now + timedelta(seconds=self._settings.health_interval_seconds)
        if state.touched:
            return now + timedelta(seconds=self._settings.event_delay_seconds)
        check = now + timedelta(seconds=self._settings.check_interval_seconds)
        return min(check, state.full_check or check, outcome.look_again or check)

    def _next_look(self, bundle: str, now: datetime) -> datetime:
        return now if self._syncs.due(bundle, now) else self.states[bundle].next_look or now

    def _current(self) -> tuple[BundleDeployment, ...]:
        return acts_on(self.target)

    def _deployment(self, bundle: str) -> BundleDeployment | None:
        return next((item for item in self._current() if item.bundle == bundle), None)

    def _version(self, item: BundleDeployment | None) -> tuple[Digest, int] | None:
        """What makes two orders for a bundle different."""
        return (item.digest, self._generation(item)) if item is not None else None

    def _generation(self, item: BundleDeployment) -> int:
        return self.target.generations.get(item.bundle, 0) if self.target is not None else 0
