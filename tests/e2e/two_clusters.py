"""The same deeds on a real cluster and on a simulated one, each at the pace of its own clock.

`real` speaks to a control plane of the tests, `simulated` to a simulation: through the same driver,
or directly. Every call is counted.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from agents.apply.order import Stage, stage_of, waves
from agents.health import Assessment, assess
from agents.inventory import ensure_namespace
from agents.protocol import Health
from clusters.clock import Clock, FakeClock, SystemClock
from clusters.cluster import Cluster
from clusters.errors import ConflictError
from clusters.kubernetes import KubernetesCluster
from clusters.objects import Kind, Object, ObjectKey, key_of
from clusters.simulation import SimulatedCluster
from clusters.simulation.controllers import Controllers
from clusters.simulation.http import serve, write_kubeconfig
from tests.controlplane.control_plane import ControlPlane
from tests.controlplane.credentials import CONTEXT

AT_ONCE = 8
"""Requests in flight, as many as an agent has within a stage."""
STEP_SECONDS = 0.25
PATIENCE_SECONDS = 60.0
NODES = 2
Applied = dict[ObjectKey, Object]
Conflicts = dict[ObjectKey, tuple[tuple[str, ...], tuple[str, ...]]]


class Counting:
    """A `Cluster` that counts the calls; a Lease is renewed, Events are told at all times."""

    def __init__(self, inner: Cluster, calls: Counter[str] | None = None) -> None:
        self._inner = inner
        self.calls: Counter[str] = Counter() if calls is None else calls

    def __getattr__(self, name: str) -> Any:
        deed = getattr(self._inner, name)

        def counted(*args: Any, **options: Any) -> Any:
            called = _deed(name, args[0] if args else None)
            self.calls[f"{called} dry" if options.get("dry_run") else called] += 1
            return deed(*args, **options)

        return counted


def _deed(name: str, about: Any) -> str:
    if name == "patch" and about.kind == "Lease":
        return "renew"
    return "tell" if name == "apply" and about["kind"] == "Event" else name


@dataclass
class Side:
    """One of the two."""

    cluster: Cluster
    clock: Clock
    pass_time: Callable[[float], Awaitable[None]]
    calls: Counter[str]

    def acting_as(self, user: str) -> Side:
        """The same side as somebody else; calls are counted together."""
        acting = Counting(self.cluster.as_user(user), self.calls)
        return replace(self, cluster=cast("Cluster", acting))

    async def until(self, holds: Callable[[], Awaitable[bool]], told: str) -> float:
        """Wait until `holds`; how many seconds of its time that took. Fails after a minute."""
        began = self.clock.now()
        while not await holds():
            passed = (self.clock.now() - began).total_seconds()
            assert passed < PATIENCE_SECONDS, f"{told} is not so after {passed:.0f} s"
            await self.pass_time(STEP_SECONDS)
        return (self.clock.now() - began).total_seconds()


@asynccontextmanager
async def real(plane: ControlPlane) -> AsyncIterator[Side]:
    """A control plane whose nodes are there, through the driver."""
    cluster = await KubernetesCluster.connect(plane.kubeconfig, CONTEXT)
    counting = Counting(cluster)
    side = Side(cast("Cluster", counting), SystemClock(), asyncio.sleep, counting.calls)

    async def nodes_are_there() -> bool:
        return len((await cluster.list(Kind("", "Node"))).items) == NODES

    try:
        await side.until(nodes_are_there, "that the nodes are there")
        yield side
    finally:
        await cluster.close()


@asynccontextmanager
async def simulated(folder: Path | None = None) -> AsyncIterator[Side]:
    """A simulated cluster: through the driver and HTTP if there is a folder for a kubeconfig."""
    clock = FakeClock()
    inner = SimulatedCluster("prd-eu-1", clock, seed=7, controllers=Controllers)

    async def pass_time(seconds: float) -> None:
        for _ in range(max(1, round(seconds / STEP_SECONDS))):
            inner.step(clock.now())
            clock.advance(STEP_SECONDS)
        inner.step(clock.now())

    if folder is None:
        direct = Counting(inner)
        yield Side(cast("Cluster", direct), clock, pass_time, direct.calls)
        return
    server = await serve({"prd-eu-1": inner})
    try:
        write_kubeconfig(folder / "simulated", server)
        cluster = await KubernetesCluster.connect(folder / "simulated", "prd-eu-1")
        counting = Counting(cluster)
        try:
            yield Side(cast("Cluster", counting), clock, pass_time, counting.calls)
        finally:
            await cluster.close()
    finally:
        await server.close()


async def apply_all(side: Side, objects: Iterable[Object], manager: str) -> tuple[Applied, float]:
    """Apply in the agent's order; what was stored, and the seconds that it took."""
    began = time.perf_counter()
    wanted = {key_of(obj): obj for obj in objects}
    for name in sorted({key.namespace for key in wanted if key.namespace}):
        await ensure_namespace(side.cluster, name)
    stored: Applied = {}
    for wave in waves(wanted):

        async def write(key: ObjectKey) -> None:
            stored[key] = await side.cluster.apply(wanted[key], manager=manager)

        await each(wave, write)
        if stage_of(wave[0]) is Stage.CRDS:
            await side.until(lambda: _are_served(side, wave), "that kinds are served")  # noqa: B023
    return stored, time.perf_counter() - began


async def _are_served(side: Side, keys: list[ObjectKey]) -> bool:
    """Whether these CRDs are established, and their kinds discovered, which is a while later."""
    found = await health_of(side, keys)
    if any(state.health is not Health.HEALTHY for state in found.values()):
        return False
    discovered = (await side.cluster.discover(refresh=True)).resources
    known = {f"{one.plural}.{kind.group}" for kind, one in discovered.items()}
    return all(key.name in known for key in keys)


async def each(keys: Iterable[ObjectKey], deed: Callable[[ObjectKey], Awaitable[None]]) -> None:
    """`deed` for every key, a bounded number at a time."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def bounded(key: ObjectKey) -> None:
        async with gate:
            await deed(key)

    async with asyncio.TaskGroup() as group:
        for key in keys:
            group.create_task(bounded(key))


async def live_objects(side: Side, keys: Iterable[ObjectKey]) -> dict[ObjectKey, Object | None]:
    """What is there of them now."""
    found: dict[ObjectKey, Object | None] = {}

    async def read(key: ObjectKey) -> None:
        found[key] = await side.cluster.get(key)

    await each(keys, read)
    return found


async def health_of(side: Side, keys: Iterable[ObjectKey]) -> dict[ObjectKey, Assessment]:
    """How they are now."""
    return {key: assess(live) for key, live in (await live_objects(side, keys)).items()}


async def conflicts_of(side: Side, objects: Iterable[Object], manager: str) -> Conflicts:
    """Managers and fields that an apply of these, tried out, is in conflict with; by object."""
    wanted = {key_of(obj): obj for obj in objects}
    found: Conflicts = {}

    async def try_out(key: ObjectKey) -> None:
        try:
            await side.cluster.apply(wanted[key], manager=manager, dry_run=True)
        except ConflictError as error:
            found[key] = (error.managers, tuple(sorted(error.fields)))

    await each(wanted, try_out)
    return found
