"""What a kubeconfig says of one context: its cluster and its user, with what their files hold.

The `kubernetes` package reads and merges the files (several in KUBECONFIG, the first that names a
thing wins); relative paths are relative to the file that they stand in. Every certificate, given as
file or as data, comes out as PEM, so nothing after this looks at the difference.

Never runs anything, asks nobody, and writes nothing.
"""

from __future__ import annotations

import base64
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clusters.kubernetes.certificates import Certificates

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
    those of the package over files that are none.
    """
    from kubernetes.aio.config import kube_config

    library: Any = kube_config  # the package has no types here
    paths = str(kubeconfig or os.environ.get("KUBECONFIG") or DEFAULT)
    merger = library.KubeConfigMerger(paths)
    if merger.config is None:
        raise KubeconfigError(f"there is no file {paths}")
    name = context or _current(merger)
    chosen = merger.config["contexts"].get_with_name(name)["context"]
    cluster = merger.config["clusters"].get_with_name(chosen["cluster"])
    user = merger.config["users"].get_with_name(chosen.safe_get("user") or "", safe=True)
    return Context(_entry(cluster, "cluster"), _entry(user, "user") if user else Entry({}, Path()))


def _current(merger: Any) -> str:
    """The first file's word counts, as in kubectl; the package would take the last."""
    files = (merger.config_files[path] for path in merger.paths)
    name = next((str(f["current-context"]) for f in files if f.get("current-context")), "")
    if not name:
        raise KubeconfigError("it has no current-context", "name one with --context")
    return name


def _entry(node: Any, key: str) -> Entry:
    return Entry(dict(node.value.get(key) or {}), Path(node.path).absolute().parent)
