"""Runs the `git` program: the only place that does, and always hardened.

No prompt, no hook, no file-system monitor, no transport helper, no variable of a surrounding Git
process (`GIT_DIR` of a hook would point at another repository), a time limit on every call, and a
process group of its own, so that a transport that hangs is ended with it.

GitPython is not used: importing it takes 0.4 s, it passes `GIT_DIR` on, and its clone has no limit
on time.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from fleet.errors import SourceError
from fleet.source.locations import without_credentials

LOCAL_SECONDS = 60.0
NETWORK_SECONDS = 300.0

_SETTINGS = {
    "core.hooksPath": os.devnull,
    "core.fsmonitor": "false",
    "core.quotePath": "false",
    "protocol.ext.allow": "never",
    "protocol.fd.allow": "never",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
}

# How a person or a machine gets at its repositories is theirs to say.
_ACCESS = (
    "GIT_ASKPASS",
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_SYSTEM",
    "GIT_SSH",
    "GIT_SSH_COMMAND",
    "GIT_SSL_CAINFO",
)


class GitFailed(Exception):
    """`git` ended with an error; the message is what it said, without credentials."""


def environment(inherited: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment that `git` runs in: the caller's, less what steers Git, plus the limits."""
    found = os.environ if inherited is None else inherited
    keep = {name: value for name, value in found.items() if not name.startswith("GIT_")}
    keep |= {name: found[name] for name in _ACCESS if name in found}
    if "GIT_SSH" not in keep:
        keep.setdefault("GIT_SSH_COMMAND", "ssh -oBatchMode=yes")
    keep |= {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "file:http:https:ssh",
        "GIT_PROTOCOL_FROM_USER": "0",
        "GIT_NO_LAZY_FETCH": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        "LC_ALL": "C",
        "GIT_CONFIG_COUNT": str(len(_SETTINGS)),
    }
    for index, (name, value) in enumerate(_SETTINGS.items()):
        keep[f"GIT_CONFIG_KEY_{index}"] = name
        keep[f"GIT_CONFIG_VALUE_{index}"] = value
    return keep


class Git:
    """`git` for one repository directory (the `.git`, or the bare repository itself)."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def run(self, *arguments: str, seconds: float = LOCAL_SECONDS) -> bytes:
        """What the command prints. Errors: `GitFailed`; `SourceError` if it takes too long."""
        return run([f"--git-dir={self.directory}", *arguments], seconds=seconds)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """A command that goes on running, with pipes to its input and from its output."""
        return subprocess.Popen(
            ["git", f"--git-dir={self.directory}", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
            start_new_session=True,
        )


def run(
    arguments: Sequence[str], *, seconds: float, extra: Mapping[str, str] | None = None
) -> bytes:
    """What `git` prints. Errors: `GitFailed`; `SourceError` without a git or if it is too slow."""
    try:
        process = subprocess.Popen(
            ["git", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment() | dict(extra or {}),
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise SourceError(
            "there is no `git` program", fix="install Git 2.30 or newer", code="source-no-git"
        ) from error
    try:
        output, said = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        _end(process)
        raise SourceError(
            f"git took longer than {seconds:g} s",
            fix="check the network and the repository's host; it is tried again",
            code="source-timeout",
        ) from error
    if process.returncode:
        raise GitFailed(without_credentials(said.decode(errors="replace").strip()))
    return output


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a process with the whole group that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
