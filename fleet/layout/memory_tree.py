"""A `Tree` in memory: for tests, for what a command makes up, and for a folder that was read.

Passes for any other tree: entries are sorted and blobs are named as Git names them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from fleet.model import TreeEntry


class MemoryTree:
    """The files of one made-up commit."""

    def __init__(
        self,
        files: Mapping[str, bytes | str],
        *,
        links: Mapping[str, str] | None = None,
        submodules: Mapping[str, str] | None = None,
        commit: str = "",
    ) -> None:
        """`links` are path → target, `submodules` path → commit. `commit` is made from content."""
        self._data = {path: _bytes(data) for path, data in files.items()}
        self._data |= {path: target.encode() for path, target in (links or {}).items()}
        modes = dict.fromkeys(files, "100644") | dict.fromkeys(links or {}, "120000")
        entries = [
            TreeEntry(path, mode, blob_id(self._data[path]), len(self._data[path]))
            for path, mode in modes.items()
        ]
        entries += [TreeEntry(p, "160000", c, 0) for p, c in (submodules or {}).items()]
        self._entries = {e.path: e for e in sorted(entries, key=lambda entry: entry.path)}
        self._commit = commit or _digest(self._entries)

    @property
    def commit(self) -> str:
        """What was given, else a digest of the content."""
        return self._commit

    def entries(self) -> Mapping[str, TreeEntry]:
        """Every file, sorted by path."""
        return self._entries

    def read(self, path: str) -> bytes:
        """The bytes of one file, the target of a link. Errors: `KeyError`."""
        return self._data[path]


def blob_id(data: bytes) -> str:
    """Git's object id of a file with these bytes."""
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _digest(entries: Mapping[str, TreeEntry]) -> str:
    """40 digits for equal files; a name need not be UTF-8."""
    content = "".join(f"{e.mode} {e.blob} {e.path}\0" for e in entries.values())
    return hashlib.sha256(content.encode("utf-8", "surrogateescape")).hexdigest()[:40]


def _bytes(data: bytes | str) -> bytes:
    return data.encode() if isinstance(data, str) else data
