"""Two API servers side by side: a real one that is left alone, and the simulation."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp

from clusters.clock import SystemClock
from clusters.kubernetes.credentials import Wanted, read_access
from clusters.objects import Object, key_of
from clusters.simulation import SimulatedCluster
from clusters.simulation.http import serve
from clusters.simulation.server.builtin import BUILT_IN
from tests.contracts.requests import JSON, Player, Server
from tests.contracts.sequences import Operation, widgets
from tests.controlplane.control_plane import ControlPlane
from tests.controlplane.programs import Programs

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
PATIENCE_SECONDS = 20.0
_APPLY = "application/apply-patch+yaml"
_ACCOUNT = "/api/v1/namespaces/examples/serviceaccounts/default"
_ACCOUNT_OF_PODS = {
    "apiVersion": "v1",
    "kind": "ServiceAccount",
    "metadata": {"name": "default", "namespace": "examples"},
}
"""No controller makes it here, and no Pod is admitted without it."""


@dataclass
class Pair:
    """Both servers, and a loop to speak to them in."""

    runner: asyncio.Runner
    simulated: Server
    real: Server
    _tags: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def play(self, operations: Sequence[Operation]) -> list[str]:
        """Play a sequence on both, up to the first step whose answers differ: what differs."""
        return self.runner.run(self._play(operations))

    def store(self, example: Object) -> list[str]:
        """Apply an object to both, label it as somebody else, read and delete it: what differs."""
        return self.runner.run(self._store(example))

    async def _store(self, example: Object) -> list[str]:
        answers = []
        for server in (self.simulated, self.real):
            player = Player(server, "examples")
            await player.begin()
            await server.send(
                "PATCH", _ACCOUNT, {"fieldManager": "setup"}, _ACCOUNT_OF_PODS, _APPLY, JSON
            )
            answers.append([answer async for answer in _stored(player, example)])
        pairs = zip(*answers, strict=True)
        return [text for one, other in pairs for text in differences(one, other)]

    def ask(self, server: Server, path: str, accept: str = JSON) -> Any:
        """The body of a GET from one of them."""
        return self.runner.run(server.send("GET", path, {}, None, "", accept))[1]

    async def _play(self, operations: Sequence[Operation]) -> list[str]:
        tag = f"s{next(self._tags):06}"
        players = Player(self.simulated, tag), Player(self.real, tag)
        for player in players:
            await player.begin()
        for number, operation in enumerate(operations):
            one, other = [await player.play(operation) for player in players]
            found = list(differences(one, other))
            if found:
                steps = [f"    {step}" for step in operations[: number + 1]]
                return ["after these steps the answers differ:", *steps, *found]
        return []


async def _stored(player: Player, example: Object) -> AsyncIterator[Any]:
    key = key_of(example, "examples")
    traits = BUILT_IN[key.kind_key]
    root = "/apis/" if key.group else "/api/"
    place = "/namespaces/examples" if traits.resource.namespaced else ""
    path = f"{root}{example['apiVersion']}{place}/{traits.resource.plural}/{key.name}"
    label = {"metadata": {"labels": {"color": "red"}}}
    for method, query, body, media in (
        ("PATCH", {"fieldManager": "m"}, example, _APPLY),
        ("PATCH", {"fieldManager": "n"}, label, "application/merge-patch+json"),
        ("GET", {}, None, ""),
    ):
        code, answer = await player.server.send(method, path, query, body, media, JSON)
        yield {"code": code, "body": player.comparable(answer)}
    code, _ = await player.server.send("DELETE", path, {}, None, JSON, JSON)
    yield {"code": code}


def differences(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """Where two answers differ; the words of a refusal are shown with that, and not compared."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted({*one, *other} - {"said"}):
            yield from differences(one.get(key, ...), other.get(key, ...), f"{path}.{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (mine, theirs) in enumerate(zip(one, other, strict=True)):
            yield from differences(mine, theirs, f"{path}[{index}]")
    elif one != other or type(one) is not type(other):
        yield f"{path or 'answer'}\n    simulated  {one}\n    real       {other}"


@contextmanager
def open_pair(programs: Programs, folder: Path) -> Iterator[Pair]:
    """Start both; takes some seconds. Errors: `RuntimeError` if a program does not start."""
    alone = replace(programs, controllers=None)
    with ControlPlane(alone, folder, kubelet=False) as plane, asyncio.Runner() as runner:
        context = _servers(plane.kubeconfig)
        simulated, real = runner.run(context.__aenter__())
        try:
            yield Pair(runner, simulated, real)
        finally:
            runner.run(context.__aexit__(None, None, None))


@asynccontextmanager
async def _servers(kubeconfig: Path) -> AsyncIterator[tuple[Server, Server]]:
    wanted = Wanted(kubeconfig, None, in_cluster=False, allow_exec=False)
    access = await read_access(wanted, SystemClock().now())
    served = await serve({"lab": SimulatedCluster("lab", SystemClock(), seed=7)})
    assert access.tls is not None
    real_session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(ssl=access.tls),
        headers={"Authorization": access.authorization},
    )
    try:
        async with real_session, aiohttp.ClientSession() as session:
            servers = Server(session, served.url_of("lab")), Server(real_session, access.url)
            for server in servers:
                await _define_widgets(server)
            yield servers
    finally:
        await served.close()


async def _define_widgets(server: Server) -> None:
    await server.send("POST", DEFINITIONS, {}, widgets(), JSON, JSON)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while (await server.send("GET", "/apis/example.com/v1/widgets", {}, None, "", JSON))[
            0
        ] != 200:
            await asyncio.sleep(0.05)
