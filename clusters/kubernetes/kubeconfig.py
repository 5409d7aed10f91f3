"""What a kubeconfig says of one context: its cluster and its user, with what their files hold.

Several files in KUBECONFIG are merged as kubectl does: the first that names a thing wins. Relative
paths are relative to the file that they stand in. Every certificate, given as file or as data,
comes out as PEM, so nothing after this looks at the difference.

The `kubernetes` package could merge too, but takes the last current-context, resolves a user's
paths beside the cluster's file, leaves keys in temporary files, and costs an agent 12 MiB.

Never runs anything, asks nobody, and writes nothing.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clusters.kubernetes.certificates import Certificates
from clusters.objects import read_yaml

DEFAULT = "~/.kube/config"


class KubeconfigError(Exception):
    """The files say nothing usable; the text holds names and paths, never values."""

    def __init__(self, what: str, cure: str = "") -> None:
        super().__init__(what)
        self.cure = cure


@dataclass(frozen=True, slots=True)
class Entry:
    """One cluster or user, and the folder that its paths are relative to."""

    value: dict[str, Any]
    folder: Path

    def path(self, name: str) -> Path | None:
        """The file that a key names."""
        text = str(self.value.get(name) or "")
        return self.folder / text if text else None

    def pem(self, name: str) -> bytes:
        """The content of a certificate or key, from `name-data` or the file of `name`."""
        data = self.value.get(f"{name}-data")
        if data:
            try:
                # Strictly: text that were read as nothing would mean the system's authorities.
                return base64.b64decode("".join(str(data).split()), validate=True)
            except ValueError:
                raise KubeconfigError(f"{name}-data is not base64") from None
        path = self.path(name)
        return path.read_bytes() if path else b""


@dataclass(frozen=True, slots=True)
class Context:
    """A cluster and who we are there."""

    cluster: Entry
    user: Entry

    @property
    def url(self) -> str:
        """The server's address without a slash at its end."""
        server = str(self.cluster.value.get("server") or "").rstrip("/")
        if not server.startswith(("http://", "https://")):
            raise KubeconfigError("its cluster has no server that starts with https://")
        return server

    def certificates(self) -> Certificates:
        """What TLS is to use. Errors: `KubeconfigError`, `OSError` with the file's name."""
        return Certificates(
            self.cluster.pem("certificate-authority"),
            self.user.pem("client-certificate"),
            self.user.pem("client-key"),
            verify=not self.cluster.value.get("insecure-skip-tls-verify"),
        )

    def impersonation(self) -> tuple[tuple[str, str], ...]:
        """The headers of the user's `as` fields."""
        user = self.user.value
        extra = dict(user.get("as-user-extra") or {})
        pairs = [("Impersonate-User", user.get("as")), ("Impersonate-Uid", user.get("as-uid"))]
        pairs += [("Impersonate-Group", group) for group in user.get("as-groups") or ()]
        pairs += [(f"Impersonate-Extra-{name}", v) for name, vs in extra.items() for v in vs]
        return tuple((name, str(value)) for name, value in pairs if value)


def read_context(kubeconfig: Path | None, context: str | None) -> Context:
    """A context, the current one if none is named. Errors: `KubeconfigError` and `OSError`;
    those of Python over files that are none.
    """
    paths = [kubeconfig] if kubeconfig else _default_paths()
    files = [(path, read_yaml(path.read_bytes())) for path in paths if path.exists()]
    if not files:
        raise KubeconfigError(f"there is no file {', '.join(map(str, paths))}")
    name = context or next(
        (str(file["current-context"]) for _, file in files if file.get("current-context")), ""
    )
    if not name:
        raise KubeconfigError("it has no current-context", "name one with --context")
    chosen = _find(files, "context", name).value
    user = str(chosen.get("user") or "")
    return Context(
        _find(files, "cluster", str(chosen.get("cluster") or "")),
        _find(files, "user", user) if user else Entry({}, Path()),
    )


def _default_paths() -> list[Path]:
    named = os.environ.get("KUBECONFIG") or DEFAULT
    return [Path(path).expanduser() for path in named.split(os.pathsep) if path]


def _find(files: list[tuple[Path, Any]], what: str, name: str) -> Entry:
    """The first entry of that name, with the folder of its file."""
    for path, file in files:
        for entry in file.get(f"{what}s") or ():
            if entry["name"] == name:
                return Entry(dict(entry.get(what) or {}), path.absolute().parent)
    raise KubeconfigError(f"it has no {what} {name!r}")
