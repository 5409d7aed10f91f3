"""Rendered bytes, each in a file that is named by its digest.

Written to a temporary name and renamed, so that a file that is there is whole; read with its
digest checked, so that a damaged disk is an error and never a deployment. Writing what is there
is free, and mends a file that was damaged. What may be deleted is for others to say.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path

from clusters.objects import Digest, digest_of
from fleet.errors import StoreError

_DIGEST = re.compile(r"sha256:([0-9a-f]{64})\Z")


class Artifacts:
    """Artifacts of one hub in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, data: bytes) -> Digest:
        """Keep the bytes; returns their digest."""
        digest = digest_of(data)
        path = self._path(digest)
        if _holds(path, data):
            return digest
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return digest

    def get(self, digest: Digest) -> bytes:
        """The bytes. Errors: `KeyError` if they are not here; `StoreError` if damaged."""
        path = self._path(digest)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise KeyError(digest) from None
        if digest_of(data) != digest:
            raise StoreError(
                f"artifact {digest} is damaged on disk",
                at=str(path),
                fix="delete the file; the hub renders it again at its next plan",
                code="artifact-damaged",
            )
        return data

    def has(self, digest: Digest) -> bool:
        """Is it here? Does not look inside."""
        return _DIGEST.match(digest) is not None and self._path(digest).exists()

    def remove(self, digest: Digest) -> None:
        """Delete it, if it is here."""
        self._path(digest).unlink(missing_ok=True)

    def _path(self, digest: Digest) -> Path:
        match = _DIGEST.match(digest)
        if match is None:
            raise KeyError(digest)
        return self.folder / match[1][:2] / match[1]


def _holds(path: Path, data: bytes) -> bool:
    try:
        return path.read_bytes() == data
    except FileNotFoundError:
        return False
