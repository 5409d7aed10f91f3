"""What an agent keeps on disk: the hub's key, the last target, and the artifacts it names.

::

    STATE/identity               what this directory's agent is called in the cluster's Lease
    STATE/hub-key.json           the hub's key, pinned (`trust`)
    STATE/target.json            the last accepted target (grants are in it), replaced atomically
    STATE/artifacts/<sha256>     an artifact's bytes; verified again whenever they are read

The target is on disk before anything that it grants is written to the cluster, so an agent that
dies comes back to it and heals without the hub. A file that does not hold what its name or form
says counts as not there; whether the hub signed a target is for `trust` to say. Nothing here is
secret beyond what the artifacts are; files are 0600.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from agents.errors import StateError
from agents.protocol import Artifact, ArtifactError, Target, read_artifact
from clusters.objects import Digest

_IDENTITY = re.compile(r"[-A-Za-z0-9._]{1,200}\Z")
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})\Z")


class Cache:
    """The state directory of one agent. Errors: `StateError` where it cannot be written."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._artifacts = directory / "artifacts"
        try:
            self._artifacts.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise _unwritable(directory, error) from error

    def identity(self, fresh: str) -> str:
        """Who the agent of this directory is: `fresh` at its first start, later the same again.

        A copy of the directory is somebody else: the file says which file it is (its inode).
        """
        path = self._directory / "identity"
        try:
            said, *places = path.read_text("ascii").split() or [""]
            place, here = "".join(places), str(path.stat().st_ino)
        except (OSError, UnicodeDecodeError):
            said = place = here = ""
        if not _IDENTITY.match(said) or (place and place != here):
            said, place = fresh, ""
            self._replace(path, said.encode())
        if not place:
            self._note_place(path)
        return said

    def _note_place(self, path: Path) -> None:
        try:
            with path.open("ab") as file:
                file.write(f"\n{path.stat().st_ino}\n".encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _unwritable(self._directory, error) from error

    def load_key(self) -> bytes:
        """What was saved of the hub's key; empty if nothing was."""
        try:
            return (self._directory / "hub-key.json").read_bytes()
        except OSError:
            return b""

    def save_key(self, data: bytes) -> None:
        """Replace what is saved of the hub's key."""
        self._replace(self._directory / "hub-key.json", data)

    def load_target(self, cluster: str) -> Target | None:
        """The last target saved for this cluster; `None` if there is none that can be read."""
        try:
            target = Target.model_validate_json((self._directory / "target.json").read_bytes())
        except (OSError, ValidationError):
            return None
        return target if target.cluster == cluster else None

    def save_target(self, target: Target) -> None:
        """Replace the saved target, on disk for good when this returns."""
        self._replace(self._directory / "target.json", target.model_dump_json().encode())

    def load_artifact(self, digest: Digest) -> Artifact | None:
        """A saved artifact, its digest verified; a file with other bytes is removed."""
        path = self._path(digest)
        if path is None or not path.exists():
            return None
        try:
            return read_artifact(path.read_bytes(), digest)
        except (OSError, ArtifactError):
            path.unlink(missing_ok=True)
            return None

    def artifact_bytes(self, digest: Digest) -> bytes | None:
        """A saved artifact as it is on disk, not verified; `None` if there is none."""
        path = self._path(digest)
        try:
            return path.read_bytes() if path is not None else None
        except OSError:
            return None

    def save_artifact(self, digest: Digest, data: bytes) -> Artifact:
        """Verify and save. Errors: `ArtifactError`, with nothing saved."""
        artifact = read_artifact(data, digest)
        path = self._path(digest)
        if path is None:
            raise ArtifactError(f"{digest!r} is no digest")
        self._replace(path, data)
        return artifact

    def keep_only(self, digests: Iterable[Digest]) -> None:
        """Remove artifacts that nothing names any more."""
        kept = {path for digest in digests if (path := self._path(digest)) is not None}
        for path in self._artifacts.iterdir():
            if path not in kept:
                path.unlink(missing_ok=True)

    def _path(self, digest: Digest) -> Path | None:
        match = _DIGEST.match(digest)
        return self._artifacts / match.group(1) if match else None

    def _replace(self, path: Path, data: bytes) -> None:
        fresh = path.with_name(f".{path.name}.new")
        try:
            with os.fdopen(os.open(fresh, _FLAGS, 0o600), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(path)
            _sync(path.parent)
        except OSError as error:
            raise _unwritable(self._directory, error) from error


def _sync(directory: Path) -> None:
    """Make a new name last: a rename is on disk when its directory is."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_TRUNC


def _unwritable(directory: Path, error: OSError) -> StateError:
    return StateError(
        f"the state directory cannot be written: {error.strerror}",
        at=str(directory),
        fix="give --state-dir a directory that this user may write to",
    )
