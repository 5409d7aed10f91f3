"""An API server that says what a test tells it to: scripted answers over real HTTP on loopback."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from aiohttp import web

from clusters.clock import FakeClock
from clusters.kubernetes import KubernetesCluster, Limits
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


def write_kubeconfig(folder: Path, server: str, user: Object, **cluster: Any) -> Path:
    """A kubeconfig with one context; `cluster` are further fields of its cluster."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": server, **cluster}}],
        "users": [{"name": "u", "user": user}],
    }
    path = folder / "kubeconfig"
    path.write_bytes(orjson.dumps(config))
    return path


@asynccontextmanager
async def served(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The script behind a port of 127.0.0.1; its address."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", script.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def connected(
    script: Script, folder: Path, limits: Limits | None = None
) -> AsyncIterator[KubernetesCluster]:
    """The driver, connected to the script."""
    async with served(script) as url:
        config = write_kubeconfig(folder, url, {"token": "first"})
        async with opened(config, script, limits=limits) as cluster:
            yield cluster


@asynccontextmanager
async def opened(config: Path, script: Script, **options: Any) -> AsyncIterator[KubernetesCluster]:
    """The driver as a kubeconfig has it, on the script's clock; closed at the end."""
    cluster = await KubernetesCluster.connect(config, clock=script.clock, **options)
    try:
        yield cluster
    finally:
        await cluster.close()
