"""The agent's way to its hub: the protocol `Hub`, and its implementation over HTTP.

`HttpHub` is the one door to aiohttp here. Tests and simulations pass another `Hub`; it raises the
same errors of `agents.errors`, and nothing else. Every request has a time limit, bodies are read
up to a bound, redirects are not followed (a token goes to nobody else), and proxies are those of
the environment.

What it never does: retry, remember or decide. The agent does.
"""

from __future__ import annotations

from typing import Protocol, TypeVar
from urllib.parse import quote, urlsplit

import aiohttp
from pydantic import BaseModel, ValidationError

from agents.errors import (
    HubAnswerError,
    HubUnauthorizedError,
    HubUnreachableError,
    OfferRefusedError,
    ProtocolMismatchError,
)
from agents.protocol import (
    PROTOCOL_MAX,
    PROTOCOL_MIN,
    Refusal,
    RegisterAnswer,
    RegisterRequest,
    Report,
    ReportAnswer,
    StartRequest,
    Target,
)
from agents.protocol.needs import Needs
from clusters.objects import Digest

Body = TypeVar("Body", bound=BaseModel)

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Hosts to which plain HTTP is safe."""

MAX_ANSWER_BYTES = 64 * 1024 * 1024
"""No artifact and no target is larger; more is refused before it fills the memory."""


class Hub(Protocol):
    """What an agent asks of its hub. Errors: those of `agents.errors.HubError`."""

    async def register(self, request: RegisterRequest) -> RegisterAnswer:
        """Introduce this incarnation."""
        ...

    async def target(self, *, etag: str = "", wait_seconds: float = 0.0) -> Target | None:
        """The target, or `None` if it still is what `etag` names after at most that wait."""
        ...

    async def start(self, request: StartRequest) -> Target:
        """Start an offer; the new target. Errors: `OfferRefusedError`."""
        ...

    async def artifact(self, digest: Digest) -> bytes:
        """An artifact's bytes, not yet verified."""
        ...

    async def report(self, report: Report) -> ReportAnswer:
        """Tell how things stand."""
        ...

    async def close(self) -> None:
        """Give back connections."""
        ...


class HttpHub:
    """A hub over HTTP, for one cluster."""

    def __init__(self, url: str, cluster: str, token: str, *, limit_seconds: float = 20.0) -> None:
        """`url` without a path is usual.

        Errors: `HubAnswerError` for one that is no URL, or that would send the token over a
        network in the clear.
        """
        check_address(url)
        self._url = url.rstrip("/")
        self._cluster = cluster
        self._token = token
        self._limit_seconds = limit_seconds
        self._session: aiohttp.ClientSession | None = None

    async def register(self, request: RegisterRequest) -> RegisterAnswer:
        """Introduce this incarnation. Errors: also `ProtocolMismatchError`."""
        _, data = await self._send("POST", "/v1/agents/register", request)
        answer = self._read(RegisterAnswer, data)
        if not PROTOCOL_MIN <= answer.protocol <= PROTOCOL_MAX:
            raise self._mismatch(f"the hub chose version {answer.protocol}")
        return answer

    async def needs(self) -> Needs:
        """What an agent of the cluster has to be allowed to do."""
        return self._read(Needs, (await self._send("GET", self._path("needs")))[1])

    async def target(self, *, etag: str = "", wait_seconds: float = 0.0) -> Target | None:
        """The target, or `None` if it is unchanged."""
        headers = {"If-None-Match": etag} if etag else {}
        path = self._path(f"target?wait={wait_seconds:g}")
        status, data = await self._send("GET", path, headers=headers, wait_seconds=wait_seconds)
        return None if status == 304 else self._read(Target, data)

    async def start(self, request: StartRequest) -> Target:
        """Start an offer; the new target."""
        _, data = await self._send("POST", self._path("start"), request)
        return self._read(Target, data)

    async def artifact(self, digest: Digest) -> bytes:
        """An artifact's bytes, not yet verified."""
        path = self._path(f"artifacts/{quote(digest, safe=':')}")
        return (await self._send("GET", path))[1]

    async def report(self, report: Report) -> ReportAnswer:
        """Tell how things stand."""
        _, data = await self._send("POST", self._path("report"), report)
        return self._read(ReportAnswer, data)

    async def close(self) -> None:
        """Give back connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _path(self, rest: str) -> str:
        return f"/v1/clusters/{quote(self._cluster, safe='')}/{rest}"

    async def _send(
        self,
        method: str,
        path: str,
        body: BaseModel | None = None,
        *,
        headers: dict[str, str] | None = None,
        wait_seconds: float = 0.0,
    ) -> tuple[int, bytes]:
        """Status and bytes of a success or a 304; an error of `agents.errors` for the rest."""
        timeout = aiohttp.ClientTimeout(total=self._limit_seconds + wait_seconds)
        sent = {"Authorization": f"Bearer {self._token}", **(headers or {})}
        data = None
        if body is not None:
            sent["Content-Type"] = "application/json"
            data = body.model_dump_json(by_alias=True).encode()
        try:
            async with self._opened().request(
                method,
                self._url + path,
                data=data,
                headers=sent,
                timeout=timeout,
                allow_redirects=False,
            ) as answer:
                return self._judge(answer.status, await self._received(answer))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            why = str(error) or type(error).__name__
            raise HubUnreachableError(
                f"the hub does not answer: {why}",
                at=self._url,
                fix="see whether the hub runs and can be reached from here; the agent goes on",
            ) from error

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(trust_env=True)
        return self._session

    async def _received(self, answer: aiohttp.ClientResponse) -> bytes:
        data = b""
        async for chunk in answer.content.iter_chunked(1 << 16):
            data += chunk
            if len(data) > MAX_ANSWER_BYTES:
                raise HubAnswerError(f"more than {MAX_ANSWER_BYTES} bytes", at=self._url)
        return data

    def _judge(self, status: int, data: bytes) -> tuple[int, bytes]:
        if status in (200, 201, 204, 304):
            return status, data
        said = _refusal(data)
        if status in (401, 403):
            raise HubUnauthorizedError(
                f"the hub does not take this token for cluster {self._cluster}"
                + (f": {said.message}" if said.message else ""),
                at=self._url,
                fix=f"make one with `fleet cluster token {self._cluster}` at the hub and pass it "
                "by --token-file or FLEET_TOKEN; a token is bound to one cluster name",
            )
        if status == 409:
            raise OfferRefusedError(said.message or "refused", at=self._url, code=said.code)
        if status in (406, 426):
            raise self._mismatch(said.message or f"status {status}")
        if status in (502, 503, 504, 429):
            raise HubUnreachableError(f"the hub is busy or away (status {status})", at=self._url)
        raise HubAnswerError(
            f"the hub answered {status}" + (f": {said.message}" if said.message else ""),
            status=status,
            at=self._url,
            fix="see the hub's log; if this is no Fleet hub, correct --hub",
        )

    def _mismatch(self, why: str) -> ProtocolMismatchError:
        return ProtocolMismatchError(
            f"hub and agent speak no common version of the wire: {why}",
            at=self._url,
            fix=f"this agent speaks {PROTOCOL_MIN} to {PROTOCOL_MAX}; upgrade the older side",
        )

    def _read(self, kind: type[Body], data: bytes) -> Body:
        try:
            return kind.model_validate_json(data)
        except ValidationError as error:
            raise HubAnswerError(
                f"the hub's answer is no {kind.__name__}: {error.error_count()} errors",
                at=self._url,
                fix="see whether --hub is a Fleet hub and both sides are of fitting versions",
            ) from error


def check_address(url: str) -> None:
    """Errors: `HubAnswerError` for no URL, or one that would send a token in the clear."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        fix = "give the hub as http://host:port or https://host:port"
        raise HubAnswerError(f"{url!r} is no address of a hub", fix=fix)
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise HubAnswerError(
            "a token does not go over plain HTTP to another machine",
            at=url,
            fix="use https://: a hub with a certificate, or a proxy in front that has one",
        )


def _refusal(data: bytes) -> Refusal:
    """What an error body says, as far as it says it in our words."""
    try:
        return Refusal.model_validate_json(data)
    except ValidationError:
        return Refusal(code="", message="")
