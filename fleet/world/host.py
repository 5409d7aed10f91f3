"""Simulated clusters with their agents on one event loop: what a Ray actor is a shell of.

Each cluster is a whole simulated Kubernetes with controllers; its agent talks to it in process and
to the hub over real HTTP, as it would in production. The clusters are also served over HTTP on
loopback, so that people (and the demo's `kubectl`) can reach into them.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from agents.agent import Agent
from agents.hub_client import HttpHub
from agents.settings import Settings
from clusters.clock import SystemClock
from clusters.simulation import SimulatedCluster
from fleet.world.served import ServedClusters, seed_of

AGENT_SETTINGS = Settings(health_interval_seconds=0.5, poll_wait_seconds=20, events=False)
"""Quick enough to watch; everything else is as in production."""


@dataclass(frozen=True, slots=True)
class HostSpec:
    """What one host runs. Picklable: it travels to a Ray actor."""

    hub_url: str
    tokens: dict[str, str] = field(repr=False)
    """Cluster name → the token of its agent."""
    state_dir: Path
    kubernetes_versions: dict[str, str] = field(default_factory=dict)
    port: int = 0


class Host:
    """Clusters and agents of one spec; `start` and `stop` on a running event loop."""

    def __init__(self, spec: HostSpec) -> None:
        self._spec = spec
        self._served = ServedClusters(
            sorted(spec.tokens), kubernetes_versions=spec.kubernetes_versions, port=spec.port
        )
        self._agents: list[asyncio.Task[None]] = []
        self._hubs: list[HttpHub] = []

    async def start(self) -> dict[str, str]:
        """Start everything; cluster name → URL of its API server on loopback."""
        urls = await self._served.start()
        clock = SystemClock()
        for name, cluster in self._served.clusters.items():
            self._start_agent(name, cluster, clock)
        return urls

    def _start_agent(self, name: str, cluster: SimulatedCluster, clock: SystemClock) -> None:
        hub = HttpHub(self._spec.hub_url, name, self._spec.tokens[name])
        self._hubs.append(hub)
        agent = Agent(
            cluster,
            hub,
            clock,
            self._spec.state_dir / name,
            name=name,
            incarnation=secrets.token_hex(8),
            settings=AGENT_SETTINGS,
            seed=seed_of(name),
        )
        self._agents.append(asyncio.create_task(agent.run(), name=f"agent {name}"))

    async def stop(self) -> None:
        """Stop agents and clusters and give back their sockets."""
        for task in self._agents:
            task.cancel()
        for task in self._agents:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        for hub in self._hubs:
            await hub.close()
        await self._served.stop()
