"""The hub's own calls: what it refuses to do, and that nothing it was sent or told gets out."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

import pytest

from fleet.hub.outgoing import NoAnswer, Outgoing, refusal_of
from tests.fleet.hub.machines import Heard, machine, says

CANARY = "c4n4ry-t0k3n"


async def failed(url: str, *, seconds: float = 5, largest: int = 1000) -> str:
    """Why there was no answer."""
    outgoing = Outgoing(seconds, largest)
    try:
        with pytest.raises(NoAnswer) as found:
            await outgoing.post_form(f"{url}/x?token={CANARY}", {"query": CANARY})
    finally:
        await outgoing.close()
    assert CANARY not in str(found.value)
    assert CANARY not in repr(found.value.__cause__)
    return str(found.value)


async def test_a_document_is_posted_and_a_redirect_is_an_answer_that_nobody_follows() -> None:
    async with machine(says(204)) as there:
        async with machine(says(302, Location=there.url)) as here:
            outgoing = Outgoing()
            reply = await outgoing.post_json(f"{here.url}/ok?a=b", b'{"run": "r1"}')
            await outgoing.close()
        assert reply.status == 302
        assert there.heard == []
        (request,) = here.heard
        assert (request.method, request.path, request.json()) == ("POST", "/ok?a=b", {"run": "r1"})
        assert request.headers["host"] == here.url.removeprefix("http://")
        assert "authorization" not in request.headers


async def test_an_answer_that_is_too_large_is_none() -> None:
    async with machine(says(200, b"x" * 1001)) as there:
        assert await failed(there.url) == "the answer is larger than 1000 bytes"
    async with machine(says(200, b"x" * 10_000_000)) as there:
        outgoing = Outgoing()
        assert (await outgoing.post_json(there.url, b"{}")).body == b"", "no webhook's body is read"
        await outgoing.close()


async def test_an_answer_that_drips_is_cut_off_as_a_whole() -> None:
    async def drip(request: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\n")
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.05)

    async with machine(drip) as there:
        async with asyncio.timeout(5):
            assert await failed(there.url, seconds=0.3) == "no answer within 0.3 s"


async def test_no_connection_and_no_http_are_no_answers_and_say_nothing_of_what_was_sent() -> None:
    async with machine(says(200)) as there:
        gone = there.url
    assert (await failed(gone)).startswith("no connection")

    def garbage(request: Heard, writer: asyncio.StreamWriter) -> None:
        writer.write(CANARY.encode() * 3 + b"\r\n\r\n")

    async with machine(garbage) as there:
        assert (await failed(there.url)).startswith("the exchange broke off")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("https://169.254.169.254", "link-local"),
        ("https://[fe80::1]", "link-local"),
        ("https://0.0.0.0", "unspecified"),
        ("https://[::ffff:169.254.169.254]", "link-local"),
        ("http://10.1.2.3", "plain HTTP goes to this machine only"),
        ("https://no-such-name.invalid", "its name is not known"),
        (f"https://{'x' * 70}.example", "its name is not known"),
    ],
)
async def test_addresses_that_the_hub_does_not_call(url: str, words: str) -> None:
    assert words in await failed(url)


def test_private_addresses_are_called_by_tls_only() -> None:
    for text in ("10.0.0.1", "192.168.1.1", "fd00::1", "93.184.216.34"):
        assert refusal_of(ip_address(text), is_tls=True) == ""
        assert refusal_of(ip_address(text), is_tls=False) != ""
    for text in ("127.0.0.1", "::1", "::ffff:127.0.0.1"):
        assert refusal_of(ip_address(text), is_tls=False) == ""
