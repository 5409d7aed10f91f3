"""The one door through which the hub asks other machines: webhooks and Prometheus.

What it promises: HTTPS, or plain HTTP to this machine; no redirect is followed and no proxy used;
an answer is bounded in size and in time as a whole; an address is looked up once and the call goes
to exactly what was checked. Link-local, multicast and unspecified addresses are refused (the
metadata services of clouds are there); private ones are not: what a company asks is in its own
network. No error and no log line carries the query of a URL, a header or a body.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

import httpx

SECONDS = 10.0
LARGEST = 8 * 1024 * 1024
HTTPS, HTTP = 443, 80


class NoAnswer(Exception):
    """Nothing that counts as an answer came; the text says why, in words that may be shown."""


@dataclass(frozen=True, slots=True)
class Reply:
    """What another machine answered."""

    status: int
    body: bytes


class Outgoing:
    """Asks other machines; use as an asynchronous context manager or close it."""

    def __init__(self, seconds: float = SECONDS, largest: int = LARGEST) -> None:
        self._seconds, self._largest = seconds, largest
        self._client = httpx.AsyncClient(
            follow_redirects=False,
            trust_env=False,
            timeout=seconds,
            headers={"User-Agent": "fleet-hub", "Accept-Encoding": "identity"},
        )

    async def close(self) -> None:
        """Give connections back."""
        await self._client.aclose()

    async def post_json(self, url: str, document: bytes) -> Reply:
        """Post a JSON document. The body of the answer is not read. Errors: `NoAnswer`."""
        headers = {"Content-Type": "application/json"}
        return await self._post(url, document, headers, read=False)

    async def post_form(self, url: str, fields: Mapping[str, str]) -> Reply:
        """Post a form and read the answer. Errors: `NoAnswer`."""
        body = str(httpx.QueryParams(fields)).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self._post(url, body, headers, read=True)

    async def _post(self, url: str, body: bytes, headers: dict[str, str], *, read: bool) -> Reply:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._exchange(url, body, headers, read=read)
        except TimeoutError:
            raise NoAnswer(f"no answer within {self._seconds:g} s") from None
        except httpx.HTTPError as error:
            raise NoAnswer(_words(error)) from None

    async def _exchange(
        self, url: str, body: bytes, headers: dict[str, str], *, read: bool
    ) -> Reply:
        parts = urlsplit(url)
        target, host = await _checked(parts)
        request = self._client.build_request(
            "POST",
            target,
            content=body,
            headers={**headers, "Host": host},
            extensions={"sni_hostname": parts.hostname or ""},
        )
        answer = await self._client.send(request, stream=True)
        try:
            return Reply(answer.status_code, await self._body(answer) if read else b"")
        finally:
            await answer.aclose()

    async def _body(self, answer: httpx.Response) -> bytes:
        data = bytearray()
        async for chunk in answer.aiter_raw():
            data += chunk
            if len(data) > self._largest:
                raise NoAnswer(f"the answer is larger than {self._largest} bytes")
        return bytes(data)


async def _checked(parts: SplitResult) -> tuple[str, str]:
    """The URL with the address that was checked, and the Host header. Errors: `NoAnswer`."""
    host, is_tls = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (HTTPS if is_tls else HTTP)
    try:
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise NoAnswer("its name is not known") from None
    addresses = [ipaddress.ip_address(str(info[4][0]).partition("%")[0]) for info in found]
    for address in addresses:
        if why := refusal_of(address, is_tls=is_tls):
            raise NoAnswer(why)
    address = addresses[0]
    shown = f"[{address}]" if address.version == 6 else str(address)
    path = parts._replace(scheme="", netloc="").geturl() or "/"
    named = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{shown}:{port}{path if path.startswith('/') else '/' + path}", named


def refusal_of(address: ipaddress.IPv4Address | ipaddress.IPv6Address, *, is_tls: bool) -> str:
    """Why the hub does not call this address; empty if it does."""
    inner = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    address = inner or address
    if address.is_link_local or address.is_multicast or address.is_unspecified:
        return "its address is none that the hub calls (link-local, multicast or unspecified)"
    if not is_tls and not address.is_loopback:
        return "plain HTTP goes to this machine only: use https://"
    return ""


def _words(error: httpx.HTTPError) -> str:
    """What went wrong without what was sent or answered."""
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    if isinstance(error, httpx.ConnectError):
        return "no connection (refused, unreachable, or a certificate that does not hold)"
    return f"the exchange broke off ({type(error).__name__})"
