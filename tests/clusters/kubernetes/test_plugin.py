"""Programs that print credentials: run as client-go runs them, bounded, and never quoted."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from clusters.kubernetes.plugin import Credential, PluginError, run_plugin

V1 = "client.authentication.k8s.io/v1"


def printing(status: object, **told: Any) -> dict[str, Any]:
    """An exec entry whose program prints this status."""
    credential = {"apiVersion": V1, "kind": "ExecCredential", "status": status} | told
    return running(f"print({json.dumps(credential)!r})")


def running(code: str, **fields: Any) -> dict[str, Any]:
    """An exec entry that runs Python."""
    return {"apiVersion": V1, "command": sys.executable, "args": ["-c", code], **fields}


async def ask(spec: dict[str, Any], folder: Path = Path(), seconds: float = 30.0) -> Credential:
    """What the program gives."""
    return await run_plugin(spec, folder, {"server": "https://k"}, seconds)


async def test_a_token_comes_with_its_end() -> None:
    found = await ask(printing({"token": "t", "expirationTimestamp": "2030-01-01T00:10:00Z"}))
    assert found == Credential("t", expires=datetime(2030, 1, 1, 0, 10, tzinfo=UTC))
    assert "'t'" not in repr(found)


async def test_a_certificate_comes_with_its_key() -> None:
    found = await ask(printing({"clientCertificateData": "c", "clientKeyData": "k"}))
    assert (found.certificate, found.key, found.expires) == ("c", "k", None)


async def test_it_is_told_what_is_wanted_and_has_nobody_to_talk_to(tmp_path: Path) -> None:
    out = tmp_path / "told"
    code = (
        "import json, os, sys\n"
        "told = [os.environ['KUBERNETES_EXEC_INFO'], os.environ['MINE'], sys.stdin.read()]\n"
        f"open({str(out)!r}, 'w').write(json.dumps(told))\n"
        f"print(json.dumps({{'apiVersion': {V1!r}, 'status': {{'token': 't'}}}}))"
    )
    spec = running(code, env=[{"name": "MINE", "value": "1"}], provideClusterInfo=True)
    await ask(spec)
    info, mine, read = json.loads(out.read_text())
    told = {"interactive": False, "cluster": {"server": "https://k"}}
    assert json.loads(info) == {"apiVersion": V1, "kind": "ExecCredential", "spec": told}
    assert (mine, read) == ("1", "")


async def test_a_command_with_a_slash_lies_beside_the_kubeconfig(tmp_path: Path) -> None:
    script = tmp_path / "login.sh"
    script.write_text(f'#!/bin/sh\necho \'{{"apiVersion": "{V1}", "status": {{"token": "t"}}}}\'\n')
    script.chmod(0o700)
    spec = {"apiVersion": V1, "command": "./login.sh"}
    assert (await ask(spec, tmp_path)).token == "t"
    with pytest.raises(PluginError, match="cannot be run"):
        await ask(spec, tmp_path / "elsewhere")


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (printing({}), "gave no token"),
        (printing({"clientCertificateData": "canary"}), "no certificate with its key"),
        (printing("canary"), "did not print an ExecCredential"),
        (printing({"token": "canary"}, apiVersion="client.authentication.k8s.io/v2"), "speak"),
        (printing({"token": "canary", "expirationTimestamp": "canary"}), "did not print"),
        (running("print('canary')"), "did not print an ExecCredential"),
        (running("print('canary'); raise SystemExit(3)"), "ended with code 3"),
        ({"apiVersion": V1}, "needs a command"),
        ({"apiVersion": "v1", "command": "true"}, "needs a command and one of"),
        ({"apiVersion": V1, "command": "no-such-program", "installHint": "get it"}, "get it"),
    ],
)
async def test_what_goes_wrong_is_told_and_nothing_that_it_printed(
    spec: dict[str, Any], says: str
) -> None:
    with pytest.raises(PluginError, match=says) as caught:
        await ask(spec)
    assert "canary" not in str(caught.value)


async def test_one_that_hangs_is_killed(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    args = ["-c", f"echo $$ > {pid}; exec sleep 600"]
    with pytest.raises(PluginError, match="stopped after 1 s"):
        await ask({"apiVersion": V1, "command": "sh", "args": args}, seconds=1.0)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)
