"""Served clusters: two that live, with kubectl for them, and one whose clock stands still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from clusters.clock import FakeClock, SystemClock
from clusters.simulation import SimulatedCluster
from clusters.simulation.controllers import Controllers, Timing
from clusters.simulation.http import serve, write_kubeconfig
from tests.clusters.simulation.http.client import Client
from tests.clusters.simulation.http.kubectl import Kubectl

QUICK = Timing(
    pod_ready=(0.05, 0.15),
    job_run=(0.05, 0.15),
    load_balancer=(0.05, 0.1),
    volume=(0.05, 0.1),
)
"""kubectl still sees things happen."""


@pytest.fixture
async def kubectl(tmp_path: Path) -> AsyncIterator[Kubectl]:
    controllers = partial(Controllers, timing=QUICK, events=True)
    clusters = {
        name: SimulatedCluster(name, SystemClock(), seed=seed, controllers=controllers)
        for seed, name in enumerate(("prd-1", "stg-1"))
    }
    running = [asyncio.ensure_future(cluster.run()) for cluster in clusters.values()]
    server = await serve(clusters)
    write_kubeconfig(tmp_path / "config", server)
    runner = Kubectl(tmp_path, clusters)
    await runner("config", "use-context", "stg-1")
    yield runner
    await server.close()
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    cluster = SimulatedCluster("lab", FakeClock())
    server = await serve({"lab": cluster})
    async with aiohttp.ClientSession() as session:
        found = Client(session, server)
        found.clusters["lab"] = cluster
        yield found
    await server.close()
