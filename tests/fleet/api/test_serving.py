"""Where the hub listens, where it refuses to, and how it ends."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from fleet.api.serving import Listen, bind
from fleet.errors import ServeError
from tests.fleet.api.served import served, small_rig


def test_a_port_in_use_is_told_with_the_cure() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ServeError) as refused:
            bind(Listen(port=port))
    assert refused.value.code == "port-in-use"
    assert str(port) in refused.value.at
    assert "--port" in refused.value.fix


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_beyond_loopback_it_wants_tls_or_an_explicit_word(host: str) -> None:
    with pytest.raises(ServeError) as refused:
        bind(Listen(host=host, port=0))
    assert refused.value.code == "not-loopback"


def test_with_an_explicit_word_it_listens_everywhere() -> None:
    opened = bind(Listen(host="0.0.0.0", port=0, plain_http=True))
    assert opened.getsockname()[1] > 0
    opened.close()


def test_a_host_that_is_none_is_refused() -> None:
    with pytest.raises(ServeError) as refused:
        bind(Listen(host="no such host", port=0))
    assert refused.value.code == "cannot-listen"


async def test_it_ends_in_bounded_time_with_a_long_poll_open(tmp_path: Path) -> None:
    rig = small_rig(tmp_path)
    async with asyncio.timeout(20):
        async with served(rig) as hub:
            agent = hub.agent("production-1")
            first = await agent.target()
            assert first is not None
            poll = asyncio.create_task(agent.target(etag=first.etag, wait_seconds=60))
            await asyncio.sleep(0.1)
        await asyncio.gather(poll, return_exceptions=True)
        await agent.close()
