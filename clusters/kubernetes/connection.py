"""Requests and streams to one API server over one aiohttp session.

    turns        so many requests in flight, and so many a second if a rate is set; streams take
                 part in the latter only
    time limits  of connecting, of a request without its wait for a turn, of a stream's silence
    credentials  read again when they are due or when the server says 401; see `credentials`
    patience     429 with Retry-After says that nothing was done: the request is sent again after
                 that time, if it is short, `LATER_TIMES` at most

What is not a success comes out as one of `clusters.errors`. Nothing else is ever sent twice (the
caller knows what may be repeated, and waits longer than this does); no redirect is followed.
"""

from __future__ import annotations

import asyncio
import ssl
from asyncio.sslproto import SSLProtocol
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import aiohttp
import orjson
from yarl import URL

from clusters.clock import Clock
from clusters.errors import ClusterError, TimedOutError, UnauthorizedError, UnreachableError
from clusters.kubernetes.certificates import complaint
from clusters.kubernetes.credentials import Access, Wanted, read_access, renewed
from clusters.kubernetes.rate import Bucket, Rate
from clusters.kubernetes.refusals import Answer, refusal

JSON = "application/json"
MAX_LINE = 64 << 20
"""Bytes of one streamed event."""
TLS_BUFFER = 32 << 10
"""Bytes that asyncio keeps for each connection: two records of TLS. Its own 256 KiB come to
3.5 MiB in an agent, which has a stream for each kind that it watches."""
SSLProtocol.max_size = TLS_BUFFER
LATER_TIMES = 3
LATER_SECONDS = 10.0
"""The longest Retry-After that is waited for here; longer ones are the caller's."""
RENEW_SECONDS = 10.0
"""Least time between two readings of credentials that were refused."""

Identity = tuple[tuple[str, str], ...]
"""Headers that ask the server to treat the caller as somebody else."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much one connection asks at most."""

    connect_seconds: float = 10.0
    """One attempt to connect to an address."""
    call_seconds: float = 30.0
    """One request, connecting included."""
    idle_seconds: float = 90.0
    """Silence after which a stream is over; an API server bookmarks about once a minute."""
    requests: int = 32
    """Requests in flight; streams are not counted."""
    rate: Rate = field(default_factory=Rate)


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
    identity: Identity = ()


class Connection:
    """One server, one session; make it with `await Connection.open(wanted, …)`."""

    def __init__(
        self, wanted: Wanted, access: Access, user_agent: str, clock: Clock, limits: Limits
    ) -> None:
        self._limits = limits
        self._call = aiohttp.ClientTimeout(
            total=limits.call_seconds, sock_connect=limits.connect_seconds
        )
        self._stream = aiohttp.ClientTimeout(
            connect=limits.call_seconds,
            sock_connect=limits.connect_seconds,
            sock_read=limits.idle_seconds,
        )
        self._wanted = wanted
        self._access = access
        self._clock = clock
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0),
            headers={"User-Agent": user_agent},
            auto_decompress=True,
        )
        self._slots = asyncio.Semaphore(limits.requests)
        self._bucket = Bucket(limits.rate, clock.now())
        self._reading = asyncio.Lock()
        self._refused_at: datetime | None = None

    @classmethod
    async def open(
        cls, wanted: Wanted, user_agent: str, clock: Clock, limits: Limits | None = None
    ) -> Connection:
        """Read the credentials; nothing is sent yet. Errors: `UnauthorizedError`."""
        access = await read_access(wanted, clock.now())
        return cls(wanted, access, user_agent, clock, limits or Limits())

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
            answer = await self._answer(request)
        if answer.code >= 300:
            raise refusal(answer, request.subject, secret=request.secret)
        try:
            return orjson.loads(answer.body)
        except orjson.JSONDecodeError as error:
            raise ClusterError(
                f"{request.subject}: the answer is not JSON\n"
                f"  at:  {self.url}{request.path}\n"
                "  fix: check that the address is that of a Kubernetes API server"
            ) from error

    async def lines(self, request: Request) -> AsyncIterator[bytes]:
        """Each line of an endless answer, until the server closes it or falls silent."""
        access = await self._turn()
        async with self._response(request, access, self._stream) as response:
            if response.status >= 300:
                answer = await _read(response)
                if answer.code == 401:
                    await self._read_again(access)
                raise refusal(answer, request.subject, secret=request.secret)
            try:
                async for line in _split(response.content.iter_any(), request.subject):
                    yield line
            except (TimeoutError, aiohttp.ClientPayloadError, ConnectionError):
                return  # the caller goes on from the last event that it saw

    async def _answer(self, request: Request) -> Answer:
        """The server's last word, after the repetitions that this module promises."""
        later = 0
        while True:
            access = await self._turn()
            async with self._response(request, access, self._call) as response:
                answer = await _read(response)
            if answer.code == 429 and later < LATER_TIMES and 0 < answer.seconds <= LATER_SECONDS:
                later += 1
                await self._clock.sleep(answer.seconds)
            elif answer.code != 401 or not await self._read_again(access):
                return answer

    async def _turn(self) -> Access:
        """Wait until the rate allows a request; the credentials to send with it."""
        wait = self._bucket.take(self._clock.now())
        if wait:
            await self._clock.sleep(wait)
        renew_at = self._access.renew_at
        if renew_at is not None and renew_at <= self._clock.now():
            await self._renew(renew_at)
        return self._access

    async def _renew(self, due: datetime) -> None:
        """Credentials that are due; if that fails, the server may still take the old ones."""
        async with self._reading:
            if self._access.renew_at != due:
                return  # somebody else has done it
            now = self._clock.now()
            try:
                self._take(await renewed(self._access, self._wanted, now))
            except UnauthorizedError:
                retry_at = now + timedelta(seconds=RENEW_SECONDS)
                self._access = replace(self._access, renew_at=retry_at)

    async def _read_again(self, refused: Access) -> bool:
        """Whether there are other credentials than those refused. Errors: `UnauthorizedError`."""
        async with self._reading:
            if not refused.same_as(self._access):
                return True
            now = self._clock.now()
            pause = timedelta(seconds=RENEW_SECONDS)
            if self._refused_at is not None and now - self._refused_at < pause:
                return False
            self._refused_at = now
            self._take(await read_access(self._wanted, now))
            return not refused.same_as(self._access)

    def _take(self, access: Access) -> None:
        """Use these from now on; connections live on where certificates are the same."""
        if access.fingerprint == self._access.fingerprint:
            access = replace(access, tls=self._access.tls)
        self._access = access

    @asynccontextmanager
    async def _response(
        self, request: Request, access: Access, timeout: aiohttp.ClientTimeout
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The response, whatever its status; transport errors become `ClusterError`s."""
        if self._session.closed:
            raise UnreachableError(f"{request.subject}: this connection was closed")
        query = f"?{urlencode(request.params, quote_via=quote)}" if request.params else ""
        with self._transport_errors(request, access):
            async with self._session.request(
                request.method,
                URL(f"{access.url}{request.path}{query}", encoded=True),
                data=request.body,
                headers=_headers(request, access),
                timeout=timeout,
                allow_redirects=False,
                ssl=access.tls or True,
                server_hostname=access.server_name,
                proxy=access.proxy,
            ) as response:
                yield response

    @contextmanager
    def _transport_errors(self, request: Request, access: Access) -> Iterator[None]:
        """What keeps a request from its answer, as `ClusterError`."""
        try:
            yield
        except aiohttp.ConnectionTimeoutError as error:
            reason = f"nobody answered within {self._limits.connect_seconds:g} s"
            raise UnreachableError(_unreachable(request, access, reason)) from error
        except TimeoutError as error:
            raise TimedOutError(
                f"{request.subject}: no answer within {self._limits.call_seconds:g} s\n"
                f"  at:  {access.url}\n"
                "  fix: see how busy the API server is"
            ) from error
        except (aiohttp.ClientProxyConnectionError, aiohttp.ClientHttpProxyError) as error:
            # Its own text would show the name and password that the proxy's address may hold.
            said = getattr(error, "status", 0)
            reason = f"the proxy answered {said}" if said else "the proxy cannot be reached"
            proxy = f"check the proxy {_host_of(access.proxy)}: proxy-url, HTTPS_PROXY, NO_PROXY"
            raise UnreachableError(_unreachable(request, access, reason, proxy)) from None
        except (aiohttp.ClientError, OSError) as error:
            raise UnreachableError(_unreachable(request, access, *_reason(error))) from error


def _headers(request: Request, access: Access) -> list[tuple[str, str]]:
    headers = [("Accept", request.accept), *(request.identity or access.impersonation)]
    if request.body is not None:
        headers.append(("Content-Type", request.content_type))
    if access.authorization:
        headers.append(("Authorization", access.authorization))
    return headers


async def _read(response: aiohttp.ClientResponse) -> Answer:
    retry_after = response.headers.get("Retry-After", "")
    return Answer(response.status, await response.read(), retry_after)


def _reason(error: Exception) -> tuple[str, str]:
    """What happened, and the cure."""
    found = getattr(error, "certificate_error", None) or getattr(error, "os_error", None) or error
    if isinstance(found, ssl.SSLError):
        return complaint(found)
    return str(error) or type(error).__name__, "check the address and the network"


def _unreachable(
    request: Request, access: Access, reason: str, cure: str = "check the address and the network"
) -> str:
    return (
        f"{request.subject}: the API server cannot be reached: {reason}\n"
        f"  at:  {access.url}\n"
        f"  fix: {cure}"
    )


def _host_of(proxy: str | None) -> str:
    parts = urlsplit(proxy or "")
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


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
