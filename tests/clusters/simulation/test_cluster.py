"""The simulated cluster behaves as a `Cluster`, with the faults that are set on it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from clusters.clock import Clock, FakeClock
from clusters.errors import UnreachableError
from clusters.simulation import ApiServer, SimulatedCluster
from tests.clusters.simulation.samples import CONFIG_MAP, SETTINGS, config_map

PATIENCE_SECONDS = 10.0


class Recorder:
    """Controllers that only note when they were stepped, and ask to be stepped in an hour."""

    def __init__(self, server: ApiServer, clock: Clock, seed: int) -> None:
        self.seed = seed
        self.steps: list[datetime] = []
        self.stepped = asyncio.Event()

    def step(self, now: datetime) -> datetime | None:
        self.steps.append(now)
        self.stepped.set()
        return now + timedelta(hours=1)

    async def again(self) -> None:
        """Wait for the next step."""
        self.stepped.clear()
        await asyncio.wait_for(self.stepped.wait(), PATIENCE_SECONDS)


async def test_a_partition_refuses_every_call_and_changes_nothing() -> None:
    cluster = SimulatedCluster("lab", FakeClock())
    cluster.faults.partitioned = True
    for call in (
        cluster.version(),
        cluster.discover(),
        cluster.get(SETTINGS),
        cluster.list(CONFIG_MAP),
        cluster.apply(config_map(), manager="m"),
        cluster.patch(SETTINGS, {}, manager="m"),
        cluster.delete(SETTINGS),
    ):
        with pytest.raises(UnreachableError, match="lab"):
            await call
    cluster.faults.partitioned = False
    assert await cluster.get(SETTINGS) is None
    assert await cluster.version() == "v1.37.2"


async def test_a_partition_ends_a_watch_that_runs() -> None:
    cluster = SimulatedCluster("lab", FakeClock())
    watch = cluster.watch(CONFIG_MAP)
    await cluster.apply(config_map(), manager="m")
    assert (await anext(watch)).object["metadata"]["name"] == "settings"
    waiting = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
    cluster.faults.partitioned = True
    with pytest.raises(UnreachableError):
        await asyncio.wait_for(waiting, PATIENCE_SECONDS)


async def test_latency_is_waited_for_on_the_clusters_clock() -> None:
    clock = FakeClock()
    cluster = SimulatedCluster("lab", clock)
    cluster.faults.latency_seconds = 2.0
    call = asyncio.ensure_future(cluster.version())
    await asyncio.sleep(0)
    clock.advance(1.9)
    await asyncio.sleep(0)
    assert not call.done()
    clock.advance(0.2)
    assert await asyncio.wait_for(call, PATIENCE_SECONDS) == "v1.37.2"


async def test_metadata_only_leaves_the_content_out() -> None:
    cluster = SimulatedCluster("lab", FakeClock())
    await cluster.apply(config_map(secret="x"), manager="m")
    listing = await cluster.list(CONFIG_MAP, metadata_only=True)
    assert [item["kind"] for item in listing.items] == ["PartialObjectMetadata"]
    assert "data" not in listing.items[0]
    assert listing.resource_version == cluster.server.resource_version


async def test_controllers_are_given_the_server_the_clock_and_the_seed() -> None:
    cluster = SimulatedCluster("lab", FakeClock(), seed=7, controllers=Recorder)
    assert isinstance(cluster.controllers, Recorder)
    assert cluster.controllers.seed == 7
    now = datetime(2030, 1, 1, tzinfo=UTC)
    assert cluster.step(now) == now + timedelta(hours=1)
    assert SimulatedCluster("bare", FakeClock()).step(now) is None


async def test_run_steps_on_a_change_and_when_something_is_due() -> None:
    clock = FakeClock()
    cluster = SimulatedCluster("lab", clock, controllers=Recorder)
    recorder = cluster.controllers
    assert isinstance(recorder, Recorder)
    running = asyncio.ensure_future(cluster.run())
    await recorder.again()
    await cluster.apply(config_map(), manager="m")
    await recorder.again()
    assert len(recorder.steps) == 2, "one step at the start and one for the change"
    await asyncio.sleep(0)
    clock.advance(3600)
    await recorder.again()
    assert recorder.steps[-1] == datetime(2030, 1, 1, 1, tzinfo=UTC)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
