"""A `MemoryHub` behind HTTP on loopback, with the routes and statuses of the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web
from pydantic import BaseModel

from agents.errors import OfferRefusedError
from agents.protocol import Refusal, RegisterRequest, Report, StartRequest
from tests.agents.memory_hub import MemoryHub

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
TOKEN = "token-of-stg-1"


class ServedHub:
    """The HTTP face; `seen` are the requests, `broken` an answer that overrides all others."""

    def __init__(self, hub: MemoryHub) -> None:
        self.hub = hub
        self.url = ""
        self.seen: list[str] = []
        self.broken: web.Response | None = None
        self._app = web.Application(middlewares=[self._guard])
        self._app.router.add_post("/v1/agents/register", self._register)
        self._app.router.add_get("/v1/clusters/{c}/needs", self._needs)
        self._app.router.add_get("/v1/clusters/{c}/target", self._target)
        self._app.router.add_post("/v1/clusters/{c}/start", self._start)
        self._app.router.add_get("/v1/clusters/{c}/artifacts/{digest}", self._artifact)
        self._app.router.add_post("/v1/clusters/{c}/report", self._report)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[ServedHub]:
        """Listen on a free port of loopback."""
        runner = web.AppRunner(self._app, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        try:
            yield self
        finally:
            await runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.seen.append(f"{request.method} {request.raw_path}")
        if self.broken is not None:
            answer, self.broken = self.broken, None
            return answer
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return _json(Refusal(code="unauthorized", message="no such token"), 401)
        return await handler(request)

    async def _register(self, request: web.Request) -> web.Response:
        body = RegisterRequest.model_validate_json(await request.read())
        return _json(await self.hub.register(body))

    async def _needs(self, request: web.Request) -> web.Response:
        if self.hub.needs is None:
            return _json(Refusal(code="not-found", message="Git declares no cluster stg-1"), 404)
        return _json(self.hub.needs)

    async def _target(self, request: web.Request) -> web.Response:
        etag = request.headers.get("If-None-Match", "")
        wait = float(request.query.get("wait", "0"))
        target = await self.hub.target(etag=etag, wait_seconds=wait)
        return web.Response(status=304) if target is None else _json(target)

    async def _start(self, request: web.Request) -> web.Response:
        body = StartRequest.model_validate_json(await request.read())
        try:
            return _json(await self.hub.start(body))
        except OfferRefusedError as error:
            return _json(Refusal(code=error.code, message=error.what), 409)

    async def _artifact(self, request: web.Request) -> web.Response:
        data = self.hub.artifacts.get(request.match_info["digest"])
        return web.Response(status=404) if data is None else web.Response(body=data)

    async def _report(self, request: web.Request) -> web.Response:
        return _json(await self.hub.report(Report.model_validate_json(await request.read())))


def _json(body: BaseModel, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=body.model_dump_json().encode(), content_type="application/json"
    )
