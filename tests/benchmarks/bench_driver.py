"""What one request costs the driver, in its own processor time: applies, gets and listings.

A simulated cluster is served over HTTP by another process, so that only the client's work counts.
`--profile` shows where it goes. Prints; asserts nothing::

    python -m tests.benchmarks.bench_driver [--profile]
"""

from __future__ import annotations

import asyncio
import cProfile
import pstats
import subprocess
import sys
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import click

from clusters.clock import SystemClock
from clusters.kubernetes import KubernetesCluster
from clusters.objects import Kind, key_of
from clusters.simulation import SimulatedCluster
from clusters.simulation.http import serve, write_kubeconfig
from tests.contracts.subject import deployment

ROOT = Path(__file__).resolve().parent.parent.parent
OBJECTS = 1000
AT_ONCE = 8


@click.command()
@click.option("--profile", is_flag=True, help="Show where the time goes.")
@click.option("--serve", "folder", type=click.Path(path_type=Path), hidden=True)
def main(profile: bool, folder: Path | None) -> None:
    """Time the requests of one driver."""
    if folder is not None:
        asyncio.run(_serve(folder))
        return
    with TemporaryDirectory() as name:
        config = Path(name) / "kubeconfig"
        command = (sys.executable, "-m", "tests.benchmarks.bench_driver", "--serve", name)
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE) as server:
            assert server.stdout is not None
            server.stdout.readline()
            try:
                _run(config, profile)
            finally:
                server.kill()


def _run(config: Path, profile: bool) -> None:
    if not profile:
        asyncio.run(_measure(config))
        return
    profiler = cProfile.Profile()
    profiler.runcall(asyncio.run, _measure(config))
    pstats.Stats(profiler).sort_stats("tottime").print_stats(45)


async def _serve(folder: Path) -> None:
    """Serve a cluster without controllers until killed."""
    server = await serve({"lab": SimulatedCluster("lab", SystemClock())})
    write_kubeconfig(folder / "kubeconfig", server)
    click.echo("ready")
    await asyncio.Event().wait()


async def _measure(config: Path) -> None:
    cluster = await KubernetesCluster.connect(config, "lab")
    objects = [deployment() for _ in range(OBJECTS)]
    for number, obj in enumerate(objects):
        obj["metadata"] = obj["metadata"] | {"name": f"web-{number:04}"}
    try:
        await cluster.discover()
        await cluster.version()
        apply = [partial(cluster.apply, obj, manager="m") for obj in objects]
        await _time("apply (creates)", apply)
        await _time("apply (changes nothing)", apply)
        await _time("get", [partial(cluster.get, key_of(obj)) for obj in objects])
        kind = Kind("apps", "Deployment")
        await _time(f"list of {OBJECTS}", [partial(cluster.list, kind)] * 5)
        slim = [partial(cluster.list, kind, metadata_only=True)] * 5
        await _time(f"list of {OBJECTS}, metadata only", slim)
    finally:
        await cluster.close()


async def _time(what: str, calls: Sequence[Callable[[], Awaitable[object]]]) -> None:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(call: Callable[[], Awaitable[object]]) -> None:
        async with gate:
            await call()

    wall, cpu = perf_counter(), process_time()
    await asyncio.gather(*(one(call) for call in calls))
    wall, cpu = perf_counter() - wall, process_time() - cpu
    each = cpu / len(calls) * 1000
    click.echo(f"{what:32} {each:7.3f} ms CPU each {len(calls) / wall:7.0f}/s")


if __name__ == "__main__":
    main()
