"""An API server that says what a test tells it to: scripted answers over real HTTP on loopback."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from aiohttp import web
from aiohttp.test_utils import TestServer

from clusters.clock import FakeClock
from clusters.kubernetes import KubernetesCluster
from clusters.objects import Object

Handler = Callable[[web.Request], web.StreamResponse]

PODS = {
    "kind": "APIGroupDiscoveryList",
    "items": [
        {
            "metadata": {"name": ""},
            "versions": [
                {
                    "version": "v1",
                    "resources": [
                        {
                            "resource": plural,
                            "responseKind": {"kind": kind},
                            "scope": "Namespaced",
                            "verbs": ["get", "list"],
                        }
                        for kind, plural in (("Pod", "pods"), ("Secret", "secrets"))
                    ],
                }
            ],
        }
    ],
}
NO_GROUPS: Object = {"kind": "APIGroupDiscoveryList", "items": []}


@dataclass
class Script:
    """Answers by path, and the requests that came."""

    answers: dict[str, Handler | Object] = field(
        default_factory=lambda: {"/api": PODS, "/apis": NO_GROUPS}
    )
    requests: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    clock: FakeClock = field(default_factory=FakeClock)

    def paths(self) -> list[str]:
        """The paths asked for, in order."""
        return [request.path for request in self.requests]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Note the request and answer as told; 404 for what nobody foresaw."""
        self.requests.append(request)
        self.bodies.append(await request.read())
        told = self.answers.get(request.path)
        if told is None:
            return web.Response(status=404, text="404 page not found")
        return told(request) if callable(told) else web.json_response(told)


def write_kubeconfig(folder: Path, server: str, user: Object) -> Path:
    """A kubeconfig with one context."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": server}}],
        "users": [{"name": "u", "user": user}],
    }
    path = folder / "kubeconfig"
    path.write_bytes(orjson.dumps(config))
    return path


@asynccontextmanager
async def connected(script: Script, folder: Path) -> AsyncIterator[KubernetesCluster]:
    """The driver, connected to the script."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", script.answer)
    async with TestServer(app) as server:
        config = write_kubeconfig(folder, str(server.make_url("")), {"token": "first"})
        cluster = await KubernetesCluster.connect(config, clock=script.clock)
        try:
            yield cluster
        finally:
            await cluster.close()
