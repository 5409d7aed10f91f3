"""Credentials come from a kubeconfig that somebody else may have written: nothing in it is run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from clusters.errors import UnauthorizedError
from clusters.kubernetes.credentials import Wanted, read_access
from clusters.objects import Object
from tests.clusters.kubernetes.script import write_kubeconfig

SERVER = "http://127.0.0.1:6443"


def plugin(folder: Path) -> Object:
    """A user whose token comes from a program, which leaves a trace."""
    credential = (
        '{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", '
        '"status": {"token": "from-plugin"}}'
    )
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
    access = await read_access(Wanted(config))
    assert (access.url, access.authorization) == (SERVER, "Bearer t0ken")
    assert access.tls is None
    assert "t0ken" not in repr(access)


async def test_a_program_named_by_a_kubeconfig_is_not_run(tmp_path: Path) -> None:
    config = write_kubeconfig(tmp_path, SERVER, plugin(tmp_path))
    with pytest.raises(UnauthorizedError, match="not allowed"):
        await read_access(Wanted(config))
    assert not (tmp_path / "ran").exists()


async def test_a_program_is_run_where_that_is_allowed(tmp_path: Path) -> None:
    config = write_kubeconfig(tmp_path, SERVER, plugin(tmp_path))
    access = await read_access(Wanted(config, allow_exec=True))
    assert access.authorization == "Bearer from-plugin"
    assert (tmp_path / "ran").exists()


async def test_the_command_of_the_gcp_provider_counts_as_a_program(tmp_path: Path) -> None:
    provider = {"auth-provider": {"name": "gcp", "config": {"cmd-path": "/bin/true"}}}
    config = write_kubeconfig(tmp_path, SERVER, provider)
    with pytest.raises(UnauthorizedError, match="not allowed"):
        await read_access(Wanted(config))


async def test_a_context_that_is_not_there_is_named(tmp_path: Path) -> None:
    config = write_kubeconfig(tmp_path, SERVER, {"token": "t0ken"})
    with pytest.raises(UnauthorizedError, match="prd-eu-1") as caught:
        await read_access(Wanted(config, context="prd-eu-1"))
    assert str(config) in str(caught.value)
    assert "t0ken" not in str(caught.value)


async def test_a_missing_kubeconfig_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnauthorizedError, match="nowhere"):
        await read_access(Wanted(tmp_path / "nowhere"))


@pytest.mark.parametrize("text", ["", "[]", "users: {token: canary", "clusters: canary"])
async def test_a_kubeconfig_that_is_none_gives_one_error_without_its_content(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(UnauthorizedError) as caught:
        await read_access(Wanted(path))
    assert "canary" not in str(caught.value)


async def test_outside_a_pod_there_is_no_service_account() -> None:
    with pytest.raises(UnauthorizedError, match="service account"):
        await read_access(Wanted(in_cluster=True))


def test_the_heavy_package_is_loaded_only_when_a_cluster_is_connected() -> None:
    code = "import sys, clusters.kubernetes; sys.exit('kubernetes' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
