"""Requests and streams to one API server over one aiohttp session.

Every request has a time limit, and only so many run at once; streams have none of the latter and
end by themselves when nothing has been heard for `IDLE_SECONDS`. What is not a success comes out
as one of `clusters.errors`. A request that gets 401 is sent once more with credentials read
afresh, since tokens expire while an agent runs; a stream leaves that to the listing that follows.

Never retries anything else (the caller knows what may be repeated), follows no redirect.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
from yarl import URL

from clusters.errors import (
    ClusterError,
    TimedOutError,
    UnauthorizedError,
    UnreachableError,
)
from clusters.kubernetes.credentials import Access, Wanted, read_access
from clusters.kubernetes.refusals import Answer, refusal

JSON = "application/json"
CALL_SECONDS = 30.0
"""Time limit of one request, connecting included."""
IDLE_SECONDS = 90.0
"""Silence after which a stream counts as over; an API server bookmarks about once a minute."""
MAX_REQUESTS = 32
"""Requests in flight to one server; streams are not counted."""
MAX_LINE = 64 << 20
"""Bytes of one streamed event."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `subject` says what it is about, for error texts."""

    method: str
    path: str
    subject: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = JSON
    accept: str = JSON
    secret: bool = False
    """The body holds a Secret: nothing that the server says about it may be repeated."""


class Connection:
    """One server, one session; make it with `await Connection.open(wanted)`."""

    def __init__(self, wanted: Wanted, access: Access, user_agent: str) -> None:
        self._wanted = wanted
        self._access = access
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            headers={"User-Agent": user_agent},
            auto_decompress=True,
        )
        self._slots = asyncio.Semaphore(MAX_REQUESTS)

    @classmethod
    async def open(cls, wanted: Wanted, user_agent: str) -> Connection:
        """Read the credentials; nothing is sent yet. Errors: `UnauthorizedError`."""
        return cls(wanted, await read_access(wanted), user_agent)

    @property
    def url(self) -> str:
        """The server's address, without credentials."""
        return self._access.url

    async def close(self) -> None:
        """Give back the connections."""
        await self._session.close()

    async def send(self, request: Request) -> Any:
        """The parsed JSON answer. Errors: all of `clusters.errors`."""
        async with self._slots:
            try:
                return await self._send_once(request)
            except UnauthorizedError:
                if not await self._renewed():
                    raise
                return await self._send_once(request)

    async def lines(self, request: Request) -> AsyncIterator[bytes]:
        """Each line of an endless answer, until the server closes it or falls silent."""
        timeout = aiohttp.ClientTimeout(connect=CALL_SECONDS, sock_read=IDLE_SECONDS)
        async with self._answered(request, timeout) as response:
            try:
                async for line in _split(response.content.iter_any(), request.subject):
                    yield line
            except (TimeoutError, aiohttp.ClientPayloadError, ConnectionError):
                return  # the caller goes on from the last event that it saw

    async def _send_once(self, request: Request) -> Any:
        timeout = aiohttp.ClientTimeout(total=CALL_SECONDS)
        async with self._answered(request, timeout) as response:
            body = await response.read()
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise ClusterError(
                f"{request.subject}: the answer is not JSON ({response.content_type})\n"
                f"  at:  {self.url}{request.path}\n"
                "  fix: check that the address is that of a Kubernetes API server"
            ) from error

    @asynccontextmanager
    async def _answered(
        self, request: Request, timeout: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The successful response; transport errors and refusals become `ClusterError`s."""
        if self._session.closed:
            raise UnreachableError(f"{request.subject}: this connection was closed")
        try:
            async with self._session.request(
                request.method,
                URL(self.url + request.path, encoded=True),
                params=dict(request.params),
                data=request.body,
                headers=self._headers(request),
                timeout=timeout,
                allow_redirects=False,
                ssl=self._access.tls or True,
                server_hostname=self._access.server_name,
                proxy=self._access.proxy,
            ) as response:
                if response.status >= 300:
                    raise await _refused(response, request)
                yield response
        except TimeoutError as error:
            raise TimedOutError(f"{request.subject}: no answer from {self.url}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise UnreachableError(_unreachable(request, self.url, error)) from error

    def _headers(self, request: Request) -> dict[str, str]:
        headers = {"Accept": request.accept}
        if request.body is not None:
            headers["Content-Type"] = request.content_type
        if self._access.authorization:
            headers["Authorization"] = self._access.authorization
        return headers

    async def _renewed(self) -> bool:
        """Read the credentials again; whether they differ from those that were refused."""
        access = await read_access(self._wanted)
        changed = access.authorization != self._access.authorization
        self._access = access
        return changed


async def _refused(response: aiohttp.ClientResponse, request: Request) -> ClusterError:
    answer = Answer(response.status, await response.read(), response.headers.get("Retry-After", ""))
    return refusal(answer, request.subject, secret=request.secret)


def _unreachable(request: Request, url: str, error: Exception) -> str:
    reason = str(error) or type(error).__name__
    return (
        f"{request.subject}: the API server cannot be reached: {reason}\n"
        f"  at:  {url}\n"
        "  fix: check the address, the network and the server's certificate"
    )


async def _split(chunks: AsyncIterator[bytes], subject: str) -> AsyncIterator[bytes]:
    rest = bytearray()
    async for chunk in chunks:
        rest += chunk
        *whole, last = rest.split(b"\n") if b"\n" in chunk else (rest,)
        for line in whole:
            if line:
                yield bytes(line)
        rest = bytearray(last)
        if len(rest) > MAX_LINE:
            raise ClusterError(f"{subject}: one event is larger than {MAX_LINE} bytes")
