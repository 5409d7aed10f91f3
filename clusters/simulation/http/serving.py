"""The listening socket: many clusters behind one port, each under `/clusters/<name>`."""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from aiohttp import web

from clusters.simulation.cluster import SimulatedCluster
from clusters.simulation.http.streams import WATCHES, Watches
from clusters.simulation.http.verbs import respond

_MAX_BODY_BYTES = 8 * 1024 * 1024
_CLUSTERS = web.AppKey("clusters", Mapping[str, SimulatedCluster])


class RunningServer:
    """Clusters being served; `clusters` may gain and lose entries while it runs."""

    def __init__(
        self,
        runner: web.AppRunner,
        host: str,
        port: int,
        clusters: Mapping[str, SimulatedCluster],
        token: str,
    ) -> None:
        self._runner = runner
        self._clusters = clusters
        self.host = host
        self.port = port
        self.token = token

    @property
    def names(self) -> tuple[str, ...]:
        """The clusters served at present."""
        return tuple(self._clusters)

    def url_of(self, name: str) -> str:
        """The API server address of one cluster."""
        return f"http://{self.host}:{self.port}/clusters/{name}"

    async def close(self) -> None:
        """End all watches, answer what is under way, and give back the port."""
        self._runner.app[WATCHES].end()
        await self._runner.cleanup()


async def serve(
    clusters: Mapping[str, SimulatedCluster],
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    token: str = "",
) -> RunningServer:
    """Serve `clusters` until closed; port 0 takes a free one.

    With `token` every request needs it as bearer token. Errors: `OSError` if the port is taken.
    """
    app = web.Application(client_max_size=_MAX_BODY_BYTES)
    app[_CLUSTERS] = clusters
    app[WATCHES] = Watches()
    wanted = f"Bearer {token}" if token else ""

    async def handle(request: web.Request) -> web.StreamResponse:
        cluster = clusters.get(request.match_info["cluster"])
        if cluster is None:
            return web.json_response({"message": "no such cluster is served here"}, status=404)
        given = request.headers.get("Authorization", "")
        allowed = hmac.compare_digest(given.encode(), wanted.encode()) if wanted else True
        return await respond(cluster, request, allowed=allowed)

    app.router.add_route("*", "/clusters/{cluster}{path:/.*|}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    site = web.TCPSite(runner, host, port)
    await site.start()
    address = runner.addresses[0]
    return RunningServer(runner, host, int(address[1]), clusters, token)
