"""The hub: one process that looks at Git, releases in stages and answers agents and people.

::

    loop      step(now): look at Git when due (in a thread), mark who is offline, propose, advance
    requests  `desk`: agents and people, each one transaction, at any time
    bell      whoever waits for a change: long polls of agents, and the loop itself

Kill it at any point: everything that matters is in the store before anybody is told, and a new
process steps from the rows alone. After a start nobody counts as offline before a heartbeat was
due: a hub that was away cannot know. It never contacts a cluster.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from random import Random
from typing import Any

from clusters.clock import Clock
from fleet.errors import RequestError
from fleet.hub.asking import Asker
from fleet.hub.desk import Desk
from fleet.hub.doorbell import Doorbell
from fleet.hub.measuring import OpenGate
from fleet.hub.observing import Observer
from fleet.hub.releasing import Releaser, preview
from fleet.hub.retention import forget
from fleet.hub.settings import HubSettings
from fleet.model import Problem, Severity
from fleet.source import Polling
from fleet.store import Store
from fleet.store.agents import mark_offline, next_offline, rivals, troubles
from fleet.store.events import replace_problems
from fleet.store.hub_key import HubKey
from fleet.store.leaving import forget_silent
from fleet.store.syncs import end_overdue, next_end

log = logging.getLogger(__name__)

STEP = "*step*"
"""What the loop listens for; no cluster has such a name."""


class Hub:
    """One hub over one store and one repository."""

    def __init__(
        self,
        store: Store,
        observer: Observer,
        settings: HubSettings,
        clock: Clock,
        *,
        mint: Callable[[], str],
        key: HubKey,
        rng: Random,
    ) -> None:
        self.store, self.settings, self.clock = store, settings, clock
        self.doorbell = Doorbell()
        self.desk = Desk(store, settings, clock, self.doorbell, mint, key, self._news)
        self._observer, self._releaser = observer, Releaser(store, settings)
        self._asker = Asker(store, clock)
        self._polling = Polling(timedelta(seconds=settings.poll_seconds), settings.poll_jitter)
        self._rng = rng
        self._started = clock.now()
        self._next_poll = self._started
        self._looking: asyncio.Task[None] | None = None
        self._asking: asyncio.Task[None] | None = None
        self._odd_agents: list[Problem] | None = None

    async def step(self, now: datetime) -> datetime:
        """Do what is due; answers when to step next if nobody rings before. Writes the store."""
        if self._looking is None and now >= self._next_poll:
            self._next_poll = self._polling.next_poll(now, self._rng)
            self._looking = asyncio.create_task(self._look(now))
        changed, wake = await asyncio.to_thread(self.release, now)
        self.doorbell.ring(changed)
        return min(wake, self._next_poll, self._ask_machines(now))

    @property
    def is_asking(self) -> bool:
        """Does it wait for a machine that a gate asked?"""
        return self._asking is not None

    def _ask_machines(self, now: datetime) -> datetime:
        """Begin to ask for gates if any is due; when the next one is."""
        far = now + timedelta(days=1)
        if self._asking is not None:
            return far
        due, then = self._asker.due(self._releaser.open_gates(), now)
        if due:
            self._asking = asyncio.create_task(self._ask(self._releaser.questions(due)))
        return then or far

    async def _ask(self, due: list[OpenGate]) -> None:
        try:
            for gate in await self._asker.ask(due):
                self._news(gate.run.changes, gate.run.bundles)
        except Exception:
            # As with a step: the rows are as they were, the next step asks again.
            log.exception("asking for gates failed")  # it is tried again
        finally:
            self._asking = None
            self.doorbell.ring([STEP])

    async def run(self) -> None:
        """Step until cancelled, at most once in `advance_seconds`; then nobody is held any more."""
        try:
            while True:
                bell = self.doorbell.listen(STEP)
                try:
                    await self._turn(bell)
                finally:
                    self.doorbell.forget(STEP, bell)
        finally:
            # Held requests of agents are answered now; else they are cut off with an error each.
            self.doorbell.close()
            tasks = [task for task in (self._looking, self._asking) if task is not None]
            if tasks:
                await asyncio.wait(tasks)

    async def _turn(self, bell: asyncio.Event) -> None:
        now = self.clock.now()
        try:
            wake = await self.step(now)
        except Exception:
            # The top of the loop: the rows are as they were, the next step tries again.
            log.exception("step failed")  # it is tried again
            wake = now
        await self.clock.sleep(self.settings.advance_seconds)
        rest = (wake - self.clock.now()).total_seconds()
        if rest <= 0 or bell.is_set():
            return
        await self._until(bell, rest)

    async def _until(self, bell: asyncio.Event, seconds: float) -> None:
        rung = asyncio.create_task(bell.wait())
        slept = asyncio.create_task(_sleep(self.clock, seconds))
        try:
            await asyncio.wait({rung, slept}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            rung.cancel()
            slept.cancel()
            await asyncio.gather(rung, slept, return_exceptions=True)

    async def _look(self, now: datetime) -> None:
        try:
            if await asyncio.to_thread(self.look, now):
                self.doorbell.ring([STEP])
            await asyncio.to_thread(self.forget, now)
        except Exception:
            # Looking never raises, and what is left of the past is whole: the next look goes on.
            log.exception("history not pruned")
        finally:
            self._looking = None

    def look(self, now: datetime) -> bool:
        """Look at Git and plan what is new; blocks. Is there a new plan?"""
        if not self._observer.look(now):
            return False
        self._releaser.wants_proposal = True
        return True

    def forget(self, now: datetime) -> None:
        """Forget what no policy keeps any more; blocks, and is called while nobody looks at Git."""
        planned, older = self._observer.planned, self._observer.as_of.values()
        if planned is not None:
            asked = {digest for some in older for digest in some.values() if digest}
            forget(self.store, planned.book, now, asked)

    def release(self, now: datetime) -> tuple[set[str], datetime]:
        """Propose and advance; blocks. Whose target changed, and when to be asked again."""
        self._mark_offline(now)
        changed, next_sync = self._end_syncs(now)
        changed |= self._observer.take_moved()
        planned, commit = self._observer.planned, self._observer.commit
        if self._releaser.wants(now) and planned is not None and commit is not None:
            self._releaser.as_of = self._observer.as_of
            changed |= self._releaser.propose(planned, commit, now)
            if self._observer.ask(self._releaser.asked):
                self._next_poll = now
        moved, wake = self._releaser.advance(now)
        wakes = (wake, self._releaser.proposal_due, self._next_silence(now), next_sync)
        return changed | moved, min(filter(None, wakes))

    def refresh(self) -> None:
        """Look at Git at once instead of at the next poll."""
        self._next_poll = self.clock.now()
        self.doorbell.ring([STEP])

    def preview(self) -> dict[str, Any]:
        """The runs that it would make now; writes nothing. Errors: `RequestError`."""
        planned, commit = self._observer.planned, self._observer.commit
        if planned is None or commit is None:
            raise RequestError(
                "the hub has planned no commit yet",
                fix="wait until it has read the repository; see `fleet status`",
                code="nothing-planned",
            )
        return preview(self.store, planned, commit, self.clock.now())

    @property
    def location(self) -> str:
        """The repository that it follows, without credentials."""
        return self._observer.location

    def _news(self, clusters: Iterable[str], bundles: Iterable[str] | None = None) -> None:
        """These bundles changed there; without any: who is there changed."""
        if bundles is not None:
            self._releaser.news(clusters, bundles)
        else:
            self._releaser.news(clusters)
            self._releaser.wants_proposal = True
        self.doorbell.ring([STEP])

    def _mark_offline(self, now: datetime) -> None:
        silence = timedelta(seconds=self.settings.offline_seconds)
        with self.store.read() as c:
            odd = [_rival(name) for name in rivals(c, now - silence)]
            odd += [_refuses(name, why) for name, why in troubles(c).items()]
            oldest = next_offline(c)
        late = oldest is not None and oldest < now - silence and self._started < now - silence
        if not late and odd == self._odd_agents:
            return
        with self.store.write() as c:
            replace_problems(c, "agents", odd, now)
            gone = mark_offline(c, now - silence, now) if late else []
            forget_silent(c, now)
        self._odd_agents = odd
        if gone:
            self._news(gone)

    def _end_syncs(self, now: datetime) -> tuple[set[str], datetime | None]:
        """End the syncs whose time is up; whose target changed, and when the next one is over."""
        with self.store.read() as c:
            due = next_end(c)
        if due is None or due > now:
            return set(), due
        with self.store.write() as c:
            return set(end_overdue(c, now)), next_end(c)

    def _next_silence(self, now: datetime) -> datetime:
        """When somebody could be offline next; at the latest in a heartbeat's time."""
        return now + timedelta(seconds=self.settings.heartbeat_seconds)


async def _sleep(clock: Clock, seconds: float) -> None:
    await clock.sleep(seconds)


def _refuses(cluster: str, why: str) -> Problem:
    return Problem(
        "agent-refuses",
        Severity.ERROR,
        f"the agent of cluster {cluster} does not follow this hub: {why}",
        cluster,
        "if the hub is the right one, give the agent its key: start it with --hub-key, which"
        " `fleet hub-key` prints; a hub that was restored from a backup must raise its epoch",
        "",
        cluster,
    )


def _rival(cluster: str) -> Problem:
    return Problem(
        "two-agents",
        Severity.ERROR,
        f"two agents run for cluster {cluster}; the one that registered last is listened to",
        cluster,
        "stop one of them, or give the other cluster a name and token of its own",
        "",
        cluster,
    )
