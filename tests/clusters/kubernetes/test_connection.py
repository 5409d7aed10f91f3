"""Turns, time limits, patience and renewed credentials, over real sockets on loopback."""

from __future__ import annotations

import asyncio
import gzip
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web

from clusters.errors import (
    TimedOutError,
    TooManyRequestsError,
    UnauthorizedError,
    UnreachableError,
)
from clusters.kubernetes import Limits, Rate
from clusters.kubernetes.connection import LATER_SECONDS, LATER_TIMES, RENEW_SECONDS
from clusters.kubernetes.credentials import TOKEN_SECONDS
from clusters.objects import Kind, ObjectKey
from tests.clusters.kubernetes.script import Script, connected, opened, served, write_kubeconfig

KEY = ObjectKey("", "Pod", "shop", "web")
POD_PATH = "/api/v1/namespaces/shop/pods/web"
FOUND = {"metadata": {"name": "web"}}
PATIENCE_SECONDS = 20.0


PROGRAM = """
echo run >> {folder}/runs
echo '{{"apiVersion": "client.authentication.k8s.io/v1", "status":
  {{"token": "t", "expirationTimestamp": "2030-01-01T00:10:00Z"}}}}'
"""


def later(code: int, seconds: str) -> Callable[[web.Request], web.Response]:
    """An answer that asks to come again."""
    return lambda _: web.Response(status=code, headers={"Retry-After": seconds}, text="busy")


async def passing(script: Script, call: Any) -> Any:
    """What a call gives while the script's clock runs."""
    task = asyncio.ensure_future(call)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not task.done():
            await asyncio.sleep(0.005)
            script.clock.advance(0.5)
    return task.result()


def sent(script: Script) -> list[str]:
    """The Authorization headers that came."""
    return [request.headers.get("Authorization", "") for request in script.requests]


def serving(answer: Any) -> Any:
    """A server that answers every request by a coroutine."""
    script = Script()
    script.answer = answer  # type: ignore[method-assign]
    return served(script)


async def test_a_server_that_did_nothing_yet_is_asked_again_after_the_time_it_names(
    tmp_path: Path,
) -> None:
    script, times = Script(), []

    def answer(request: web.Request) -> web.Response:
        times.append(script.clock.now())
        return web.json_response(FOUND) if len(times) == 3 else later(429, "2")(request)

    script.answers[POD_PATH] = answer
    async with connected(script, tmp_path) as cluster:
        assert await passing(script, cluster.get(KEY)) is not None
    first, second, third = times
    assert 2 <= (second - first).total_seconds() < 4
    assert 2 <= (third - second).total_seconds() < 4


async def test_patience_has_an_end_and_the_caller_learns_how_long_to_wait(tmp_path: Path) -> None:
    script = Script()
    script.answers[POD_PATH] = later(429, "3")
    async with connected(script, tmp_path) as cluster:
        with pytest.raises(TooManyRequestsError) as caught:
            await passing(script, cluster.get(KEY))
    assert caught.value.retry_after == 3
    assert script.paths().count(POD_PATH) == 1 + LATER_TIMES


@pytest.mark.parametrize(
    ("code", "seconds"),
    [(503, "1"), (429, str(int(LATER_SECONDS) + 1)), (429, "")],
    ids=["perhaps done", "too long", "not said"],
)
async def test_what_may_have_been_done_or_takes_long_is_left_to_the_caller(
    tmp_path: Path, code: int, seconds: str
) -> None:
    script = Script()
    script.answers[POD_PATH] = later(code, seconds)
    async with connected(script, tmp_path) as cluster:
        with pytest.raises(TooManyRequestsError) as caught:
            await cluster.get(KEY)
    assert caught.value.retry_after == float(seconds or 1)
    assert script.paths().count(POD_PATH) == 1


async def test_a_rate_is_kept_after_a_burst(tmp_path: Path) -> None:
    script = Script()
    script.answers["/version"] = {"gitVersion": "v1"}
    begin = script.clock.now()
    async with connected(script, tmp_path, Limits(rate=Rate(2, 3))) as cluster:
        await asyncio.gather(*(cluster.version() for _ in range(3)))
        assert script.clock.now() == begin
        await passing(script, asyncio.gather(*(cluster.version() for _ in range(10))))
    assert (script.clock.now() - begin).total_seconds() >= 10 / 2


async def test_only_so_many_requests_are_in_flight(tmp_path: Path) -> None:
    flying = most = 0

    async def answer(_: web.Request) -> web.Response:
        nonlocal flying, most
        flying += 1
        most = max(most, flying)
        await asyncio.sleep(0.01)
        flying -= 1
        return web.json_response({"gitVersion": "v1"})

    async with serving(answer) as url:
        config = write_kubeconfig(tmp_path, url, {"token": "t"})
        async with opened(config, Script(), limits=Limits(requests=4)) as cluster:
            await asyncio.gather(*(cluster.version() for _ in range(20)))
    assert most == 4


async def test_an_answer_that_does_not_come_is_timed_out(tmp_path: Path) -> None:
    async def answer(_: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    async with serving(answer) as url:
        config = write_kubeconfig(tmp_path, url, {"token": "t"})
        async with opened(config, Script(), limits=Limits(call_seconds=0.1)) as cluster:
            with pytest.raises(TimedOutError, match=r"no answer within 0\.1 s") as caught:
                await cluster.version()
    assert url in str(caught.value)


async def test_a_stream_that_falls_silent_ends_and_can_be_gone_on_with(tmp_path: Path) -> None:
    script = Script()
    event = orjson.dumps({"type": "ADDED", "object": FOUND})

    async def answer(request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return await script.answer(request)
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(event + b"\n")
        await asyncio.sleep(60)
        return response

    async with serving(answer) as url:
        config = write_kubeconfig(tmp_path, url, {"token": "t"})
        limits = Limits(idle_seconds=0.1)
        async with opened(config, script, limits=limits) as cluster, asyncio.timeout(10):
            events = [event async for event in cluster.watch(Kind("", "Pod"))]
    assert len(events) == 1


async def test_a_connection_that_is_never_made_is_unreachable_in_time(tmp_path: Path) -> None:
    # A port whose queue is full answers no handshake, like a host behind a silent firewall.
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        address = deaf.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(address)
        config = write_kubeconfig(tmp_path, f"http://127.0.0.1:{address[1]}", {"token": "t"})
        async with opened(config, Script(), limits=Limits(connect_seconds=0.2)) as cluster:
            with pytest.raises(UnreachableError, match=r"nobody answered within 0\.2 s"):
                await cluster.version()
        for sock in waiting:
            sock.close()


async def test_an_answer_that_breaks_off_is_unreachable(tmp_path: Path) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"{")
        assert request.transport is not None
        request.transport.abort()
        return response

    async with serving(answer) as url:
        config = write_kubeconfig(tmp_path, url, {"token": "t"})
        async with opened(config, Script()) as cluster:
            with pytest.raises(UnreachableError) as caught:
                await cluster.version()
    assert caught.value.retryable


async def test_compressed_answers_are_asked_for_and_read(tmp_path: Path) -> None:
    script = Script()
    script.answers["/version"] = lambda _: web.Response(
        body=gzip.compress(b'{"gitVersion": "v1.37.2"}'), headers={"Content-Encoding": "gzip"}
    )
    async with connected(script, tmp_path) as cluster:
        assert await cluster.version() == "v1.37.2"
    assert "gzip" in script.requests[-1].headers["Accept-Encoding"]


async def test_a_token_file_that_was_rotated_is_read_before_the_old_token_ends(
    tmp_path: Path,
) -> None:
    script = Script(answers={"/version": {"gitVersion": "v1"}})
    (tmp_path / "token").write_text("first\n")
    async with served(script) as url:
        config = write_kubeconfig(tmp_path, url, {"tokenFile": "token"})
        async with opened(config, script) as cluster:
            await cluster.version()
            (tmp_path / "token").write_text("second\n")
            await cluster.version()
            script.clock.advance(TOKEN_SECONDS)
            await cluster.version()
    assert sent(script) == ["Bearer first", "Bearer first", "Bearer second"]


async def test_a_token_file_that_is_away_for_a_moment_stops_nothing(tmp_path: Path) -> None:
    script = Script(answers={"/version": {"gitVersion": "v1"}})
    (tmp_path / "token").write_text("first")
    async with served(script) as url:
        config = write_kubeconfig(tmp_path, url, {"tokenFile": "token"})
        async with opened(config, script) as cluster:
            (tmp_path / "token").unlink()
            script.clock.advance(TOKEN_SECONDS)
            await cluster.version()
            (tmp_path / "token").write_text("second")
            script.clock.advance(RENEW_SECONDS)
            await cluster.version()
    assert sent(script) == ["Bearer first", "Bearer second"]


async def test_refused_credentials_are_read_once_for_all_who_were_refused(tmp_path: Path) -> None:
    script = Script()
    script.answers["/version"] = lambda request: (
        web.json_response({"gitVersion": "v1"})
        if request.headers["Authorization"] == "Bearer second"
        else web.Response(status=401)
    )
    async with connected(script, tmp_path) as cluster:
        write_kubeconfig(tmp_path, cluster.url, {"token": "second"})
        await asyncio.gather(*(cluster.version() for _ in range(5)))
    assert sorted(sent(script)) == ["Bearer first"] * 5 + ["Bearer second"] * 5


async def test_a_watch_that_is_refused_leaves_new_credentials_to_the_next(tmp_path: Path) -> None:
    script = Script()
    script.answers["/api/v1/pods"] = lambda request: web.Response(
        status=200 if request.headers["Authorization"] == "Bearer second" else 401
    )
    async with connected(script, tmp_path) as cluster:
        await cluster.discover()
        write_kubeconfig(tmp_path, cluster.url, {"token": "second"})
        with pytest.raises(UnauthorizedError):
            await anext(cluster.watch(Kind("", "Pod")))
        assert [event async for event in cluster.watch(Kind("", "Pod"))] == []


async def test_a_program_is_run_again_once_for_all_when_its_credentials_end(
    tmp_path: Path,
) -> None:
    script = Script(answers={"/version": {"gitVersion": "v1"}})
    args = ["-c", PROGRAM.format(folder=tmp_path)]
    entry = {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": args}
    async with served(script) as url:
        config = write_kubeconfig(tmp_path, url, {"exec": entry})
        async with opened(config, script, allow_exec=True) as cluster:
            await asyncio.gather(*(cluster.version() for _ in range(5)))
            assert (tmp_path / "runs").read_text() == "run\n"
            script.clock.advance(600)
            await asyncio.gather(*(cluster.version() for _ in range(5)))
    assert (tmp_path / "runs").read_text() == "run\n" * 2


async def test_credentials_that_stay_refused_are_not_read_for_every_request(
    tmp_path: Path,
) -> None:
    script = Script(answers={"/version": lambda _: web.Response(status=401)})
    async with connected(script, tmp_path) as cluster:
        for _ in range(2):
            with pytest.raises(UnauthorizedError):
                await cluster.version()
        write_kubeconfig(tmp_path, cluster.url, {"token": "second"})
        with pytest.raises(UnauthorizedError):
            await cluster.version()
        assert set(sent(script)) == {"Bearer first"}
        script.clock.advance(RENEW_SECONDS)
        with pytest.raises(UnauthorizedError):
            await cluster.version()
    assert sent(script)[-1] == "Bearer second"


async def test_a_call_as_somebody_else_says_so_and_others_do_not(tmp_path: Path) -> None:
    script = Script()
    script.answers[POD_PATH] = FOUND
    script.answers["/api/v1/pods"] = lambda _: web.Response(text="")
    async with connected(script, tmp_path) as cluster:
        derived = cluster.as_user("system:serviceaccount:shop:deployer", ["a", "b"])
        await derived.get(KEY)
        assert [event async for event in derived.watch(Kind("", "Pod"))] == []
        await derived.close()
        await cluster.get(KEY)
    *_, got, watched, own = script.requests
    for request in (got, watched):
        assert request.headers["Impersonate-User"] == "system:serviceaccount:shop:deployer"
        assert request.headers.getall("Impersonate-Group") == ["a", "b"]
        assert request.headers["Authorization"] == "Bearer first"
    assert "Impersonate-User" not in own.headers
    assert script.paths().count("/apis") == 1, "what is served is asked for once for all"


async def test_a_kubeconfig_may_say_as_whom_to_ask(tmp_path: Path) -> None:
    script = Script(answers={"/version": {"gitVersion": "v1"}})
    user = {"token": "t", "as": "jane", "as-groups": ["dev"], "as-user-extra": {"why": ["x", "y"]}}
    async with served(script) as url:
        config = write_kubeconfig(tmp_path, url, user)
        async with opened(config, script) as cluster:
            await cluster.version()
            await cluster.as_user("joe").version()
    first, second = (request.headers for request in script.requests)
    assert (first["Impersonate-User"], first["Impersonate-Group"]) == ("jane", "dev")
    assert first.getall("Impersonate-Extra-why") == ["x", "y"]
    assert second["Impersonate-User"] == "joe"
    assert "Impersonate-Group" not in second
