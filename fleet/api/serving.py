"""Where a hub listens: one socket, loopback unless told otherwise, and the hub's loop beside it.

::

    async with Serving(hub, access, Listen(port=0)) as serving: …     in a test or another program
    serve(hub, access, Listen())                                      a process of its own

Tokens never cross a network in the clear: without a certificate the hub listens on loopback only,
unless `plain_http` says that something else encrypts. Ends in bounded time, open long polls or not.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import signal
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import uvicorn

from fleet.api.answers import Answers
from fleet.api.app import make_app
from fleet.api.face import HubFace
from fleet.errors import ServeError
from fleet.store.access import Access

log = logging.getLogger(__name__)

DEFAULT_PORT = 8780
SHUTDOWN_SECONDS = 2
BACKLOG = 2048


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    """0: any free one."""
    tls_certificate: str = ""
    tls_key: str = ""
    plain_http: bool = False
    """Listen beyond loopback without TLS: something in front of the hub encrypts."""
    metrics: str = ""
    """`HOST:PORT` for /metrics and /healthz, in the clear and for everybody; empty: nowhere."""


class Serving:
    """A hub that runs and answers while the block runs."""

    def __init__(self, hub: HubFace, access: Access, listen: Listen) -> None:
        self._hub, self._listen = hub, listen
        self._metrics = _Metrics(hub, listen.metrics) if listen.metrics else None
        self._socket = self._bound()
        self._server = _Server(
            uvicorn.Config(
                make_app(hub, access),
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=SHUTDOWN_SECONDS,
                ssl_certfile=listen.tls_certificate or None,
                ssl_keyfile=listen.tls_key or None,
            )
        )
        self._tasks: list[asyncio.Task[None]] = []

    def _bound(self) -> socket.socket:
        """Errors: `ServeError`, with nothing left open."""
        try:
            return bind(self._listen)
        except ServeError:
            if self._metrics is not None:
                self._metrics.close()
            raise

    @property
    def url(self) -> str:
        """Where it answers, for a client on this machine."""
        return url_of(self._socket, "https" if self._listen.tls_certificate else "http")

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._server.serve(sockets=[self._socket])),
            asyncio.create_task(self._hub.run()),
        ]
        while not self._server.started:
            if self._tasks[0].done():
                await self._tasks[0]
                raise ServeError("the hub did not begin to listen", at=self.url)
            await asyncio.sleep(0.01)
        if self._metrics is not None:
            self._metrics.begin()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._metrics is not None:
            await self._metrics.end()
        self._server.should_exit = True
        server, loop = self._tasks
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)
        await server
        self._socket.close()

    @property
    def metrics_url(self) -> str:
        """Where metrics are answered; empty if nowhere."""
        return self._metrics.url if self._metrics is not None else ""

    async def until_ended(self) -> None:
        """Wait for SIGINT or SIGTERM, or for the end of server or loop (which is a failure)."""
        ended = asyncio.Event()
        running = asyncio.get_running_loop()
        for name in (signal.SIGINT, signal.SIGTERM):
            running.add_signal_handler(name, ended.set)
        waiting = asyncio.create_task(ended.wait())
        try:
            await asyncio.wait([waiting, *self._tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
            for name in (signal.SIGINT, signal.SIGTERM):
                running.remove_signal_handler(name)


class _Metrics:
    """The port for Prometheus, beside the one for people and agents."""

    def __init__(self, hub: HubFace, listen: str) -> None:
        """Errors: `ServeError`."""
        from fleet.api.metrics import make_metrics_app

        host, _, port = listen.rpartition(":")
        if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
            raise ServeError(
                f"{listen!r} is no address to listen on",
                fix="give HOST:PORT, for example 127.0.0.1:8782",
                code="cannot-listen",
            )
        # Nothing that is told here is secret, so it may be told in the clear.
        self._socket = bind(Listen(host.strip("[]"), int(port), plain_http=True))
        app = make_metrics_app(Answers(hub.store, hub.location))
        self._server = _Server(
            uvicorn.Config(app, lifespan="off", log_config=None, access_log=False)
        )
        self._task: asyncio.Task[None] | None = None

    @property
    def url(self) -> str:
        """Where it answers."""
        return url_of(self._socket, "http")

    def begin(self) -> None:
        """Answer from now on."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))

    async def end(self) -> None:
        """Answer no more."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        self.close()

    def close(self) -> None:
        """Give the port back."""
        self._socket.close()


class _Server(uvicorn.Server):
    """Signals belong to `Serving`, so that what was opened is closed in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def serve(
    hub: HubFace, access: Access, listen: Listen, ready: Callable[[str], None] = log.info
) -> None:
    """Run until SIGINT or SIGTERM; `ready` is told the address. Errors: `ServeError`."""

    async def main() -> None:
        async with Serving(hub, access, listen) as serving:
            ready(serving.url)
            await serving.until_ended()

    asyncio.run(main())


def bind(listen: Listen) -> socket.socket:
    """A listening socket. Errors: `ServeError` (`port-in-use`, `not-loopback`, `cannot-listen`)."""
    where = f"{listen.host}:{listen.port}"
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            listen.host, listen.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except OSError as error:
        raise _cannot(error, where) from error
    if not (_is_loopback(str(address[0])) or listen.tls_certificate or listen.plain_http):
        raise ServeError(
            "without TLS the hub listens on loopback only: tokens would cross the network",
            at=where,
            fix="give a certificate and key, or --plain-http where a proxy in front encrypts",
            code="not-loopback",
        )
    opened = socket.socket(family, kind, proto)
    try:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        opened.bind(address)
        opened.listen(BACKLOG)
        opened.setblocking(False)
    except OSError as error:
        opened.close()
        raise _cannot(error, where) from error
    return opened


def url_of(opened: socket.socket, scheme: str) -> str:
    """The address of a listening socket."""
    host, port = opened.getsockname()[:2]
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def _cannot(error: OSError, where: str) -> ServeError:
    if error.errno == errno.EADDRINUSE:
        return ServeError(
            "the port is in use",
            at=where,
            fix="is a hub running already? stop it, or choose another port with --port",
            code="port-in-use",
        )
    return ServeError(
        f"the hub cannot listen: {error.strerror or error}",
        at=where,
        fix="choose another address or port with --host and --port",
        code="cannot-listen",
    )
