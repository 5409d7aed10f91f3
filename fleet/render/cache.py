"""Results by content: what was rendered once is never rendered again while its input is the same.

::

    <folder>/<2 digits>/<key>     the sha256 of what follows, a line
                                  all but the bytes as JSON, a line
                                  the artifacts' bytes

Files appear by renaming, so a reader never sees half of one; a file that is not what its first line
says counts as missing. A memory of recent results stands in front of the disk. What may turn
out otherwise next time (a crash, a time-out) is never kept.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from collections import OrderedDict
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import orjson

from clusters.objects import Digest, digest_of
from fleet.model import Problem, Rendered, Severity
from fleet.render.job import Results
from fleet.render.pool import CRASHED, TIMEOUT

MEMORY_BYTES = 256 * 1024 * 1024
DISK_FILES = 20_000


class RenderCache:
    """Results of jobs under their keys, in memory and under a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._recent: OrderedDict[Digest, Results] = OrderedDict()
        self._recent_bytes = 0
        self._lock = threading.Lock()

    def get(self, key: Digest) -> Results | None:
        """The results of a job, if they are known."""
        with self._lock:
            if key in self._recent:
                self._recent.move_to_end(key)
                return self._recent[key]
        path = self._path(key)
        try:
            results = _decode(path.read_bytes())
        except (OSError, ValueError):
            return None
        with contextlib.suppress(OSError):
            os.utime(path)  # what is used is the last to be removed
        self._remember(key, results)
        return results

    def put(self, key: Digest, results: Results) -> None:
        """Keeps results, unless one of them is a crash or a time-out.

        Errors: `OSError` if the disk refuses.
        """
        if any(r.problem and r.problem.code in (CRASHED, TIMEOUT) for r in results.values()):
            return
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".new-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(_encode(results))
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        self._remember(key, results)

    def trim(self, most: int = DISK_FILES) -> int:
        """Removes the results that were not used for longest; how many."""
        files = sorted(self._folder.glob("??/*"), key=_used, reverse=True)
        for path in files[most:]:
            path.unlink(missing_ok=True)
        return max(0, len(files) - most)

    def _path(self, key: Digest) -> Path:
        name = key.removeprefix("sha256:")
        return self._folder / name[:2] / name

    def _remember(self, key: Digest, results: Results) -> None:
        with self._lock:
            if key not in self._recent:
                self._recent_bytes += _size(results)
            self._recent[key] = results
            while self._recent_bytes > MEMORY_BYTES and len(self._recent) > 1:
                _, old = self._recent.popitem(last=False)
                self._recent_bytes -= _size(old)


def _size(results: Results) -> int:
    return 1000 + sum(len(rendered.data) for rendered in results.values())


def _used(path: Path) -> float:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return 0.0


def _encode(results: Results) -> bytes:
    said: dict[str, Any] = {}
    parts: list[bytes] = []
    for bundle, rendered in results.items():
        said[bundle] = asdict(replace(rendered, data=b"")) | {"data": len(rendered.data)}
        parts.append(rendered.data)
    body = orjson.dumps(said) + b"\n" + b"".join(parts)
    return digest_of(body).encode() + b"\n" + body


def _decode(data: bytes) -> Results:
    """Errors: `ValueError` for a file that is damaged."""
    digest, _, body = data.partition(b"\n")
    if digest_of(body).encode() != digest:
        raise ValueError("the file is not what its first line says")
    head, _, rest = body.partition(b"\n")
    results: Results = {}
    for bundle, fields in orjson.loads(head).items():
        part, rest = rest[: fields["data"]], rest[fields["data"] :]
        fields |= {
            "data": part,
            "images": tuple(fields["images"]),
            "charts": tuple(fields["charts"]),
            "problem": _problem(fields["problem"]),
            "warnings": tuple(_problem(item) for item in fields["warnings"]),
        }
        results[bundle] = Rendered(**fields)
    return results


def _problem(fields: dict[str, Any] | None) -> Problem | None:
    return Problem(**fields | {"severity": Severity(fields["severity"])}) if fields else None
