"""A fleet of a story: Git, hub, agents and simulated clusters in one process, in virtual time.

::

    Git (real) → hub (real store, layout, Kustomize) ← agents (real) → simulated clusters
                  ↑ HTTP, `fleet …` of people with their own tokens

Whoever is due acts, in an order that never changes, then the clock moves to whoever is due next:
nothing sleeps, and a story is the same whenever it runs. The hub can be killed and opened again
from its folder. What people see at a turning point is kept in `boards`.
"""

from __future__ import annotations

import asyncio
import json
import shlex
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

from agents.errors import HubUnreachableError
from clusters.clock import FakeClock
from fleet.api.app import make_app
from fleet.hub.desk import Desk
from fleet.hub.hub import STEP, Hub
from fleet.hub.observing import Observer
from fleet.hub.planning import Planned, make_plan
from fleet.hub.settings import HubSettings
from fleet.model import Tree
from fleet.render import Renderer
from fleet.source import Source
from fleet.store.access import Access
from fleet.store.hub_key import hub_key
from fleet.store.people import read_people
from tests.e2e.rollout.fleet_repository import FleetRepository
from tests.e2e.rollout.mortal_hub import Fate, Killed
from tests.e2e.rollout.people_door import PEOPLE, PeopleDoor
from tests.e2e.rollout.sites import Site, WayToHub
from tests.e2e.rollout.true_fleet import TrueFleet

MONDAY = datetime(2030, 1, 7, 9, tzinfo=UTC)
HOUR, DAY = 3600.0, 86400.0
OPERATOR = "operator-token-of-a-story"
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Pace:
    """How often agents ask and are heard: seldom where a story takes days."""

    poll_seconds: float = 5
    heartbeat_seconds: float = 60


USUAL = Pace()


@dataclass
class World:
    """One fleet; a context. `groups` are cluster groups and how many clusters each has."""

    folder: Path
    renderer: Renderer
    groups: dict[str, int]
    pace: Pace = USUAL
    say: Say = lambda _: None
    fate: Fate = field(default_factory=Fate)
    clock: FakeClock = field(default_factory=lambda: FakeClock(MONDAY))
    kills: int = 0

    def __enter__(self) -> Self:
        self._opened = ExitStack()
        self._mint = (f"token-{number:032d}" for number in count())
        self._plans: dict[str, Planned] = {}
        self.state = self.folder / "hub"
        self.git = FleetRepository(self.folder / "git", self.clock, self.groups)
        self._opened.callback(self.git.close)
        self.true = TrueFleet(self.clock)
        people = self.folder / "people.yaml"
        people.write_text(PEOPLE, encoding="utf-8")
        people.chmod(0o600)
        self._people = read_people(people)
        self._door = self._opened.enter_context(PeopleDoor())
        self.sites: dict[str, Site] = {}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the server of the people, close the hub's store, end Git's processes."""
        self._opened.close()

    def begin(self, message: str = "The fleet") -> None:
        """The first commit, a hub for it, and an agent in every cluster."""
        self.git.commit(message)
        self._source = self._opened.enter_context(Source.open(str(self.git.root)))
        self._open()
        self._opened.callback(self._close_store)
        self.look()
        for name in self.git.clusters:
            way = WayToHub(name, self.ask)
            agent = self.folder / "agents" / name
            site = Site(name, self.clock, agent, way, self.pace.poll_seconds)
            self.sites[name] = site
            self.true.join(site.cluster)

    def _close_store(self) -> None:
        self.store.close()  # the one that is open at the end

    def _open(self) -> None:
        self.store = self.fate.open_store(self.state)
        settings = HubSettings(
            repo=str(self.git.root),
            state_dir=self.state,
            heartbeat_seconds=self.pace.heartbeat_seconds,
        )
        observer = Observer(self.store, self._source, self._plan_of, str(self.git.root))
        self.hub = Hub(
            self.store,
            observer,
            settings,
            self.clock,
            mint=lambda: next(self._mint),
            key=hub_key(self.state),
            rng=Random(1),
        )
        self._hub_due = self._hub_at_the_earliest = self.clock.now()
        self._bell = self.hub.doorbell.listen(STEP)
        self._door.app = make_app(self.hub, Access(self.store, OPERATOR, self._people))

    def _plan_of(self, tree: Tree) -> Planned:
        """What follows from a commit; a hub that is opened again takes it from its renders."""
        if tree.commit not in self._plans:
            self._plans[tree.commit] = make_plan(tree, self.renderer)
        return self._plans[tree.commit]

    def reopen(self) -> None:
        """Kill the hub and start it again: only its folder is left."""
        self.kills += 1
        self.fate.struck = False
        self.store.close()
        self._surely(self._open)
        self._surely(partial(self.hub.look, self.clock.now()))

    def _surely(self, deed: Callable[[], Any]) -> None:
        """Do it, and again if the hub is killed while it does."""
        try:
            deed()
        except Killed:
            self.reopen()

    def ask(self, question: Callable[[Desk], object]) -> object:
        """Have the hub's desk do something for an agent. Errors: `HubUnreachableError`."""
        try:
            return question(self.hub.desk)
        except Killed as error:
            self.reopen()
            raise HubUnreachableError("the hub does not answer: it was killed") from error

    def look(self) -> None:
        """Have the hub look at Git, as a webhook does."""
        self._surely(lambda: self.hub.look(self.clock.now()))

    def push(self, message: str) -> str:
        """Commit everything and have the hub look; the commit."""
        commit = self.git.commit(message)
        self.look()
        return commit

    def revert(self, commit: str) -> str:
        """`git revert`, pushed; the new commit."""
        made = self.git.revert(commit)
        self.look()
        return made

    async def run_for(self, seconds: float) -> None:
        """Let everybody work until the clock has moved that far."""
        end = self.clock.now() + timedelta(seconds=seconds)
        while self.clock.now() < end:
            await self._turn(end)

    async def until(self, holds: Callable[[], bool], told: str, seconds: float = HOUR) -> None:
        """Go on until `holds`; fails, with what people would see, after so many seconds."""
        end = self.clock.now() + timedelta(seconds=seconds)
        while not holds():
            assert self.clock.now() < end, f"not within {seconds:.0f} s: {told}\n{self.status()}"
            await self._turn(end)

    async def _turn(self, end: datetime) -> None:
        now = self.clock.now()
        for site in self.sites.values():
            if site.due <= now and not site.dark:
                await site.step(now)
        await asyncio.sleep(0)  # a bell that was rung rings now
        if self._bell.is_set():
            self._hub_due = self._hub_at_the_earliest
        if self._hub_due <= now:
            self._bell.clear()
            self._surely(partial(self._release, now))
        dues = [site.due for site in self.sites.values() if not site.dark]
        soonest = max(now + timedelta(milliseconds=50), min([*dues, self._hub_due, end]))
        self.clock.advance((soonest - now).total_seconds())

    def _release(self, now: datetime) -> None:
        """A step of the hub; the next one is due in a second at the earliest."""
        _, wake = self.hub.release(now)
        self._hub_at_the_earliest = now + timedelta(seconds=self.hub.settings.advance_seconds)
        self._hub_due = max(self._hub_at_the_earliest, wake)

    def fleet(self, person: str, *words: str) -> tuple[int, str]:
        """`fleet …` of a person; whoever is not answered by a hub that was killed asks again."""
        done = self._door.fleet(person, *words)
        while self.fate.struck:
            self.reopen()
            done = self._door.fleet(person, *words)
        return done

    def must(self, person: str, *words: str) -> str:
        """`fleet …` that is not refused; what it printed."""
        code, said = self.fleet(person, *words)
        assert code == 0, said
        return said

    def status(self) -> str:
        """How far the live runs are."""
        return self.must("ana", "rollout", "status")

    def board(self, turning_point: str, *commands: str, person: str = "ana") -> str:
        """Show what people see now: a headline, and each command with what it prints."""
        moment = f"{self.clock.now():%a %H:%M:%S}"
        parts = [f"── {moment}  {turning_point}"]
        for command in commands or ("rollout status",):
            said = self.fleet(person, *shlex.split(command))[1]
            parts.append(f"$ fleet {command}\n{said.rstrip()}")
        text = "\n".join(parts) + "\n"
        self.say(text)
        return text

    def runs(self, bundle: str = "") -> list[dict[str, Any]]:
        """Rows of all runs (of one bundle), the oldest first."""
        with self.store.read() as c:
            rows = c.execute(
                "SELECT DISTINCT r.* FROM run r JOIN run_bundle b ON b.run = r.uid"
                " WHERE ? IN ('', b.bundle) ORDER BY number",
                (bundle,),
            )
            return [dict(row) for row in rows]

    def newest(self, bundle: str) -> dict[str, Any]:
        """The newest run of a bundle."""
        return self.runs(bundle)[-1]

    def has(self, bundle: str, *states: str) -> Callable[[], bool]:
        """Is the newest run of the bundle in one of these states? To be asked of `until`."""
        return lambda: bool(self.runs(bundle)) and self.newest(bundle)["state"] in states

    def gates_of(self, run: Mapping[str, Any]) -> list[str]:
        """The kinds of gates of a run's plan, before and after its stages."""
        stages = json.loads(run["plan"])["stages"]
        return [gate["kind"] for stage in stages for gate in (*stage["before"], *stage["after"])]

    def gated(self, bundle: str, stage: str, state: str = "GatedBefore") -> Callable[[], bool]:
        """Is that stage of the bundle's newest run gated (or so)? To be asked of `until`."""

        def holds() -> bool:
            stages = json.loads(self.newest(bundle)["stages"])
            return any(s["name"] == stage and s["state"] == state for s in stages)

        return holds

    def decisions(self) -> list[dict[str, Any]]:
        """Every decision of people, the oldest first."""
        with self.store.read() as c:
            return [dict(row) for row in c.execute("SELECT * FROM decision ORDER BY number")]

    def events(self, run: str = "", kind: str = "") -> list[dict[str, Any]]:
        """Every event (of a run, of a kind), the oldest first."""
        with self.store.read() as c:
            asked = "SELECT * FROM event WHERE ? IN ('', run) AND ? IN ('', kind) ORDER BY number"
            return [dict(row) for row in c.execute(asked, (run, kind))]

    def vetoes(self) -> set[tuple[str, str]]:
        """(bundle, digest) of everything that is or was vetoed."""
        with self.store.read() as c:
            return {tuple(row) for row in c.execute("SELECT bundle, digest FROM veto")}

    def offline(self) -> list[str]:
        """The clusters that the hub takes for offline, sorted."""
        with self.store.read() as c:
            rows = c.execute("SELECT cluster FROM agent WHERE NOT online ORDER BY cluster")
            return [row["cluster"] for row in rows]

    def live_lanes(self) -> list[str]:
        """Runs of the catch-up lane that have not ended."""
        return [
            run["uid"] for run in self.runs() if run["lane"] != "staged" and not run["ended_at"]
        ]

    def is_converged(self) -> bool:
        """Does the hub say that every cluster runs what Git wants, healthy?"""
        with self.store.read() as c:
            (late,) = c.execute(
                "SELECT count(*) FROM bundle_deployment WHERE wanted <> reported"
                " OR sync <> 'Synced' OR health <> 'Healthy'"
            ).fetchone()
        return bool(late == 0)

    def is_quiet(self) -> bool:
        """Has every run ended?"""
        return bool(self.runs()) and all(run["ended_at"] for run in self.runs())

    def cut(self, names: Iterable[str], *, off: bool) -> None:
        """Cut these clusters off from the hub, or let them reach it again."""
        for name in names:
            self.sites[name].way.cut = off

    def darken(self, names: Iterable[str], *, off: bool) -> None:
        """Switch these clusters off with all that is in them, or on again."""
        for name in names:
            self.sites[name].dark = off
            self.sites[name].due = self.clock.now()
