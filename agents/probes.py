"""The port of an agent for the kubelet and for Prometheus: /healthz, /readyz, /metrics. Plain HTTP.

| path | 200 while |
|---|---|
| `/healthz` | the agent turns: its loop came by within `STUCK_SECONDS`; else 503, and it is to be restarted |
| `/readyz` | the cluster's inventories are read and there is a target to hold the cluster to |
| `/metrics` | always: what `agents.metrics` names, as Prometheus reads it |

Nothing here is secret: no token, no field of an object. Imported only by an agent that is asked to
listen, since the libraries behind it take memory. A hub that is away makes no agent unready.
"""  # noqa: E501 - a table's row is one line

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Self

from aiohttp import web

from agents.errors import AgentError
from agents.metrics import CONTENT_TYPE, exposition
from agents.standing import Standing

STUCK_SECONDS = 900.0
"""A loop that was not seen for this long will not come any more."""


class Probes:
    """A listening port while the block runs."""

    def __init__(self, listen: str, standing: Callable[[], Standing]) -> None:
        """`listen` is `HOST:PORT`, port 0 for any free one. Errors: `AgentError`."""
        self._listen = listen
        self._host, self._port = address_of(listen)
        self._standing = standing
        self._runner = web.AppRunner(self._app(), access_log=None, shutdown_timeout=1)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:
            await self._runner.cleanup()
            raise AgentError(
                f"the agent cannot listen: {error.strerror or error}",
                at=self._listen,
                fix="choose another address or port with --metrics-listen",
                code="cannot-listen",
            ) from error
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        """Where it answers."""
        host, port = self._runner.addresses[0][:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    def _app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        return app

    async def _healthz(self, request: web.Request) -> web.Response:
        stuck = self._standing().seconds_since_turn > STUCK_SECONDS
        return _answer(not stuck, "the agent's loop is stuck" if stuck else "ok")

    async def _readyz(self, request: web.Request) -> web.Response:
        standing = self._standing()
        if not standing.opened:
            return _answer(False, "the inventories are not read yet")
        if not standing.has_target:
            return _answer(False, "there is no target yet")
        return _answer(True, "ok")

    async def _metrics(self, request: web.Request) -> web.Response:
        body = exposition(self._standing())
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})


def address_of(listen: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`. Errors: `AgentError` (`cannot-listen`)."""
    host, _, port = listen.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise AgentError(
            f"{listen!r} is no address to listen on",
            fix="give HOST:PORT, for example 127.0.0.1:8781",
            code="cannot-listen",
        )
    return host.strip("[]"), int(port)


def _answer(good: bool, text: str) -> web.Response:
    return web.Response(text=text + "\n", status=200 if good else 503)
