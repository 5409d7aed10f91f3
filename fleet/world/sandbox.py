"""Simulated clusters for people: served until told to stop, with a kubeconfig that leads to them.

Whoever is on this machine can reach them: kubectl sends no token over plain HTTP. Nothing real is
behind them, and no other machine gets there.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from clusters.simulation import KUBERNETES_VERSION
from fleet.world.kubeconfig import Kubeconfig, reserved
from fleet.world.served import ServedClusters

DEFAULT_VERSION = KUBERNETES_VERSION


@dataclass(frozen=True, slots=True)
class Sandbox:
    """What is to be served; `kubeconfig` is `None` for a temporary file."""

    names: tuple[str, ...]
    kubeconfig: Path | None = None
    kubernetes_version: str = DEFAULT_VERSION
    nodes: int = 1
    seed: int = 0
    port: int = 0


Ready = Callable[[Path, Mapping[str, str]], None]


def run(sandbox: Sandbox, ready: Ready) -> Path | None:
    """Serve until SIGINT or SIGTERM; `ready` is told the kubeconfig and each cluster's address.

    Returns the kubeconfig if it stays, see `Kubeconfig`. Errors: `FleetError`.
    """
    with reserved(sandbox.kubeconfig) as kubeconfig:
        asyncio.run(_serve(sandbox, kubeconfig, ready))
    return kubeconfig.path if kubeconfig.stays else None


async def _serve(sandbox: Sandbox, kubeconfig: Kubeconfig, ready: Ready) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    served = ServedClusters(
        sandbox.names,
        seed=sandbox.seed,
        nodes=sandbox.nodes,
        kubernetes_versions=dict.fromkeys(sandbox.names, sandbox.kubernetes_version),
        port=sandbox.port,
        events=True,
    )
    try:
        urls = await served.start()
        kubeconfig.write(urls)
        ready(kubeconfig.path, urls)
        await served.run(stop)
    finally:
        await served.stop()
