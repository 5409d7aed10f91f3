"""One agent at a time on one state directory: a lock that the kernel gives back when it dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agents.errors import StateError

LOCK_FILE = "agent.lock"


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the directory until the block ends, kill -9 included.

    Errors: `StateError` if another agent has it, or it cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StateError(
            f"the state directory cannot be used: {error.strerror}",
            at=str(directory),
            fix="give --state-dir a directory that this user may write to",
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise StateError(
            "another agent works in this state directory",
            at=str(directory),
            fix="stop it, or give this one a --state-dir of its own",
            code="state-directory-in-use",
        ) from error
    try:
        yield
    finally:
        os.close(handle)
