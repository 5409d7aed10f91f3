"""The program that a kubeconfig names to get credentials from, as client-go runs it.

Protocol: `client.authentication.k8s.io`, v1 or v1beta1. The program is told by KUBERNETES_EXEC_INFO
what is wanted, has no terminal and no input, and has `PLUGIN_SECONDS`, after which it is killed. A
command with a slash is relative to the kubeconfig; others are searched in PATH. It is run only by
who was allowed to: see `credentials`. Its stderr is ours, as with kubectl, so that a person sees
what it complains of; what it prints as its answer is never repeated.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

PLUGIN_SECONDS = 60.0
VERSIONS = tuple(f"client.authentication.k8s.io/{version}" for version in ("v1", "v1beta1"))


class PluginError(Exception):
    """The program gave no credentials; the text names it and holds nothing that it printed."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A token or a client certificate with its key, and until when they hold."""

    token: str = ""
    certificate: str = ""
    key: str = ""
    expires: datetime | None = None

    def __repr__(self) -> str:
        return f"Credential(expires={self.expires})"


async def run_plugin(
    spec: dict[str, Any], folder: Path, cluster: dict[str, Any], seconds: float = PLUGIN_SECONDS
) -> Credential:
    """Run the program of a user's `exec` entry. Errors: `PluginError`.

    `folder` is the kubeconfig's; `cluster` is told to a program that wants it
    (`provideClusterInfo`), its certificates as data.
    """
    command, version = str(spec.get("command") or ""), str(spec.get("apiVersion") or "")
    if not command or version not in VERSIONS:
        raise PluginError(f"its exec entry needs a command and one of {', '.join(VERSIONS)}")
    path = str(folder / command) if "/" in command else command
    try:
        async with asyncio.timeout(seconds):
            printed = await _run([path, *_words(spec)], _environment(spec, version, cluster))
    except TimeoutError:
        raise PluginError(f"{command} was stopped after {seconds:g} s without an answer") from None
    except OSError as error:
        hint = str(spec.get("installHint") or "").strip()
        raise PluginError(f"{command} cannot be run: {error.strerror} {hint}".strip()) from None
    return _credential(command, version, printed)


def _words(spec: dict[str, Any]) -> list[str]:
    return [str(word) for word in spec.get("args") or []]


def _environment(spec: dict[str, Any], version: str, cluster: dict[str, Any]) -> dict[str, str]:
    asked: dict[str, Any] = {"interactive": False}
    if spec.get("provideClusterInfo"):
        asked["cluster"] = cluster
    info = {"apiVersion": version, "kind": "ExecCredential", "spec": asked}
    own = {str(entry["name"]): str(entry["value"]) for entry in spec.get("env") or []}
    return {**os.environ, **own, "KUBERNETES_EXEC_INFO": orjson.dumps(info).decode()}


async def _run(words: list[str], environment: dict[str, str]) -> bytes:
    process = await asyncio.create_subprocess_exec(
        *words,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        printed, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        raise PluginError(f"{Path(words[0]).name} ended with code {process.returncode}")
    return printed


def _credential(command: str, version: str, printed: bytes) -> Credential:
    try:
        told = orjson.loads(printed)
        status = told["status"]
        expires = status.get("expirationTimestamp")
        found = Credential(
            str(status.get("token") or ""),
            str(status.get("clientCertificateData") or ""),
            str(status.get("clientKeyData") or ""),
            _moment(expires) if expires else None,
        )
    except (ValueError, TypeError, LookupError, AttributeError):
        raise PluginError(f"{command} did not print an ExecCredential with a status") from None
    if told.get("apiVersion") != version:
        raise PluginError(f"{command} does not speak {version}")
    if not found.token and not (found.certificate and found.key):
        raise PluginError(f"{command} gave no token, and no certificate with its key")
    return found


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
