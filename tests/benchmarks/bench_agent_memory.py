"""What one agent takes of memory: its imports one by one, and a real process with 1,000 objects.

The agent is `fleet agent` as users start it, beside a hub and a simulated cluster that this
process serves over HTTP. Resident memory is VmRSS of /proc, so Linux only. Prints; asserts
nothing::

    python -m tests.benchmarks.bench_agent_memory
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from clusters.clock import SystemClock
from clusters.objects import Object
from clusters.simulation import SimulatedCluster
from clusters.simulation.controllers import Controllers
from clusters.simulation.http import serve, write_kubeconfig
from tests.agents.lab import Lab
from tests.agents.memory_hub import CLUSTER
from tests.agents.samples import crd, deployment
from tests.agents.served_hub import TOKEN, ServedHub

ROOT = Path(__file__).resolve().parent.parent.parent
LIMIT_MIB = 80.0
APPS = 250
BUNDLES = 10
CHECK_SECONDS = 5
DEFINITIONS = 20
IMPORTS = "asyncio click fleet.cli agents.cli orjson pydantic aiohttp agents.agent "
IMPORTS += "clusters.kubernetes"
IMPORT_STEPS = f"""
import importlib
def resident():
    for line in open('/proc/self/status'):
        if line.startswith('VmRSS'):
            return line.split()[1]
print('python', resident())
for name in {IMPORTS.split()!r}:
    importlib.import_module(name)
    print('import', name, resident())
"""


def main() -> None:
    """Print both tables."""
    asyncio.run(_measure())


async def _measure() -> None:
    told = subprocess.run(
        [sys.executable, "-c", IMPORT_STEPS], cwd=ROOT, capture_output=True, text=True, check=True
    )
    table = Table()
    for line in told.stdout.splitlines():
        *words, kib = line.split()
        table.row(" ".join(words), int(kib) / 1024)
    with TemporaryDirectory() as folder:
        await _live_agent(Path(folder), Table())


class Table:
    """Rows of a step, its resident memory and what it added."""

    def __init__(self) -> None:
        self._before = 0.0
        click.echo(f"\n{'step':44} {'RSS MiB':>8} {'delta':>7}")

    def row(self, step: str, mib: float) -> None:
        """Print one step."""
        click.echo(f"{step:44} {mib:8.1f} {mib - self._before:+7.1f}")
        self._before = mib


async def _live_agent(folder: Path, table: Table) -> None:
    lab = Lab(folder / "unused")
    lab.cluster = SimulatedCluster(CLUSTER, SystemClock(), controllers=Controllers)
    controllers = asyncio.create_task(lab.cluster.run())
    server = await serve({CLUSTER: lab.cluster})
    write_kubeconfig(folder / "kubeconfig", server)
    async with ServedHub(lab.hub).serving() as hub:
        agent = await _start_agent(folder, hub.url)
        try:
            await _stages(lab, agent.pid, table)
        finally:
            agent.terminate()
            await agent.wait()
            controllers.cancel()
            await asyncio.gather(controllers, return_exceptions=True)
            await server.close()


async def _stages(lab: Lab, pid: int, table: Table) -> None:
    await _until(lambda: bool(lab.hub.registrations))
    await asyncio.sleep(2)
    table.row("a real agent, registered", resident_mib(pid))
    objects = list(_objects())
    for number in range(BUNDLES):
        lab.release(f"bundle-{number}", *objects[number::BUNDLES], run=f"run-{number}")
    await _until(lab.is_settled)
    table.row(f"{len(objects)} objects applied, watched and reported", resident_mib(pid))
    await asyncio.sleep(4 * CHECK_SECONDS)
    table.row("after full checks of all of them", resident_mib(pid))
    peak = status_mib(pid, "VmHWM")
    table.row("the most it ever was", peak)
    click.echo(f"limit {LIMIT_MIB:.0f} MiB: {'kept' if peak <= LIMIT_MIB else 'EXCEEDED'}")
    lab.release("definitions", *_definitions(), run="definitions")
    await _until(lab.is_settled)
    table.row(f"and {DEFINITIONS} CRDs of 1 MB each on top", resident_mib(pid))
    await asyncio.sleep(4 * CHECK_SECONDS)
    table.row("after full checks of all of them", resident_mib(pid))
    table.row("the most it ever was", status_mib(pid, "VmHWM"))


def _objects() -> Iterator[Object]:
    """ServiceAccount, Service, Deployment without replicas and Ingress for each app."""
    for number in range(APPS):
        name = f"app-{number:03}"
        path = {"path": "/", "pathType": "Prefix"}
        backend = {"service": {"name": name, "port": {"number": 80}}}
        rule = {"host": f"{name}.example.com", "http": {"paths": [path | {"backend": backend}]}}
        yield {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
        yield {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name},
            "spec": {"selector": {"app": name}, "ports": [{"port": 80}]},
        }
        yield deployment(name, replicas=0)
        yield {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": name},
            "spec": {"rules": [rule]},
        }


def _definitions() -> Iterator[Object]:
    """CRDs whose schemas are long."""
    for number in range(DEFINITIONS):
        definition = crd(f"widgets{number}", f"Widget{number}")
        schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        schema["properties"] = {
            f"field{index}": {"type": "string", "description": "so it is said " * 6}
            for index in range(8000)
        }
        yield definition


async def _start_agent(folder: Path, hub: str) -> asyncio.subprocess.Process:
    with (folder / "agent.log").open("wb") as log:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "fleet", "agent", "--hub", hub, "--cluster", CLUSTER),
            *("--kubeconfig", str(folder / "kubeconfig"), "--context", CLUSTER),
            *("--state-dir", str(folder / "state"), "--check-interval", str(CHECK_SECONDS)),
            env={**os.environ, "FLEET_TOKEN": TOKEN},
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )


async def _until(holds: Callable[[], bool], seconds: float = 180.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.1)


def resident_mib(pid: int) -> float:
    """What a process has in memory now, in MiB."""
    return status_mib(pid, "VmRSS")


def status_mib(pid: int, field: str) -> float:
    """One line of /proc/PID/status in MiB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field + ":")) / 1024


if __name__ == "__main__":
    main()
