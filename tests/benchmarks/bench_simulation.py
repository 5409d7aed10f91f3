"""What a simulated cluster takes: memory while idle, time of each operation, also by HTTP.

In process, a call is a function call. By HTTP, another process is the client, so that only the
server's work counts; the ratio to the same call in process is the price of the protocol. Memory is
what tracemalloc counts for clusters that have nothing to do, beside the canonical bytes of their
objects. Ratios matter, absolute figures do not. Prints; asserts nothing::

    python -m tests.benchmarks.bench_simulation
"""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import aiohttp
import click
import orjson

from clusters.clock import FakeClock
from clusters.objects import Object, canonical_bytes, key_of
from clusters.simulation import ApiServer, SimulatedCluster
from clusters.simulation.controllers import Controllers
from clusters.simulation.http import RunningServer, serve
from clusters.simulation.http.protobuf import read_protobuf
from tests.clusters.simulation.http.client import protobuf_body
from tests.clusters.simulation.http.test_protobuf import new
from tests.clusters.simulation.samples import CONFIG_MAP, DEPLOYMENT, config_map, deployment

ROOT = Path(__file__).resolve().parents[2]
CLUSTERS = 200
CALLS = 2000
LISTED = 100
AT_ONCE = 8
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
APPLY = "application/apply-patch+yaml"

Costs = dict[str, float]
"""Operation → seconds of processor time each."""


@click.command()
@click.option("--client", hidden=True, help="Send requests (JSON) to this address.")
def main(client: str | None) -> None:
    """Print the figures."""
    if client:
        asyncio.run(_send(client, orjson.loads(sys.stdin.buffer.read())))
        return
    _memory()
    inside = _in_process()
    asyncio.run(_by_http(inside))


def _memory() -> None:
    _idle_clusters(1)  # what all clusters share is there from now on
    for what, controllers in (("without controllers", None), ("with controllers", Controllers)):
        gc.collect()
        tracemalloc.start()
        found = _idle_clusters(CLUSTERS, controllers)
        gc.collect()
        kib = tracemalloc.get_traced_memory()[0] / CLUSTERS / 1024
        tracemalloc.stop()
        objects = list(_objects(found[0].server))
        held = sum(len(canonical_bytes(obj)) for obj in objects) / 1024
        click.echo(
            f"idle cluster, {what:20} {kib:7.1f} KiB with {len(objects)} objects of"
            f" {held:.1f} KiB as JSON"
        )


def _idle_clusters(count: int, controllers: Any = None) -> list[SimulatedCluster]:
    clock = FakeClock()
    found = [SimulatedCluster(f"c-{n}", clock, controllers=controllers) for n in range(count)]
    for cluster in found:
        cluster.step(clock.now())
    return found


def _objects(server: ApiServer) -> Iterator[Object]:
    for traits in server.catalog.all():
        yield from server.peek_all(traits.kind)


def _in_process() -> Costs:
    server = ApiServer(FakeClock(), 1, "lab")
    maps = [config_map(f"map-{n}", a="1") for n in range(CALLS)]
    apps = [deployment(name=f"web-{n}") for n in range(CALLS)]
    costs: Costs = {}

    def timed(what: str, call: Callable[[Any], object], over: list[Any]) -> None:
        begin = process_time()
        for item in over:
            call(item)
        costs[what] = (process_time() - begin) / len(over)
        click.echo(f"in process: {what:34} {costs[what] * 1e6:7.0f} µs {1 / costs[what]:8.0f}/s")

    timed("create a ConfigMap", lambda obj: server.create(obj, manager="m"), maps)
    timed("get it", lambda obj: server.get(key_of(obj)), maps)
    timed("apply a Deployment (creates)", lambda obj: server.apply(obj, manager="m"), apps)
    timed("apply it (changes nothing)", lambda obj: server.apply(obj, manager="m"), apps)
    changed = [deployment(replicas=7, name=f"web-{n}") for n in range(CALLS)]
    timed("apply it (changes a field)", lambda obj: server.apply(obj, manager="m"), changed)
    pages = [None] * 50
    timed(f"list {LISTED} Deployments", lambda _: server.list(DEPLOYMENT, limit=LISTED), pages)
    watch = server.watch(CONFIG_MAP, resource_version=server.resource_version, limit=2 * CALLS)
    timed("delete a ConfigMap", lambda obj: server.delete(key_of(obj)), maps)
    begin = process_time()
    events = len(watch.poll())
    each = (process_time() - begin) / max(events, 1)
    click.echo(f"in process: {'an event of a watch':34} {each * 1e6:7.0f} µs, {events} waiting")
    body = protobuf_body("v1", "ConfigMap", new("ConfigMap", data={"a": "1"}))
    timed("read a protobuf body", read_protobuf, [body] * CALLS)
    return costs


async def _by_http(inside: Costs) -> None:
    server = await serve({"lab": SimulatedCluster("lab", FakeClock())})
    head = {"Content-Type": "application/json"}
    names = range(CALLS)
    maps: list[Any] = [("POST", CONFIG_MAPS, head, config_map(f"map-{n}", a="1")) for n in names]
    gets: list[Any] = [("GET", f"{CONFIG_MAPS}/map-{n}", {}, None) for n in names]
    apply = {"Content-Type": APPLY}
    where = f"{DEPLOYMENTS}/web-%d?fieldManager=m"
    apps: list[Any] = [("PATCH", where % n, apply, deployment(name=f"web-{n}")) for n in names]
    pages: list[Any] = [("GET", f"{DEPLOYMENTS}?limit={LISTED}", {}, None)] * 50
    drops: list[Any] = [("DELETE", f"{CONFIG_MAPS}/map-{n}", {}, None) for n in names]
    for what, requests in (
        ("create a ConfigMap", maps),
        ("get it", gets),
        ("apply a Deployment (creates)", apps),
        ("apply it (changes nothing)", apps),
        (f"list {LISTED} Deployments", pages),
        ("delete a ConfigMap", drops),
    ):
        await _one_kind(server, what, requests, inside[what])
    await server.close()


async def _one_kind(
    server: RunningServer, what: str, requests: list[Any], inside_seconds: float
) -> None:
    command = (sys.executable, "-m", "tests.benchmarks.bench_simulation", "--client")
    client = await asyncio.create_subprocess_exec(
        *command,
        server.url_of("lab"),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    begin = process_time()
    out, _ = await client.communicate(orjson.dumps(requests))
    each, rate = (process_time() - begin) / len(requests), float(out)
    click.echo(
        f"by HTTP:    {what:34} {each * 1e6:7.0f} µs {rate:8.0f}/s"
        f"  {each / inside_seconds:5.1f} × in process"
    )


async def _send(address: str, requests: list[Any]) -> None:
    """The client process: prints requests per second."""
    waiting = iter([(*rest, body and orjson.dumps(body)) for *rest, body in requests])

    async def work(session: aiohttp.ClientSession) -> None:
        for method, path, headers, data in waiting:
            async with session.request(
                method, address + path, headers=headers, data=data
            ) as answer:
                await answer.read()
                answer.raise_for_status()

    async with aiohttp.ClientSession() as session:
        begin = perf_counter()
        await asyncio.gather(*(work(session) for _ in range(AT_ONCE)))
        click.echo(str(len(requests) / (perf_counter() - begin)))


if __name__ == "__main__":
    main()
