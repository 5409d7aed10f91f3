"""The same on real control planes: staging on one, production on another, each with its own agent.

Hub, agents, Git, HTTP and API servers are real, and so is time: everything is waited for. What
happens is as in the stories, in small: an approval, and a release that crashes and is taken back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import cast

import pytest

from agents.agent import Agent
from agents.hub_client import HttpHub
from agents.settings import Settings
from clusters.clock import SystemClock
from clusters.cluster import Cluster
from clusters.kubernetes import KubernetesCluster
from clusters.objects import ObjectKey
from fleet.api.client import ApiClient
from fleet.world.hub import HubProcess
from fleet.world.session import HUB_OPTIONS, free_port
from tests.contracts.real import Tidying, tidy
from tests.controlplane.control_plane import ControlPlane
from tests.controlplane.credentials import CONTEXT
from tests.controlplane.real_cluster import RealCluster
from tests.e2e.rollout.fleet_repository import FleetRepository
from tests.e2e.rollout.people_door import PEOPLE, TOKENS
from tests.e2e.rollout.true_fleet import tag_of

POLICY = """
source: {coalesce: 1s}
stages:
  - {name: staging, group: staging, gates: {after: [{soak: 1s}]}}
  - {name: production, group: production, gates: {before: [{approval: {groups: [sre]}}]}}
onFailure: {action: Rollback}
"""
STAGING, PRODUCTION = "staging-1", "production-1"
WEB = ObjectKey("apps", "Deployment", "shop", "web")
PATIENCE_SECONDS = 90.0
SETTINGS = Settings(health_interval_seconds=0.3, poll_wait_seconds=10, events=False)


class Fleet:
    """A hub process and two clusters."""

    def __init__(self, git: FleetRepository, hub: HubProcess, people: ApiClient) -> None:
        self.git, self.hub, self.people = git, hub, people
        self.clusters: dict[str, Cluster] = {}

    async def runs(self) -> list[dict[str, str]]:
        """The runs, the oldest first."""
        rows = (await asyncio.to_thread(self.people.get, "/v1/runs"))["items"]
        return list(reversed(rows))

    async def image(self, cluster: str) -> tuple[str, int]:
        """What the cluster itself says that it runs: a tag, and how many of it are ready."""
        found = await self.clusters[cluster].get(WEB)
        if found is None:
            return "", 0
        status = found.get("status", {})
        seen = status.get("observedGeneration") == found["metadata"]["generation"]
        updated = min(status.get("readyReplicas", 0), status.get("updatedReplicas", 0))
        return tag_of(found), updated if seen else 0

    async def generation(self, cluster: str) -> int:
        """How often the cluster's Deployment was changed."""
        found = await self.clusters[cluster].get(WEB)
        assert found is not None
        return int(found["metadata"]["generation"])

    async def run_it(self, tag: str, *clusters: str) -> None:
        """Wait until these clusters run that tag, and it is ready."""
        end = time.monotonic() + PATIENCE_SECONDS
        while [await self.image(name) for name in clusters] != [(tag, 1)] * len(clusters):
            assert time.monotonic() < end, f"{tag}: {[await self.image(c) for c in clusters]}"
            await asyncio.sleep(0.2)

    async def push(self, tag: str) -> None:
        """Commit a tag of `web`, and have the hub look."""
        self.git.web(tag)
        self.git.commit(f"web {tag}")
        await asyncio.to_thread(self.people.post, "/v1/source/refresh")

    async def until(self, holds: Callable[[list[dict[str, str]]], bool], told: str) -> None:
        """Wait until the runs are so."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not holds(runs := await self.runs()):
            said = [(run["run"], run["state"], run["reason"]) for run in runs]
            assert time.monotonic() < end, f"not within {PATIENCE_SECONDS:.0f} s: {told}: {said}"
            await asyncio.sleep(0.2)

    def is_vetoed(self) -> bool:
        """Does the hub tell people that something is held by a veto?"""
        return "vetoed" in {problem["code"] for problem in self.people.get("/v1/problems")["items"]}

    async def approve(self, count: int) -> None:
        """Approve the newest of so many runs, as soon as it asks."""
        await self.until(
            lambda runs: len(runs) == count and "approval by sre" in runs[-1]["reason"], "the gate"
        )
        uid = (await self.runs())[-1]["run"]
        with ApiClient(self.hub.url, TOKENS["ana"]) as ana:
            await asyncio.to_thread(ana.post, f"/v1/runs/{uid}/approve")

    async def ends(self, count: int, state: str) -> None:
        """Wait until the newest of so many runs has ended so."""
        await self.until(
            lambda runs: len(runs) == count and runs[-1]["state"] == state, f"{state} of {count}"
        )


@pytest.fixture
async def fleet(
    real_cluster: RealCluster, own_plane: ControlPlane, tmp_path: Path
) -> AsyncIterator[Fleet]:
    """A hub for two real clusters, whose pods do as their images say."""
    if not real_cluster.has_simulated_images:
        pytest.skip("needs a kube-controller-manager, and nodes that take images for words")
    git = FleetRepository(tmp_path / "git", SystemClock(), {"staging": 1, "production": 1})
    git.policy(POLICY)
    git.web("1.0")
    git.commit("The fleet")
    people = tmp_path / "people.yaml"
    people.write_text(PEOPLE, encoding="utf-8")
    people.chmod(0o600)
    options = (*HUB_OPTIONS, "--people", str(people))
    async with AsyncExitStack() as opened:
        opened.callback(git.close)
        port = free_port()
        hub = opened.enter_context(HubProcess(tmp_path, str(git.root), port=port, options=options))
        made = Fleet(git, hub, opened.enter_context(hub.client()))
        shared = (real_cluster.kubeconfig, real_cluster.context or CONTEXT)
        await opened.enter_async_context(agent_of(made, STAGING, *shared, tmp_path, tidies=True))
        own = (own_plane.kubeconfig, CONTEXT)
        await opened.enter_async_context(agent_of(made, PRODUCTION, *own, tmp_path, tidies=False))
        yield made


@asynccontextmanager
async def agent_of(
    fleet: Fleet, name: str, kubeconfig: Path, context: str, folder: Path, *, tidies: bool
) -> AsyncIterator[None]:
    """The agent of one cluster over HTTP; `tidies`: what it made there goes at the end."""
    cluster = await KubernetesCluster.connect(kubeconfig, context)
    tidying = Tidying(cluster)
    fleet.clusters[name] = cluster
    token = fleet.people.post(f"/v1/clusters/{name}/token")["token"]
    way = HttpHub(fleet.hub.url, name, token)
    agent = Agent(
        cast("Cluster", tidying),
        way,
        SystemClock(),
        folder / name,
        name=name,
        incarnation=f"{name}-1",
        settings=SETTINGS,
    )
    running = asyncio.create_task(agent.run(), name=f"agent {name}")
    try:
        yield
    finally:
        agent.stop()
        await asyncio.gather(running, return_exceptions=True)
        await way.close()
        if tidies:
            await tidy(cluster, list(tidying.applied))
        await cluster.close()


async def test_an_approval_and_a_rollback_on_two_real_control_planes(fleet: Fleet) -> None:
    await fleet.approve(1)
    await fleet.ends(1, "Succeeded")
    await fleet.run_it("1.0", STAGING, PRODUCTION)

    await fleet.push("1.1")
    await fleet.until(lambda runs: len(runs) == 2 and "approval" in runs[-1]["reason"], "the gate")
    await fleet.run_it("1.1", STAGING)
    assert await fleet.image(PRODUCTION) == ("1.0", 1), "production waits for a person"
    await fleet.approve(2)
    await fleet.ends(2, "Succeeded")
    await fleet.run_it("1.1", PRODUCTION)

    before = await fleet.generation(PRODUCTION)
    await fleet.push("1.2-crashloop")
    await fleet.ends(3, "RolledBack")
    await fleet.run_it("1.1", STAGING, PRODUCTION)
    assert await fleet.generation(PRODUCTION) == before, "nobody wrote to it"
    with_it = [run for run in await fleet.runs() if run["failed"]]
    assert len(with_it) == 1, "it failed in staging, and was not tried elsewhere"
    await fleet.until(lambda _: fleet.is_vetoed(), "the veto")
