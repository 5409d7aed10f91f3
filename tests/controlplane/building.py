"""Building the programs with the Go tool: once for each machine, with progress, all or nothing.

Two builds at a time wait for each other; the second finds the work done. A build that is stopped
leaves nothing that could be taken for a program, and goes on from Go's own cache the next time.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.controlplane.programs import SOURCE, cache_folder, kubernetes_version

_VERSION = "k8s.io/component-base/version"
_SECONDS_BETWEEN_LINES = 15.0


def build(say: Callable[[str], None]) -> Path:
    """Build what is not there yet; the folder that holds the programs. Writes the cache folder.

    Errors: `RuntimeError` that says what is missing or what the Go tool said.
    """
    folder = cache_folder()
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder.parent / "lock"):
        if folder.is_dir():
            say(f"the control plane is built: {folder}")
            return folder
        go = shutil.which("go")
        if go is None:
            raise RuntimeError(
                "the control plane is built with Go, and there is no `go` on the PATH\n"
                "  fix: install Go 1.26 or newer, or name a folder with kube-apiserver and etcd\n"
                "       in KUBEBUILDER_ASSETS"
            )
        with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
            _compile(go, Path(scratch), say)
            Path(scratch).rename(folder)
            Path(scratch).mkdir()  # so that there is something to clean up
    say(f"built: {folder}")
    return folder


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _compile(go: str, folder: Path, say: Callable[[str], None]) -> None:
    version = kubernetes_version()
    major, minor, _ = version.removeprefix("v").split(".")
    # Without these it calls itself v0.0.0, and clients misjudge what it can do.
    flags = f"-s -w -X {_VERSION}.gitVersion={version} -X {_VERSION}.gitMajor={major}"
    flags += f" -X {_VERSION}.gitMinor={minor}"
    environment = {**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false"}
    say(f"building Kubernetes {version} and etcd from published modules (11 minutes on 2 cores)")
    total = _count_packages(go, environment)
    process = subprocess.Popen(
        [go, "build", "-v", "-trimpath", "-ldflags", flags, "-o", f"{folder}/", "tool"],
        cwd=SOURCE,
        env=environment,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    said = _follow(process, total, say)
    if process.wait():
        raise RuntimeError("the Go tool could not build the control plane:\n" + "\n".join(said))


def _count_packages(go: str, environment: dict[str, str]) -> int:
    """How many packages there are to compile; fetches the modules (0.8 GB)."""
    listed = subprocess.run(
        [go, "list", "-deps", "tool"],
        cwd=SOURCE,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        raise RuntimeError(f"the Go tool could not fetch the modules:\n{listed.stderr[-2000:]}")
    return len(listed.stdout.splitlines())


def _follow(process: subprocess.Popen[str], total: int, say: Callable[[str], None]) -> list[str]:
    """Say now and then how far it is; the last lines that the tool wrote."""
    last: list[str] = []
    begun = told = time.monotonic()
    done = 0
    assert process.stderr is not None
    for line in process.stderr:
        last = [*last[-20:], line.rstrip()]
        done += not line.startswith(("go: ", "#", "\t"))
        now = time.monotonic()
        if now - told > _SECONDS_BETWEEN_LINES:
            told = now
            say(f"  {now - begun:4.0f} s: {done} of at most {total} packages")
    return last
