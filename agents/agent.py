"""The pull agent: it holds one cluster to its target, and tells the hub how that goes.

::

    step(now)   lease → poll → passes over the bundles that are due → report → copy; when next
    run()       the same as loops beside each other, each at its own pace, and watches:
                leasing    keeps the cluster to itself (`lease`), or waits for whoever has it
                polling    holds a request open until the target changes
                working    starts a pass for every bundle that is due, never two of one bundle
                telling    gathers news for a moment, and sends heartbeats
                keeping    has the cluster keep a copy of target and artifacts (`keeping`)
                announcing makes Kubernetes Events of changes of state

On start it takes up the last target from disk, or from the cluster where the disk is empty, so it
heals without the hub. `step` is for tests and simulated time; both drive the same parts.

What it never does: apply what the hub has not granted or signed, act on a target older than one it
held, or write to the cluster while another agent may.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

from agents.announcing import Announcer
from agents.cache import Cache
from agents.errors import LeaseLostError
from agents.holdings import Holdings
from agents.hub_client import Hub
from agents.keeping import Keeping
from agents.lease import Hold, Lease
from agents.leaving import has_left, in_words, leaving_of
from agents.link import Link
from agents.protocol import DeploymentReport, Target
from agents.reporting import Reporter
from agents.settings import Settings
from agents.standing import Standing
from agents.telling import Telling
from agents.trust import Trust
from agents.watching import Place, Watches
from clusters.clock import Clock
from clusters.cluster import Cluster
from clusters.errors import ClusterError
from clusters.objects import Kind

_log = logging.getLogger(__name__)


class Agent:
    """One incarnation of the agent of one cluster."""

    def __init__(
        self,
        cluster: Cluster,
        hub: Hub,
        clock: Clock,
        state_dir: Path,
        *,
        name: str,
        incarnation: str,
        seed: int = 0,
        settings: Settings | None = None,
        version: str = "",
        hub_key: str = "",
        host: str = "",
    ) -> None:
        """`name` is the cluster's; `incarnation` is new for every process start; `seed` is
        of the dice that spread retries; `hub_key` is whom to believe, if that is known; `host`
        tells people where this agent runs.

        Errors: `StateError` if the state directory cannot be used, `AgentError` for a bad key.
        """
        self._cluster = cluster
        self._clock = clock
        self._settings = settings = settings or Settings()
        dice = Random(seed)
        self._reporter = Reporter(name, incarnation)
        cache = Cache(state_dir)
        trust = Trust(cache, hub_key)
        self._link = Link(hub, cache, trust, name, incarnation, settings, dice)
        self._link.facts["agent_version"] = version
        self._lease = Lease(cluster, cache.identity(f"{host or name}_{incarnation}"), settings)
        self._keeping = Keeping(cluster, name, self._link, cache)
        self._announcer = Announcer(cluster, clock)
        telling = Telling(self._reporter, self._announcer, self._settings.reported_objects)
        self._holdings = Holdings(cluster, clock, settings, dice, telling, self._link.artifact)
        self._watches = Watches(cluster, clock, settings, dice, self._holdings, self._wake_worker)
        self._work, self._news, self._stop = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._looked, self._to_keep = asyncio.Event(), asyncio.Event()
        self._turned: datetime | None = None
        self._passes: set[asyncio.Task[None]] = set()
        self._facts_due: datetime | None = None
        self._fatal: Exception | None = None
        self._adopt()

    @property
    def target(self) -> Target | None:
        """The target that the agent acts on."""
        return self._holdings.target

    @property
    def reports(self) -> dict[str, DeploymentReport]:
        """How things stand, by bundle; what the hub is told."""
        return dict(self._reporter.now)

    @property
    def waits_for(self) -> str:
        """The agent that holds this cluster while this one waits; empty if this one may work."""
        return self._lease.waits_for

    def standing(self) -> Standing:
        """How the agent stands, for probes and metrics."""
        turned = self._turned or self._clock.now()
        return Standing(
            cluster=self._reporter.cluster,
            version=str(self._link.facts["agent_version"]),
            opened=self._holdings.opened,
            has_target=self._holdings.target is not None,
            registered=self._link.registered is not None,
            polls_failed=self._link.polls_failed,
            seconds_since_turn=(self._clock.now() - turned).total_seconds(),
            reports=self.reports,
            passes=self._reporter.passes,
            has_left=has_left(self._holdings.target),
        )

    async def step(self, now: datetime) -> datetime:
        """Do all that is due; when to come again. Errors: those that end the process."""
        await self._lease.step(now)
        if self._lease.waits_for:
            return self._lease.next_look or now
        await self._open()
        if self._link.next_poll is None or self._link.next_poll <= now:
            await self._poll(now, wait_seconds=0.0)
        if self._may_write():
            due = self._holdings.due(now)
            await asyncio.gather(*(self._holdings.pass_over(bundle) for bundle in due))
            await self._holdings.tidy()
            await self._keep()
        await self._tell(now)
        await self._announce()
        soon = now + timedelta(seconds=self._settings.health_interval_seconds)
        times = [self._link.next_poll, self._link.next_tell, self._lease.next_look]
        times.append(self._holdings.next_look(now) if self._may_write() else None)
        if not self._holdings.opened:
            times.append(soon)
        return max(now, min((at for at in times if at is not None), default=soon))

    async def run(self) -> None:
        """Go on until `stop`. Errors: `HubUnauthorizedError` and other ends of the process."""
        loops = [
            asyncio.create_task(self._guarded(loop()), name=loop.__name__)
            for loop in (
                self._leasing,
                self._polling,
                self._working,
                self._telling,
                self._keep_up,
                self._announcing,
            )
        ]
        try:
            await self._stop.wait()
        finally:
            for task in loops:
                task.cancel()
            await asyncio.gather(*loops, return_exceptions=True)
            await self._watches.close()
        if not isinstance(self._fatal, LeaseLostError):
            await self._lease.release()
        if self._fatal is not None:
            raise self._fatal

    def stop(self) -> None:
        """End `run` soon; what is under way stays as a kill would leave it."""
        self._stop.set()

    async def _guarded(self, loop: Coroutine[None, None, None]) -> None:
        """A loop that ends by an error ends the process with it."""
        try:
            await loop
        except Exception as error:
            self._fatal = error
            self.stop()

    async def _leasing(self) -> None:
        """Two agents must never write to one cluster: without the Lease nothing goes on here."""
        while True:
            await self._lease.step(self._clock.now())
            self._wake_worker()
            if not self._may_write():
                for task in self._passes:
                    task.cancel()
            if self._lease.next_look is None:
                return
            wait = (self._lease.next_look - self._clock.now()).total_seconds()
            await self._clock.sleep(max(wait, self._settings.poll_pause_seconds))

    async def _polling(self) -> None:
        patience = timedelta(seconds=self._settings.first_look_seconds)
        await self._wait(self._looked, self._clock.now() + patience)
        while True:
            await self._poll(self._clock.now(), wait_seconds=self._settings.poll_wait_seconds)
            wait = self._settings.poll_pause_seconds
            if not self._may_ask():
                wait = self._settings.health_interval_seconds
            if self._link.polls_failed and self._link.next_poll is not None:
                wait = (self._link.next_poll - self._clock.now()).total_seconds()
            await self._clock.sleep(max(wait, self._settings.poll_pause_seconds))

    async def _working(self) -> None:
        try:
            while True:
                self._work.clear()
                self._turned = self._clock.now()
                if self._is_the_one():
                    await self._open()
                if self._may_write():
                    await self._holdings.tidy()
                    self._watches.keep(self._watched())
                    self._start_passes()
                await asyncio.sleep(0)
                await self._wait(self._work, self._next_work(self._clock.now()))
        finally:
            for task in self._passes:
                task.cancel()
            await asyncio.gather(*self._passes, return_exceptions=True)

    def _start_passes(self) -> None:
        for bundle in self._holdings.due(self._clock.now()):
            task = asyncio.create_task(self._one_pass(bundle), name=f"pass {bundle}")
            self._passes.add(task)
            task.add_done_callback(self._passes.discard)

    def _next_work(self, now: datetime) -> datetime | None:
        return self._holdings.next_look(now) if self._may_write() else None

    async def _one_pass(self, bundle: str) -> None:
        if await self._holdings.pass_over(bundle):
            self._news.set()
        self._wake_worker()

    async def _telling(self) -> None:
        while True:
            self._news.clear()
            await self._tell(self._clock.now())
            await self._wait(self._news, self._link.next_tell)
            await self._clock.sleep(self._settings.report_delay_seconds)

    async def _tell(self, now: datetime) -> None:
        done = has_left(self._holdings.target) and not self._holdings.running
        if done != bool(self._link.facts.get("left", False)):
            self._link.facts["left"] = done
            self._link.next_tell = now
        await self._link.tell(self._reporter, now)

    async def _keep_up(self) -> None:
        while True:
            self._to_keep.clear()
            await self._keep()
            await self._wait(self._to_keep, None)

    async def _keep(self) -> None:
        target = self._holdings.target
        if target is not None and self._may_write():
            await self._keeping.keep(target)

    async def _announcing(self) -> None:
        while True:
            await self._announce()
            await self._clock.sleep(self._settings.events_pause_seconds)

    async def _announce(self) -> None:
        if self._settings.events and self._may_write():
            await self._announcer.tell()

    async def _wait(self, event: asyncio.Event, until: datetime | None) -> None:
        """Until the event, or that moment; without one, at most a heartbeat's while."""
        seconds = self._settings.health_interval_seconds
        if until is not None:
            seconds = max(0.0, (until - self._clock.now()).total_seconds())
        alarm = asyncio.ensure_future(self._clock.sleep(seconds))
        rung = asyncio.ensure_future(event.wait())
        try:
            await asyncio.wait((alarm, rung), return_when=asyncio.FIRST_COMPLETED)
        finally:
            alarm.cancel()
            rung.cancel()

    async def _open(self) -> None:
        """Learn of the cluster, and read the inventories once; until then nothing is applied."""
        await self._learn_facts()
        if await self._keeping.recall():
            self._adopt()
        if not self._holdings.opened:
            try:
                await self._holdings.open()
            except ClusterError as error:
                _log.warning("cluster unread", extra={"reason": str(error)})
        self._looked.set()

    def _may_write(self) -> bool:
        return self._lease.hold(self._clock.now()) is Hold.HELD

    def _may_ask(self) -> bool:
        """A hub is asked by the one agent, and when it is known whom to believe, if anybody."""
        return self._is_the_one() and self._keeping.knows_whom_to_believe

    def _is_the_one(self) -> bool:
        """As far as can be known, does no other agent work in this cluster?"""
        return self._lease.asked and not self._lease.waits_for

    async def _learn_facts(self) -> None:
        now = self._clock.now()
        if self._facts_due is not None and now < self._facts_due:
            return
        self._facts_due = now + timedelta(seconds=self._settings.health_interval_seconds)
        try:
            self._link.facts["kubernetes_version"] = await self._cluster.version()
            nodes = await self._cluster.list(Kind("", "Node"), metadata_only=True)
            self._link.facts["nodes"] = len(nodes.items)
            self._facts_due = now + timedelta(seconds=self._settings.check_interval_seconds)
        except ClusterError as error:
            _log.debug("facts unread", extra={"reason": str(error)})

    async def _poll(self, now: datetime, *, wait_seconds: float) -> None:
        if not self._may_ask():
            return
        registered = self._link.registered
        await self._link.poll(now, wait_seconds=wait_seconds)
        if self._link.registered is not registered:
            self._news.set()
        self._adopt()
        target = self._link.target
        # Only what the hub itself has just said counts: a request on disk may be long over.
        if target is not None and not self._link.polls_failed and self._holdings.ask(target.syncs):
            self._wake_worker()

    def _adopt(self) -> None:
        """Act on what the link accepted."""
        target = self._link.target
        if target is not None and target is not self._holdings.target:
            if target.leaving is not leaving_of(self._holdings.target):
                what = {"meaning": in_words(target.leaving)}
                _log.warning("fleet membership changed", extra=what)
            self._holdings.accept(target)
            self._wake_worker()
        if self._holdings.artifacts_arrived():
            self._wake_worker()
        self._to_keep.set()

    def _watched(self) -> frozenset[Place]:
        return self._holdings.places() if self._holdings.opened else frozenset()

    def _wake_worker(self) -> None:
        self._work.set()
