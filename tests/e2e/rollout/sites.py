"""A cluster of a story with its agent: simulated Kubernetes, the real agent, no socket between.

The agent asks the hub's desk as its HTTP client would, and gets the same errors. A site that is
`cut` off reaches no hub; one that is `dark` is switched off, cluster, agent and all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from agents.agent import Agent
from agents.errors import HubAnswerError, HubUnreachableError, OfferRefusedError
from agents.protocol import (
    RegisterAnswer,
    RegisterRequest,
    Report,
    ReportAnswer,
    StartRequest,
    Target,
)
from agents.settings import Settings
from clusters.clock import Clock
from clusters.objects import Digest
from clusters.simulation import SimulatedCluster
from clusters.simulation.controllers import Controllers
from fleet.errors import RequestError
from fleet.hub.desk import Desk
from fleet.world.served import seed_of

Answer = TypeVar("Answer")
SETTINGS = Settings(health_interval_seconds=2, events=False, lease_seconds=0)


class Site:
    """One cluster and its agent, stepped by hand."""

    def __init__(
        self, name: str, clock: Clock, folder: Path, way: WayToHub, poll_seconds: float
    ) -> None:
        self.name, self.way = name, way
        self.dark = False
        self.due = clock.now()
        self.cluster = SimulatedCluster(
            name, clock, seed=seed_of(name), controllers=partial(Controllers, nodes=("node-1",))
        )
        self.agent = Agent(
            self.cluster,
            way,
            clock,
            folder,
            name=name,
            incarnation=f"{name}-1",
            seed=seed_of(name),
            settings=replace(SETTINGS, poll_interval_seconds=poll_seconds),
        )

    async def step(self, now: datetime) -> None:
        """Let cluster and agent do what is due; `due` is then when to come again."""
        dues = [self.cluster.step(now), await self.agent.step(now), self.cluster.step(now)]
        self.due = min(due for due in dues[1:] if due is not None)


class WayToHub:
    """An agent's `Hub` without a socket, to whichever hub is open."""

    def __init__(self, cluster: str, ask: Callable[[Callable[[Desk], object]], object]) -> None:
        """`ask` has the open hub's desk do something, or raises `HubUnreachableError`."""
        self.cluster, self._through = cluster, ask
        self.cut = False

    async def register(self, request: RegisterRequest) -> RegisterAnswer:
        """Introduce this incarnation."""
        return self._ask(lambda desk: desk.register(request))

    async def target(self, *, etag: str = "", wait_seconds: float = 0.0) -> Target | None:
        """The target, or `None` if it is unchanged; nobody waits in virtual time."""
        return self._ask(
            lambda desk: None if desk.etag(self.cluster) == etag else desk.target(self.cluster)
        )

    async def start(self, request: StartRequest) -> Target:
        """Start an offer."""
        return self._ask(lambda desk: desk.start(self.cluster, request))

    async def artifact(self, digest: Digest) -> bytes:
        """An artifact's bytes."""
        return self._ask(lambda desk: desk.artifact(self.cluster, digest))

    async def report(self, report: Report) -> ReportAnswer:
        """Tell how things stand."""
        return self._ask(lambda desk: desk.report(report))

    async def close(self) -> None:
        """Nothing to give back."""

    def _ask(self, question: Callable[[Desk], Answer]) -> Answer:
        if self.cut:
            raise HubUnreachableError("the hub does not answer: the line is cut")
        answers: list[Answer] = []
        try:
            self._through(lambda desk: answers.append(question(desk)))
        except RequestError as error:
            if error.status == 409:
                raise OfferRefusedError(error.what, code=error.code) from error
            raise HubAnswerError(error.what, status=error.status) from error
        return answers[0]
