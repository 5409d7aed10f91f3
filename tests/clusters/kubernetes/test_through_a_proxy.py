"""A server behind a proxy: the tunnel is asked for, and what fails on the way is told apart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from clusters.errors import UnauthorizedError, UnreachableError
from clusters.kubernetes import KubernetesCluster
from tests.clusters.kubernetes.authority import Authority, server_context
from tests.clusters.kubernetes.script import Script, opened, served, write_kubeconfig
from tests.clusters.kubernetes.test_certificates import VERSION, trusting


class Proxy:
    """A CONNECT proxy that leads every tunnel to one port of this machine."""

    def __init__(self, target: int, refusal: str = "") -> None:
        self.asked: list[str] = []
        self.headers: list[str] = []
        self.port = 0
        self._target = target
        self._refusal = refusal

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Proxy]:
        """Listen on a free port of loopback."""
        tunnels: set[asyncio.Task[None]] = set()

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tunnels.add(asyncio.create_task(self._serve(reader, writer)))

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for tunnel in tunnels:
                tunnel.cancel()
            await asyncio.gather(*tunnels, return_exceptions=True)
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            self.asked.append(head[0])
            self.headers += head[1:]
            if self._refusal:
                writer.write(f"HTTP/1.1 {self._refusal}\r\nContent-Length: 0\r\n\r\n".encode())
                await writer.drain()
                return
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._target)
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
            try:
                await asyncio.gather(_copy(reader, far_writer), _copy(far_reader, writer))
            finally:
                far_writer.close()
        finally:
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def behind(
    folder: Path, proxy_url: str, refusal: str = ""
) -> AsyncIterator[tuple[Path, Proxy]]:
    """A kubeconfig whose server has a name that only the proxy knows, and the proxy.

    `proxy_url` names the proxy's port as PORT; empty, and the kubeconfig names none.
    """
    authority = Authority()
    context = server_context(authority.pair("api.fleet.invalid"), folder)
    async with (
        served(Script(answers=dict(VERSION)), context) as url,
        Proxy(int(url.rsplit(":", 1)[1]), refusal).running() as proxy,
    ):
        named = {"proxy-url": proxy_url.replace("PORT", str(proxy.port))} if proxy_url else {}
        address = "https://api.fleet.invalid:6443"
        fields = trusting(authority) | named
        yield write_kubeconfig(folder, address, {"token": "t0ken"}, **fields), proxy


async def version(config: Path) -> str:
    """The version by that kubeconfig."""
    async with opened(config, Script()) as cluster:
        return await cluster.version()


async def test_the_kubeconfigs_proxy_makes_the_tunnel_and_tls_goes_through_it(
    tmp_path: Path,
) -> None:
    async with behind(tmp_path, "http://me:s3cret@127.0.0.1:PORT") as (config, proxy):
        assert await version(config) == "v1.37.2"
    assert proxy.asked == ["CONNECT api.fleet.invalid:6443 HTTP/1.1"]
    assert any(line.startswith("Proxy-Authorization: Basic") for line in proxy.headers)
    assert not any("t0ken" in line for line in proxy.headers), "the token is for the server alone"


async def test_the_environments_proxy_counts_unless_no_proxy_names_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with behind(tmp_path, "") as (config, proxy):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        for name in ("https_proxy", "no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        assert await version(config) == "v1.37.2"
        monkeypatch.setenv("NO_PROXY", ".fleet.invalid")
        with pytest.raises(UnreachableError):
            await version(config)
    assert len(proxy.asked) == 1


@pytest.mark.parametrize("refusal", ["407 Proxy Authentication Required", "502 Bad Gateway"])
async def test_a_proxy_that_refuses_is_named_without_its_password(
    tmp_path: Path, refusal: str
) -> None:
    async with behind(tmp_path, "http://me:s3cret@127.0.0.1:PORT", refusal) as (config, proxy):
        with pytest.raises(UnreachableError, match=f"the proxy answered {refusal[:3]}") as caught:
            await version(config)
    assert f"check the proxy 127.0.0.1:{proxy.port}" in str(caught.value)
    assert "s3cret" not in str(caught.value)


async def test_a_proxy_that_is_not_there_is_named(tmp_path: Path) -> None:
    async with behind(tmp_path, "http://me:s3cret@127.0.0.1:1") as (config, _):
        with pytest.raises(UnreachableError, match="the proxy cannot be reached") as caught:
            await version(config)
    assert "s3cret" not in str(caught.value)


async def test_a_kind_of_proxy_that_cannot_be_used_is_told_at_once(tmp_path: Path) -> None:
    async with behind(tmp_path, "socks5://127.0.0.1:PORT") as (config, _):
        with pytest.raises(UnauthorizedError, match="proxy-url"):
            await KubernetesCluster.connect(config)
