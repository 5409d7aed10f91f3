"""Credentials come from a kubeconfig that somebody else may have written: nothing in it is run."""

from __future__ import annotations

import subprocess
import sys
from base64 import b64encode
from datetime import timedelta
from pathlib import Path

import pytest
from orjson import dumps

from clusters.clock import FakeClock
from clusters.errors import UnauthorizedError
from clusters.kubernetes.credentials import (
    LEAD_SECONDS,
    TOKEN_SECONDS,
    Wanted,
    read_access,
    renewed,
)
from clusters.objects import Object
from tests.clusters.kubernetes.authority import Authority
from tests.clusters.kubernetes.script import write_kubeconfig

NOW = FakeClock().now()
SERVER = "http://127.0.0.1:6443"


def plugin(folder: Path, expires: str = "") -> Object:
    """A user whose token comes from a program, which leaves a trace."""
    status = {"token": "from-plugin"} | ({"expirationTimestamp": expires} if expires else {})
    told = {"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential"}
    credential = dumps(told | {"status": status}).decode()
    code = f"open({str(folder / 'ran')!r}, 'w').close(); print({credential!r})"
    return {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": ["-c", code],
        }
    }


async def test_a_token_is_sent_as_bearer(tmp_path: Path) -> None:
    config = write_kubeconfig(tmp_path, SERVER + "/", {"token": "t0ken"})
    access = await read_access(Wanted(config), NOW)
    assert (access.url, access.authorization) == (SERVER, "Bearer t0ken")
    assert access.tls is None
    assert "t0ken" not in repr(access)


async def test_a_program_named_by_a_kubeconfig_is_not_run(tmp_path: Path) -> None:
    config = write_kubeconfig(tmp_path, SERVER, plugin(tmp_path))
    with pytest.raises(UnauthorizedError, match="not allowed"):
        await read_access(Wanted(config), NOW)
    assert not (tmp_path / "ran").exists()


async def test_a_program_is_run_where_that_is_allowed(tmp_path: Path) -> None:
    config = write_kubeconfig(tmp_path, SERVER, plugin(tmp_path))
    access = await read_access(Wanted(config, allow_exec=True), NOW)
    assert access.authorization == "Bearer from-plugin"
    assert (tmp_path / "ran").exists()


async def test_the_command_of_the_gcp_provider_counts_as_a_program(tmp_path: Path) -> None:
    provider = {"auth-provider": {"name": "gcp", "config": {"cmd-path": "/bin/true"}}}
    config = write_kubeconfig(tmp_path, SERVER, provider)
    with pytest.raises(UnauthorizedError, match="not allowed"):
        await read_access(Wanted(config), NOW)


async def test_a_context_that_is_not_there_is_named(tmp_path: Path) -> None:
    config = write_kubeconfig(tmp_path, SERVER, {"token": "t0ken"})
    with pytest.raises(UnauthorizedError, match="prd-eu-1") as caught:
        await read_access(Wanted(config, context="prd-eu-1"), NOW)
    assert str(config) in str(caught.value)
    assert "t0ken" not in str(caught.value)


async def test_a_missing_kubeconfig_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnauthorizedError, match="nowhere"):
        await read_access(Wanted(tmp_path / "nowhere"), NOW)


@pytest.mark.parametrize("text", ["", "[]", "users: {token: canary", "clusters: canary"])
async def test_a_kubeconfig_that_is_none_gives_one_error_without_its_content(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(UnauthorizedError) as caught:
        await read_access(Wanted(path), NOW)
    assert "canary" not in str(caught.value)


async def test_outside_a_pod_there_is_no_service_account() -> None:
    with pytest.raises(UnauthorizedError, match="service account"):
        await read_access(Wanted(in_cluster=True), NOW)


async def test_what_a_program_gave_is_renewed_before_it_ends(tmp_path: Path) -> None:
    entry = plugin(tmp_path, expires="2030-01-01T00:10:00Z")
    config = write_kubeconfig(tmp_path, SERVER, entry)
    access = await read_access(Wanted(config, allow_exec=True), NOW)
    assert access.renew_at == NOW + timedelta(minutes=10, seconds=-LEAD_SECONDS)
    (tmp_path / "ran").unlink()
    late = NOW + timedelta(minutes=10)
    again = await renewed(access, Wanted(config, allow_exec=True), late)
    assert (tmp_path / "ran").exists()
    assert again.renew_at == late + timedelta(seconds=LEAD_SECONDS), "never in a tight loop"


async def test_a_programs_complaint_is_the_reason_and_its_answer_is_not(tmp_path: Path) -> None:
    entry = {"apiVersion": "client.authentication.k8s.io/v1", "command": "false"}
    config = write_kubeconfig(tmp_path, SERVER, {"exec": entry})
    with pytest.raises(UnauthorizedError, match="false ended with code 1"):
        await read_access(Wanted(config, allow_exec=True), NOW)


async def test_a_refused_program_names_the_option_that_allows_it(tmp_path: Path) -> None:
    config = write_kubeconfig(tmp_path, SERVER, plugin(tmp_path))
    with pytest.raises(UnauthorizedError, match="--allow-exec"):
        await read_access(Wanted(config), NOW)


async def test_a_token_file_counts_before_a_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("rotated\n")
    config = write_kubeconfig(tmp_path, SERVER, {"token": "old", "tokenFile": "token"})
    access = await read_access(Wanted(config), NOW)
    assert access.authorization == "Bearer rotated"
    assert access.renew_at == NOW + timedelta(seconds=TOKEN_SECONDS)


async def test_a_name_and_a_password_are_sent_as_basic(tmp_path: Path) -> None:
    config = write_kubeconfig(tmp_path, SERVER, {"username": "jane", "password": "secret"})
    access = await read_access(Wanted(config), NOW)
    assert access.authorization == "Basic amFuZTpzZWNyZXQ="


async def test_a_user_without_credentials_asks_as_nobody(tmp_path: Path) -> None:
    access = await read_access(Wanted(write_kubeconfig(tmp_path, SERVER, {})), NOW)
    assert access.authorization == ""


@pytest.mark.parametrize("token", ["two\nlines", "nul\0", "\x1b[2J"])
async def test_a_token_that_no_header_can_carry_is_refused_and_not_shown(
    tmp_path: Path, token: str
) -> None:
    (tmp_path / "token").write_text(token + "canary")
    for user in ({"token": token + "canary"}, {"tokenFile": "token"}):
        config = write_kubeconfig(tmp_path, SERVER, user)
        with pytest.raises(UnauthorizedError) as caught:
            await read_access(Wanted(config), NOW)
        assert "canary" not in str(caught.value)


async def test_files_are_merged_and_the_first_that_says_something_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
        (folder / "token").write_text(f"token of {folder.name}")
    context = {"name": "first", "context": {"cluster": "k", "user": "u"}}
    cluster = {"name": "k", "cluster": {"server": "http://one"}}
    user = {"name": "u", "user": {"tokenFile": "token"}}
    (one / "c").write_bytes(
        dumps({"current-context": "first", "contexts": [context], "clusters": [cluster]})
    )
    other = {"name": "k", "cluster": {"server": "http://two"}}
    (two / "c").write_bytes(
        dumps({"current-context": "second", "users": [user], "clusters": [other]})
    )
    monkeypatch.setenv("KUBECONFIG", f"{one / 'c'}:{tmp_path / 'missing'}:{two / 'c'}")
    access = await read_access(Wanted(), NOW)
    assert access.url == "http://one"
    assert access.authorization == "Bearer token of two", "relative to the file that names it"


def pod(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Wanted:
    """What the kubelet gives a pod."""
    (folder / "ca.crt").write_bytes(Authority().certificate())
    (folder / "token").write_text("first")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    return Wanted(in_cluster=True, service_account=folder)


async def test_in_a_pod_the_service_account_is_used_and_its_token_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = pod(tmp_path, monkeypatch)
    access = await read_access(wanted, NOW)
    assert (access.url, access.authorization) == ("https://[fd00::1]:443", "Bearer first")
    assert access.tls is not None
    (tmp_path / "token").write_text("second\n")
    assert access.renew_at is not None
    again = await renewed(access, wanted, access.renew_at)
    assert again.authorization == "Bearer second"
    assert again.tls is access.tls
    assert again.renew_at == access.renew_at + timedelta(seconds=TOKEN_SECONDS)


async def test_a_pod_without_a_token_is_told_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = pod(tmp_path, monkeypatch)
    (tmp_path / "token").unlink()
    with pytest.raises(UnauthorizedError, match="automountServiceAccountToken"):
        await read_access(wanted, NOW)


async def test_an_identity_providers_token_is_sent(tmp_path: Path) -> None:
    payload = b64encode(dumps({"exp": 4102444800})).decode().rstrip("=")
    provider = {"name": "oidc", "config": {"id-token": f"a.{payload}.b"}}
    config = write_kubeconfig(tmp_path, SERVER, {"auth-provider": provider})
    access = await read_access(Wanted(config), NOW)
    assert access.authorization == f"Bearer a.{payload}.b"


def test_the_heavy_package_is_loaded_for_identity_providers_only(tmp_path: Path) -> None:
    config = write_kubeconfig(tmp_path, SERVER, {"token": "t0ken"})
    code = (
        "import asyncio, pathlib, sys\n"
        "from clusters.kubernetes import KubernetesCluster\n"
        "async def main():\n"
        f"    cluster = await KubernetesCluster.connect(pathlib.Path({str(config)!r}))\n"
        "    await cluster.close()\n"
        "asyncio.run(main())\n"
        "sys.exit('kubernetes' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
