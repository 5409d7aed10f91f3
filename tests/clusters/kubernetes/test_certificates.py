"""Certificates: who is trusted, who we are, and what a failed handshake says to a person."""

from __future__ import annotations

import os
import subprocess
import sys
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from clusters.errors import UnauthorizedError, UnreachableError
from clusters.kubernetes import KubernetesCluster
from clusters.objects import Object
from tests.clusters.kubernetes.authority import DAY, Authority, Pair, server_context
from tests.clusters.kubernetes.script import Script, opened, served, write_kubeconfig

VERSION = {"/version": {"gitVersion": "v1.37.2"}}
TOLD: dict[str, Any] = {"certificate-authority": "pki/ca.crt"}
UNSEEN: dict[str, Any] = {"insecure-skip-tls-verify": True}


def data(pem: bytes) -> str:
    """PEM as a kubeconfig holds it."""
    return b64encode(pem).decode()


async def version(
    folder: Path, pair: Pair, user: Object | None = None, clients: Authority | None = None, **c: Any
) -> str:
    """The version that a TLS server with that certificate gives; `c` describes its cluster."""
    script = Script(answers=dict(VERSION))
    async with served(script, server_context(pair, folder, clients)) as url:
        config = write_kubeconfig(folder, url, user or {"token": "t"}, **c)
        async with opened(config, script) as cluster:
            return await cluster.version()


def shown(pair: Pair) -> Object:
    """A user that shows this certificate."""
    return {"client-certificate-data": data(pair.certificate), "client-key-data": data(pair.key)}


def trusting(authority: Authority) -> dict[str, Any]:
    """The field of a cluster that trusts this authority alone."""
    return {"certificate-authority-data": data(authority.certificate())}


async def test_a_server_signed_by_the_kubeconfigs_authority_is_trusted(tmp_path: Path) -> None:
    authority = Authority()
    assert await version(tmp_path, authority.pair("127.0.0.1"), **trusting(authority)) == "v1.37.2"


async def test_files_are_found_beside_the_kubeconfig_that_names_them(tmp_path: Path) -> None:
    authority = Authority()
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / "ca.crt").write_bytes(authority.certificate())
    pair = authority.pair("127.0.0.1")
    assert await version(tmp_path, pair, **TOLD) == "v1.37.2"


@pytest.mark.parametrize(
    ("made", "says", "cure"),
    [
        (
            lambda ca: Authority("other").pair("127.0.0.1"),
            "authority that is not",
            "certificate-au",
        ),
        (lambda ca: ca.pair("10.0.0.1"), "for another address", "tls-server-name"),
        (lambda ca: ca.pair("kubernetes"), "for another address", "tls-server-name"),
        (lambda ca: ca.pair("127.0.0.1", begins=-2 * DAY, lasts=DAY), "has expired", "clocks"),
        (lambda ca: ca.pair("127.0.0.1", begins=DAY), "not valid yet", "clocks"),
    ],
    ids=["authority", "address", "name", "expired", "early"],
)
async def test_a_certificate_that_is_wrong_makes_a_server_unreachable_and_names_the_cure(
    tmp_path: Path, made: Any, says: str, cure: str
) -> None:
    authority = Authority()
    with pytest.raises(UnreachableError, match=says) as caught:
        await version(tmp_path, made(authority), **trusting(authority))
    assert cure in str(caught.value).rsplit("fix:", 1)[1]


async def test_the_name_to_look_for_can_be_told(tmp_path: Path) -> None:
    authority = Authority()
    told = trusting(authority) | {"tls-server-name": "kubernetes"}
    assert await version(tmp_path, authority.pair("kubernetes"), **told) == "v1.37.2"
    told["tls-server-name"] = "elsewhere"
    with pytest.raises(UnreachableError, match="for another name"):
        await version(tmp_path, authority.pair("kubernetes"), **told)


async def test_a_certificate_is_not_looked_at_where_somebody_wrote_so(tmp_path: Path) -> None:
    pair = Authority().pair("elsewhere")
    assert await version(tmp_path, pair, **UNSEEN) == "v1.37.2"


async def test_a_client_certificate_says_who_we_are(tmp_path: Path) -> None:
    authority, clients = Authority(), Authority("clients")
    pair = authority.pair("127.0.0.1")
    user = shown(clients.pair("fleet"))
    assert await version(tmp_path, pair, user, clients, **trusting(authority)) == "v1.37.2"
    with pytest.raises(UnreachableError):
        await version(tmp_path, pair, {"token": "t"}, clients, **trusting(authority))


def test_a_key_that_a_kubeconfig_holds_stays_in_no_file(tmp_path: Path) -> None:
    authority, scratch = Authority(), tmp_path / "scratch"
    scratch.mkdir()
    user = shown(authority.pair("fleet"))
    config = write_kubeconfig(tmp_path, "https://127.0.0.1:1", user, **trusting(authority))
    code = (
        "import asyncio, os, pathlib\n"
        "from clusters.kubernetes import KubernetesCluster\n"
        "async def main():\n"
        f"    await KubernetesCluster.connect(pathlib.Path({str(config)!r}))\n"
        "    print(os.listdir(os.environ['TMPDIR']), flush=True)\n"
        "    os._exit(0)\n"  # as a kill would end it
        "asyncio.run(main())"
    )
    command = [sys.executable, "-c", code]
    environment = {**os.environ, "TMPDIR": str(scratch)}
    told = subprocess.run(command, env=environment, capture_output=True, check=True, timeout=60)
    assert told.stdout.strip() == b"[]"
    assert list(scratch.iterdir()) == []


async def test_a_new_token_needs_no_new_connection(tmp_path: Path) -> None:
    authority, script, ports = Authority(), Script(), []

    def answer(request: web.Request) -> web.Response:
        assert request.transport is not None
        ports.append(request.transport.get_extra_info("peername")[1])
        known = request.headers["Authorization"] == "Bearer second"
        return web.json_response(VERSION["/version"], status=200 if known else 401)

    script.answers["/version"] = answer
    context, fields = server_context(authority.pair("127.0.0.1"), tmp_path), trusting(authority)
    async with served(script, context) as url:
        config = write_kubeconfig(tmp_path, url, {"token": "first"}, **fields)
        async with opened(config, script) as cluster:
            write_kubeconfig(tmp_path, url, {"token": "second"}, **fields)
            await cluster.version()
    assert len(ports) == 2
    assert len(set(ports)) == 1


async def test_a_server_that_speaks_no_tls_is_named_as_such(tmp_path: Path) -> None:
    script = Script(answers=dict(VERSION))
    async with served(script) as url:
        config = write_kubeconfig(tmp_path, url.replace("http:", "https:"), {"token": "t"})
        async with opened(config, script) as cluster:
            with pytest.raises(UnreachableError, match="no TLS could be agreed on"):
                await cluster.version()


@pytest.mark.parametrize("text", ["!", "bm9uZQ", b64encode(b"no certificate").decode()])
async def test_an_authority_that_is_none_is_told_when_the_kubeconfig_is_read(
    tmp_path: Path, text: str
) -> None:
    config = write_kubeconfig(
        tmp_path, "https://127.0.0.1:1", {"token": "t"}, **{"certificate-authority-data": text}
    )
    with pytest.raises(UnauthorizedError, match="no usable credentials"):
        await KubernetesCluster.connect(config)


async def test_a_certificate_that_was_replaced_is_used_when_the_old_one_is_refused(
    tmp_path: Path,
) -> None:
    authority, clients = Authority(), Authority("clients")
    script = Script()
    seen: list[str] = []

    def answer(request: Any) -> Any:
        peer = request.transport.get_extra_info("peercert")
        seen.append(dict(item[0] for item in peer["subject"])["commonName"])
        return web.json_response(VERSION["/version"], status=200 if seen[-1] == "new" else 401)

    script.answers["/version"] = answer
    clients.pair("old").written(tmp_path, "me")
    user = {"client-certificate": "me.crt", "client-key": "me.key"}
    context = server_context(authority.pair("127.0.0.1"), tmp_path, clients)
    async with served(script, context) as url:
        config = write_kubeconfig(tmp_path, url, user, **trusting(authority))
        async with opened(config, script) as cluster:
            clients.pair("new").written(tmp_path, "me")
            assert await cluster.version() == "v1.37.2"
    assert seen == ["old", "new"]
