"""A laboratory for agents: a hub in memory, one simulated cluster, a clock that stands still.

`Lab` drives agent and cluster in turn, so nothing in a test waits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

from agents.agent import Agent
from agents.protocol import (
    Artifact,
    BundleDeployment,
    DeploymentReport,
    Health,
    Hook,
    Options,
    SyncState,
)
from agents.settings import Settings
from clusters.clock import FakeClock
from clusters.errors import KindNotFoundError, NotFoundError
from clusters.objects import Object, ObjectKey
from clusters.simulation import SimulatedCluster
from clusters.simulation.controllers import Controllers
from tests.agents.memory_hub import CLUSTER, MemoryHub
from tests.agents.recorder import Recorder

TEST_SETTINGS = Settings(
    poll_interval_seconds=1,
    health_interval_seconds=0.5,
    check_interval_seconds=60,
    backoff_first_seconds=1,
    events=False,
)


@dataclass
class Lab:
    """One cluster, one hub, and as many incarnations of the agent as a test wants."""

    state_dir: Path
    settings: Settings = TEST_SETTINGS
    clock: FakeClock = field(default_factory=FakeClock)
    hub: MemoryHub = field(default_factory=MemoryHub)
    incarnations: int = 0

    def __post_init__(self) -> None:
        self.cluster = SimulatedCluster(CLUSTER, self.clock, controllers=Controllers)
        self.recorder = Recorder(self.cluster)
        self.agent = self.new_agent()

    def new_agent(self) -> Agent:
        """The next incarnation, on the same disk and cluster."""
        self.incarnations += 1
        self.agent = Agent(
            self.recorder,
            self.hub,
            self.clock,
            self.state_dir,
            name=CLUSTER,
            incarnation=f"inc-{self.incarnations}",
            settings=self.settings,
        )
        return self.agent

    async def run_for(self, seconds: float) -> None:
        """Let agent and cluster work in turn until the clock has moved that far."""
        end = self.clock.now() + timedelta(seconds=seconds)
        while self.clock.now() < end:
            await self.turn(end)

    async def turn(self, end: datetime) -> None:
        """One turn of both, then move the clock to whoever is due next."""
        now = self.clock.now()
        due = self.cluster.step(now)
        wake = await self.agent.step(now)
        due_again = self.cluster.step(now)
        times = [at for at in (due, wake, due_again, end) if at is not None]
        pause = max(0.05, (min(times) - now).total_seconds())
        self.clock.advance(min(pause, (end - now).total_seconds()))

    async def until(self, holds: Callable[[], bool], *, seconds: float = 120) -> None:
        """Go on until `holds`, or fail when the clock has moved too far."""
        end = self.clock.now() + timedelta(seconds=seconds)
        while not holds():
            said = {name: _line(report) for name, report in self.agent.reports.items()}
            assert self.clock.now() < end, f"not within {seconds} s; reported: {said}"
            await self.turn(end)

    async def settled(self, *bundles: str) -> None:
        """Go on until these bundles (or all) are Synced and Healthy under their current digest."""
        await self.until(lambda: self.is_settled(*bundles))

    def is_settled(self, *bundles: str) -> bool:
        """Does the hub know these bundles (or all) to be in order, and is nothing offered?"""
        current = {item.bundle: item for item in self.hub.held.current}
        names = bundles or tuple(current)
        return (
            bool(names)
            and not self.hub.held.offers
            and all(name in current and self.is_in_order(current[name]) for name in names)
        )

    def is_in_order(self, item: BundleDeployment) -> bool:
        """Does the hub know this bundle deployment as Synced and Healthy?"""
        report = self.hub.known.get(item.bundle)
        return (
            report is not None
            and report.digest == item.digest
            and report.sync is SyncState.SYNCED
            and report.health is Health.HEALTHY
        )

    def release(
        self,
        bundle: str,
        *objects: Object,
        hooks: tuple[Hook, ...] = (),
        options: Options | None = None,
        variables: dict[str, str] | None = None,
        run: str = "run",
    ) -> BundleDeployment:
        """Offer a bundle made of these objects."""
        item = self.deployment(bundle, *objects, hooks=hooks, options=options, variables=variables)
        self.hub.offer(run, item)
        return item

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
        chosen = options or Options(namespace="shop")
        return BundleDeployment.of(bundle, digest, variables or {}, chosen)

    def edit(self, key: ObjectKey, patch: Object, manager: str = "kubectl-edit") -> None:
        """A person changes an object by hand."""
        self.cluster.server.patch(key, patch, patch_type="merge", manager=manager)

    def live(self, kind: str, name: str, namespace: str = "shop", group: str = "") -> Object | None:
        """An object in the cluster, `None` if it is not there."""
        try:
            return self.cluster.server.get(ObjectKey(group, kind, namespace, name))
        except (NotFoundError, KindNotFoundError):
            return None

    def there(self, kind: str, name: str, namespace: str = "shop", group: str = "") -> Object:
        """An object that must be in the cluster."""
        found = self.live(kind, name, namespace, group)
        assert found is not None, f"{kind} {namespace}/{name} is not there"
        return found

    def report(self, bundle: str) -> DeploymentReport:
        """What the agent says of a bundle now."""
        return self.agent.reports[bundle]


def _line(report: DeploymentReport) -> str:
    return f"{report.sync} {report.health} {report.code} {report.message}"
