"""One hub at a time in one folder: a lock that the kernel gives back when its holder dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from fleet.errors import ServeError

LOCK_FILE = "hub.lock"


class FolderLock:
    """Held from `take` until `release` or the end of the process, kill -9 included."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / LOCK_FILE
        self._handle: int | None = None

    def take(self) -> None:
        """Take it now. Errors: `ServeError` if another hub has it."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise ServeError(
                f"the state folder cannot be made: {error.strerror or error}",
                at=str(self._path.parent),
                fix="give a folder that this user may write to with --state-dir",
                code="state-unusable",
            ) from error
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            raise ServeError(
                "another hub works in this folder",
                at=str(self._path.parent),
                fix="stop that hub, or give this one another --state-dir",
                code="state-in-use",
            ) from error
        self._handle = handle

    def release(self) -> None:
        """Give it back; releasing twice is fine."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
