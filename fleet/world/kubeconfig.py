"""A kubeconfig for as long as simulated clusters live: made, filled, and taken away again.

It is a file that nobody else has: a temporary one, or one that a person names and that is not
there yet. It goes when the clusters go, for its addresses lead nowhere then; a named file to which
something else was added meanwhile stays. An existing file is never touched.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from clusters.objects import YamlError, read_yaml
from clusters.simulation.http import write_contexts
from fleet.errors import FleetError


class Kubeconfig:
    """One file; `stays` says after the end whether it was left because of what else it holds."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stays = False
        self._servers: frozenset[str] = frozenset()

    def write(self, urls: Mapping[str, str]) -> None:
        """A context for each cluster (name → address)."""
        self._servers = frozenset(urls.values())
        write_contexts(self.path, urls)

    def remove(self) -> None:
        """Remove the file if it leads nowhere else."""
        self.stays = not self.leads_nowhere_else()
        if not self.stays:
            self.path.unlink(missing_ok=True)

    def leads_nowhere_else(self) -> bool:
        """Is it gone, empty, or without a cluster or user but the ones written?"""
        with suppress(OSError, YamlError, TypeError, KeyError, AttributeError):
            text = self.path.read_bytes() if self.path.exists() else b""
            config = read_yaml(text) or {}
            servers = {entry["cluster"]["server"] for entry in config.get("clusters") or ()}
            users = {entry["name"] for entry in config.get("users") or ()}
            return servers <= self._servers and users <= {"fleet"}
        return False  # whatever it is now, it is somebody's


@contextmanager
def reserved(named: Path | None) -> Iterator[Kubeconfig]:
    """A new, empty, private kubeconfig, removed at the end; `None` is a temporary file.

    Errors: `FleetError` (`kubeconfig-exists`, `kubeconfig-unwritable`).
    """
    folder = None if named else Path(tempfile.mkdtemp(prefix="fleet-sandbox-"))
    kubeconfig = Kubeconfig(named or Path(folder or "", "kubeconfig"))
    try:
        _create(kubeconfig.path)
        try:
            yield kubeconfig
        finally:
            kubeconfig.remove()
    finally:
        if folder:
            shutil.rmtree(folder, ignore_errors=True)
            kubeconfig.stays = False


def _create(path: Path) -> None:
    try:
        path.touch(mode=0o600, exist_ok=False)
    except FileExistsError as error:
        raise FleetError(
            "the kubeconfig is there already, and an existing file is not touched",
            at=str(path),
            fix=f"name a new file; to use both: export KUBECONFIG={path}:NEW_FILE",
            code="kubeconfig-exists",
        ) from error
    except OSError as error:
        raise FleetError(
            f"the kubeconfig cannot be written: {error.strerror}",
            at=str(path),
            fix="name a file in a folder that is there and that you may write to",
            code="kubeconfig-unwritable",
        ) from error
