"""A whole fleet in a time of its own: a real hub over real Git and the real tools, agents in time.

Nothing waits: the clock jumps to the next moment at which the hub, an agent or a person has
something to do. Renders are kept outside of the hub's folder, so that fleets share them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from clusters.clock import FakeClock
from fleet.hub.hub import Hub
from fleet.hub.observing import Observer
from fleet.hub.planning import make_plan
from fleet.hub.settings import HubSettings
from fleet.render import Renderer
from fleet.source import Source
from fleet.store import open_store
from fleet.store.hub_key import hub_key
from tests.e2e.rollout_history.timed_agent import Ran, TimedAgent
from tests.e2e.rollout_history.watching import Watcher

HEARTBEAT_SECONDS = 300
"""Slow, so that hours of soaking are few steps."""
BEAT = timedelta(seconds=HEARTBEAT_SECONDS)
BEATS_FROM = datetime(2030, 1, 1, tzinfo=UTC)
STEPS_AT_A_MOMENT = 60

Person = Callable[["FleetInTime"], datetime | None]
"""Decides what is due; when to be asked again."""


class FleetInTime:
    """One hub, its repository, its agents. Close it."""

    def __init__(self, repository: Path, folder: Path, renderer: Renderer, start: datetime) -> None:
        folder.mkdir(parents=True)
        self.clock = FakeClock(start)
        self.store = open_store(folder)
        self.truth: list[Ran] = []
        """What the clusters ran in fact, in order."""
        self.people: list[Person] = []
        self.agents: dict[str, TimedAgent] = {}
        self.watcher = Watcher()
        self._source = Source.open(str(repository))
        self._wakes: dict[str, datetime] = {}
        observer = Observer(
            self.store, self._source, functools.partial(make_plan, renderer=renderer)
        )
        settings = HubSettings(str(repository), folder, heartbeat_seconds=HEARTBEAT_SECONDS)
        names = (f"token-{number:032d}" for number in range(1_000_000))
        self.hub = Hub(
            self.store,
            observer,
            settings,
            self.clock,
            mint=lambda: next(names),
            key=hub_key(folder),
            rng=Random(1),
        )

    def close(self) -> None:
        """Give everything back."""
        self._source.close()
        self.store.close()

    @property
    def now(self) -> datetime:
        """The moment."""
        return self.clock.now()

    def look(self) -> None:
        """The hub hears of a push and plans it."""
        assert self.hub.look(self.now), self.rows("SELECT code, what, at FROM problem")

    def join(self, clusters: Iterable[str]) -> None:
        """Agents of these clusters come up."""
        for name in clusters:
            self.agents[name] = TimedAgent(name, self.truth)

    def until(self, end: datetime) -> None:
        """Let everybody act until then."""
        while True:
            then = self._moment()
            if then >= end:
                break
            self._jump(then)
        self._jump(end)

    def _jump(self, then: datetime) -> None:
        self.clock.advance((then - self.now).total_seconds())

    def _moment(self) -> datetime:
        """Everything that happens now; when something happens next."""
        mail = self._mail()
        for _ in range(STEPS_AT_A_MOMENT):
            for name, agent in self.agents.items():
                self._turn(name, agent, mail)
            _, wake = self.hub.release(self.now)
            asks = [at for person in self.people if (at := person(self)) is not None]
            ahead = [wake, *asks, *self._wakes.values()]
            with self.store.read() as c:
                self.watcher.look(c, self.now)
            mail = self._mail()
            if min(ahead) > self.now and not mail:
                return min(ahead)
        raise AssertionError(f"the fleet does not come to rest at {self.now}")

    def _mail(self) -> set[str]:
        """The agents to whom the hub says something that they have not read."""
        rows = self.rows("SELECT name, serial FROM cluster")
        known = ((row["name"], row["serial"]) for row in rows if row["name"] in self.agents)
        return {name for name, serial in known if self.agents[name].read < serial}

    def _turn(self, name: str, agent: TimedAgent, mail: set[str]) -> None:
        due = self._wakes.get(name)
        if due is not None and due > self.now and name not in mail:
            return
        # All beat at the same moments, so that a quiet hour is a few of them.
        beats = (self.now - BEATS_FROM) // BEAT + 1
        beat = BEATS_FROM + beats * BEAT
        turned = agent.turn(self.hub.desk, self.now, has_mail=name in mail)
        self._wakes[name] = min(turned or beat, beat)

    def rows(self, sql: str, *values: Any) -> list[dict[str, Any]]:
        """What the store says."""
        with self.store.read() as c:
            return [dict(row) for row in c.execute(sql, values)]
