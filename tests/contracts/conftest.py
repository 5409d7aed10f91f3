"""The contract's tests run once for each implementation of `clusters.cluster.Cluster`."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from clusters.clock import FakeClock
from clusters.cluster import Cluster
from clusters.kubernetes import KubernetesCluster
from clusters.simulation import SimulatedCluster
from clusters.simulation.controllers import Controllers
from clusters.simulation.http import serve, write_kubeconfig
from clusters.simulation.server.api import HISTORY_LIMIT
from tests.contracts.pair import Pair, open_pair
from tests.contracts.real import against
from tests.contracts.subject import Subject, config_map
from tests.controlplane.programs import find
from tests.controlplane.real_cluster import MISSING, REQUIRED_VARIABLE, RealCluster

STEP_SECONDS = 0.25


@asynccontextmanager
async def in_process(folder: Path) -> AsyncIterator[Subject]:
    """The simulated cluster itself."""
    clock = FakeClock()
    simulated = _simulated(clock)
    yield _subject(simulated, simulated, clock)


@asynccontextmanager
async def over_http(folder: Path) -> AsyncIterator[Subject]:
    """The driver for real API servers, speaking to the simulation's HTTP face."""
    clock = FakeClock()
    simulated = _simulated(clock)
    server = await serve({"lab": simulated})
    try:
        config = folder / "kubeconfig"
        write_kubeconfig(config, server)
        cluster = await KubernetesCluster.connect(config, "lab")
        try:
            yield _subject(cluster, simulated, clock)
        finally:
            await cluster.close()
    finally:
        await server.close()


SUBJECTS: dict[str, Callable[[Path], AbstractAsyncContextManager[Subject]]] = {
    "simulated": in_process,
    "driver-over-http": over_http,
}
ALL = [*sorted(SUBJECTS), pytest.param("real", marks=pytest.mark.xdist_group("real-cluster"))]


@pytest.fixture(params=ALL)
async def subject(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Subject]:
    """One implementation after the other, each with a cluster of its own."""
    opened = SUBJECTS.get(request.param)
    context = opened(tmp_path) if opened else against(_real(request), tmp_path)
    async with context as found:
        yield found


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """A real API server with nobody else to speak to it, and a simulated one."""
    programs = find()
    if programs is None:
        if os.environ.get(REQUIRED_VARIABLE):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    with open_pair(programs, tmp_path_factory.mktemp("pair")) as opened:
        yield opened


def _real(request: pytest.FixtureRequest) -> RealCluster:
    real: RealCluster = request.getfixturevalue("real_cluster")
    if request.node.get_closest_marker("workloads") and not real.has_simulated_images:
        pytest.skip("needs a kube-controller-manager, and nodes that take images for words")
    return real


def _simulated(clock: FakeClock) -> SimulatedCluster:
    return SimulatedCluster("lab", clock, seed=7, controllers=Controllers)


def _subject(cluster: Cluster, simulated: SimulatedCluster, clock: FakeClock) -> Subject:
    async def pass_time(seconds: float) -> None:
        end = clock.now().timestamp() + seconds
        while clock.now().timestamp() < end:
            simulated.step(clock.now())
            clock.advance(STEP_SECONDS)
        simulated.step(clock.now())

    async def compact() -> None:
        for number in range(HISTORY_LIMIT + 1):
            simulated.server.apply(config_map("churn", n=str(number)), manager="churn")

    def cut_off(value: bool) -> None:
        simulated.faults.partitioned = value

    return Subject(cluster, pass_time, compact, cut_off)
