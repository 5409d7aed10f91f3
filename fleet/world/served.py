"""Simulated clusters that live in real time and are served over HTTP on loopback.

    served = ServedClusters(("stg-1", "prd-1"))
    urls = await served.start()       cluster name → address of its API server
    await served.run(stop)            until `stop` is set, or a cluster cannot go on
    await served.stop()

Each has its controllers, so what is applied becomes ready, or fails as its image says. Nothing is
kept on disk: a cluster is gone when it is stopped.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
from collections.abc import Iterable, Mapping
from functools import partial

from clusters.clock import SystemClock
from clusters.simulation import KUBERNETES_VERSION, SimulatedCluster
from clusters.simulation.controllers import Controllers
from clusters.simulation.http import RunningServer, serve
from fleet.errors import FleetError, ServeError


class ServedClusters:
    """Clusters by name; `start` and `stop` on a running event loop."""

    def __init__(
        self,
        names: Iterable[str],
        *,
        seed: int = 0,
        nodes: int = 1,
        kubernetes_versions: Mapping[str, str] | None = None,
        port: int = 0,
        events: bool = False,
    ) -> None:
        """Clusters keep the order of `names`; `kubernetes_versions` is for those that differ.

        With `events` their controllers record Events, for people to read.
        """
        self._names = tuple(names)
        self._seed = seed
        self._nodes = tuple(f"node-{number}" for number in range(1, nodes + 1))
        self._versions = kubernetes_versions or {}
        self._port = port
        self._events = events
        self._tasks: list[asyncio.Task[None]] = []
        self._serving: RunningServer | None = None
        self.clusters: dict[str, SimulatedCluster] = {}

    async def start(self) -> dict[str, str]:
        """Start everything; cluster name → URL of its API server on loopback.

        Errors: `FleetError` without the extra `sim`, `ServeError` if the port is taken.
        """
        _require_schemas()
        for name in self._names:
            self.clusters[name] = self._new_cluster(name)
        try:
            self._serving = await serve(self.clusters, port=self._port)
        except OSError as error:
            raise ServeError(
                f"the clusters cannot be served: {error.strerror}",
                at=f"127.0.0.1:{self._port}",
                fix="choose another port with --port, or leave it out for any free one",
                code="cannot-listen",
            ) from error
        for name, cluster in self.clusters.items():
            self._tasks.append(asyncio.create_task(cluster.run(), name=f"cluster {name}"))
        return {name: self._serving.url_of(name) for name in self.clusters}

    def _new_cluster(self, name: str) -> SimulatedCluster:
        return SimulatedCluster(
            name,
            SystemClock(),
            seed=seed_of(name) + self._seed,
            kubernetes_version=self._versions.get(name) or KUBERNETES_VERSION,
            controllers=partial(Controllers, nodes=self._nodes, events=self._events),
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Wait until `stop` is set. What a cluster's controllers fail with is raised here."""
        waiting = asyncio.ensure_future(stop.wait())
        try:
            done, _ = await asyncio.wait(
                (waiting, *self._tasks), return_when=asyncio.FIRST_COMPLETED
            )
            for task in done:
                task.result()
        finally:
            waiting.cancel()

    async def stop(self) -> None:
        """Stop the controllers and give back the socket."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)  # `run` raises what they raise
        if self._serving:
            await self._serving.close()


def seed_of(name: str) -> int:
    """A seed of its own for each cluster, the same in every run."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def _require_schemas() -> None:
    if importlib.util.find_spec("kubernetes_validate") is None:
        raise FleetError(
            "simulated clusters need Kubernetes' schemas, which are not installed",
            fix="pip install 'fleet-gitops[sim]'",
            code="simulation-missing",
        )
