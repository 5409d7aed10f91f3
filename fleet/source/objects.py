"""Blobs and commits by id, from one `git cat-file --batch` process.

One process serves all trees of a repository, well under 1 ms a read; calls from several threads
take turns. A process that died (the machine's memory killer, a person) is started again once. Ends
with its owner: garbage collection and interpreter exit close it too.
"""

from __future__ import annotations

import subprocess
import threading
import weakref

from fleet.errors import SourceError
from fleet.source.git import Git

MAX_BLOB = 64 * 1024 * 1024
"""Bytes; a larger file is not read."""


class ObjectReader:
    """Reads objects of one repository."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._finalizer: weakref.finalize[[subprocess.Popen[bytes]], ObjectReader] | None = None

    def read(self, name: str) -> tuple[str, bytes]:
        """Kind (`blob`, `commit`) and bytes of an object named by its full id.

        Errors: `KeyError` if there is none, `SourceError` for one that is too large.
        """
        with self._lock:
            try:
                return self._ask(name)
            except (BrokenPipeError, EOFError):
                self._stop()
                try:
                    return self._ask(name)
                except (BrokenPipeError, EOFError) as error:
                    raise SourceError(
                        f"git cannot read {name}",
                        at=str(self._git.directory),
                        fix="run `git fsck` there; if it is Fleet's own mirror, delete it",
                    ) from error

    def close(self) -> None:
        """Ends the process; a later read starts another."""
        with self._lock:
            self._stop()

    def _ask(self, name: str) -> tuple[str, bytes]:
        process = self._process or self._start()
        if process.stdin is None or process.stdout is None:
            raise EOFError
        process.stdin.write(name.encode() + b"\n")
        process.stdin.flush()
        header = process.stdout.readline()
        if not header.endswith(b"\n"):
            raise EOFError
        if header.endswith(b" missing\n"):
            raise KeyError(name)
        _, kind, size = header.decode().split()
        if int(size) > MAX_BLOB:
            self._stop()  # cheaper than to read it all and throw it away
            raise SourceError(
                f"the object {name} has {int(size):,} bytes, more than {MAX_BLOB:,}",
                fix="keep large files out of the fleet repository",
                code="source-file-too-large",
            )
        data = process.stdout.read(int(size) + 1)
        if len(data) != int(size) + 1:
            raise EOFError
        return kind, data[:-1]

    def _start(self) -> subprocess.Popen[bytes]:
        process = self._git.start("cat-file", "--batch")
        self._process = process
        self._finalizer = weakref.finalize(self, _end, process)
        return process

    def _stop(self) -> None:
        if self._finalizer is not None:
            self._finalizer()
        self._process = self._finalizer = None


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:
                continue  # what was still to be written has no reader any more
    process.wait()
