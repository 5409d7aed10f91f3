"""Agents by themselves on a real control plane: an empty disk, a Lease, and what it costs."""

from __future__ import annotations

import base64
from dataclasses import replace
from random import Random

import pytest

from agents.agent import Agent
from agents.cluster_copy import LABEL
from agents.errors import LeaseLostError
from agents.lease import KEY
from clusters.objects import Kind, ObjectKey
from tests.agents.memory_hub import CLUSTER
from tests.agents.samples import config_map
from tests.e2e.agent.real_lab import SETTINGS, SPACE, RealLab

pytestmark = pytest.mark.slow
QUICK = replace(SETTINGS, lease_seconds=2, lease_renew_seconds=0.5, lease_retry_seconds=0.2)
SETTINGS_MAP = ObjectKey("", "ConfigMap", SPACE, "settings")


def agent_on(lab: RealLab, disk: str) -> Agent:
    """Another process, with a disk of its own."""
    lab.incarnations += 1
    return Agent(
        lab.recorder,
        lab.hub,
        lab.clock,
        lab.folder / disk,
        name=CLUSTER,
        incarnation=f"inc-{lab.incarnations}",
        settings=QUICK,
    )


async def test_an_empty_disk_while_the_hub_is_away_heals_from_the_cluster(
    real: RealLab,
) -> None:
    noise = base64.b64encode(Random(3).randbytes(600_000)).decode()
    real.release("web", config_map(), config_map("big", noise=noise))
    real.release("db", config_map("other", colour="red"))
    await real.synced("web", "db")
    await real.run_for(0.5)
    await real.agent._lease.release()
    kept = await real.cluster.list(Kind("", "Secret"), namespace="fleet-system", labels=LABEL)
    assert len(kept.items) >= 4
    for item in kept.items:
        assert sum(len(value) for value in item["data"].values()) < 1024 * 1024

    real.hub.reachable = False
    await real.cluster.patch(SETTINGS_MAP, {"data": {"colour": "by hand"}}, manager="me")
    real.agent = agent_on(real, "another-node")
    await real.until(lambda: real.agent.reports.keys() == {"web", "db"})
    healed = await real.cluster.get(SETTINGS_MAP)
    assert healed is not None
    assert healed["data"]["colour"] == "blue"
    assert {item.sync.value for item in real.agent.reports.values()} == {"Synced"}


async def test_a_second_agent_waits_and_takes_over_from_one_that_died(real: RealLab) -> None:
    first = real.agent = agent_on(real, "first")
    real.release("web", config_map())
    await real.synced("web")
    second = agent_on(real, "second")
    await second.step(real.clock.now())
    assert second.waits_for
    assert second.reports == {}
    assert [item.incarnation for item in real.hub.registrations] == ["inc-2"]

    real.agent = second
    await real.until(lambda: not second.waits_for and "web" in second.reports)
    lease = await real.cluster.get(KEY)
    assert lease is not None
    assert lease["spec"]["leaseTransitions"] == 1
    with pytest.raises(LeaseLostError):
        await first.step(real.clock.now())


async def test_an_agent_at_rest_writes_its_lease_and_nothing_else(real: RealLab) -> None:
    real.release("web", config_map())
    await real.synced("web")
    await real.run_for(1)
    real.recorder.all_writes.clear()
    before = await real.cluster.get(KEY)
    await real.run_for(3)
    after = await real.cluster.get(KEY)
    assert real.recorder.all_writes == []
    assert before is not None
    assert after is not None
    assert before["spec"]["holderIdentity"] == after["spec"]["holderIdentity"]
