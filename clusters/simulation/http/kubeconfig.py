"""A kubeconfig with a context for each served cluster, for kubectl and agents."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusters.objects import dump_yaml

if TYPE_CHECKING:
    from clusters.simulation.http.serving import RunningServer


def write_kubeconfig(path: Path, server: RunningServer) -> None:
    """Write the file with mode 0600; the first cluster by name is the current context."""
    write_contexts(path, {name: server.url_of(name) for name in server.names}, server.token)


def write_contexts(path: Path, urls: Mapping[str, str], token: str = "") -> None:
    """The same for clusters that several servers serve: name → address."""
    names = sorted(urls)
    user: dict[str, Any] = {"token": token} if token else {}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": urls[name]}} for name in names],
        "users": [{"name": "fleet", "user": user}],
        "contexts": [
            {"name": name, "context": {"cluster": name, "user": "fleet"}} for name in names
        ],
        "current-context": names[0] if names else "",
    }
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(dump_yaml([config]))
