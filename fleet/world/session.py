"""A whole fleet on this machine: a hub process, simulated clusters and agents, a kubeconfig.

Use as a context manager: everything that it started is stopped, whatever happened in between.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from clusters.simulation.http import write_contexts
from fleet.api.client import ApiClient
from fleet.errors import FleetError, ServeError
from fleet.render.renderer import find_tools
from fleet.world.actors import Actors, share
from fleet.world.host import HostSpec

HUB_OPTIONS = ("--poll", "2", "--heartbeat", "2", "--degraded-after", "2", "--advance-every", "0.2")
"""Quick enough to watch."""
HOSTS = 2
DECLARED = ("Online", "Offline", "Pending")
PLAN_SECONDS = 60.0


class Session:
    """Hub, clusters and agents for one fleet repository."""

    def __init__(self, folder: Path, repo: str) -> None:
        self.folder = folder
        self.kubeconfig = folder / "kubeconfig"
        self.clusters: dict[str, str] = {}
        """Cluster → address of its API server."""
        self.repo = repo
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        from fleet.world.hub import HubProcess

        try:
            self.hub = self._opened.enter_context(
                HubProcess(self.folder, self.repo, port=free_port(), options=HUB_OPTIONS)
            )
            self.api: ApiClient = self._opened.enter_context(self.hub.client())
        except BaseException:
            self._opened.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opened.close()

    def declared(self) -> list[str]:
        """The clusters that Git declares, once the hub has planned. Errors: `FleetError`."""
        deadline = time.monotonic() + PLAN_SECONDS
        while time.monotonic() < deadline:
            if self.api.get("/v1/status")["source"]["plannedCommit"]:
                break
            time.sleep(0.2)  # noqa: TID251 - a person waits at a terminal
        rows = self.api.get("/v1/clusters")["items"]
        names = [row["cluster"] for row in rows if row["state"] in DECLARED]
        if not names:
            problems = self.api.get("/v1/problems")["items"]
            raise FleetError(
                "the repository declares no cluster that the hub could plan for",
                at=self.repo,
                fix=problems[0]["fix"] if problems else "add kind: Cluster documents to clusters/",
            )
        return names

    def start_clusters(self, names: list[str]) -> None:
        """A simulated cluster and its agent for each name, on Ray; writes the kubeconfig."""
        tokens = {name: self.api.post(f"/v1/clusters/{name}/token")["token"] for name in names}
        specs = [
            HostSpec(self.hub.url, {name: tokens[name] for name in some}, self.folder / "agents")
            for some in share(names, HOSTS)
        ]
        actors = self._opened.enter_context(Actors(specs))
        self.clusters = dict(sorted(actors.start().items()))
        write_contexts(self.kubeconfig, self.clusters)

    def kubectl(self, cluster: str, *words: str) -> str:
        """What the real kubectl prints against one simulated cluster. Errors: `ServeError`."""
        program = find_tools(None, None).kustomize[0]
        done = subprocess.run(
            [program, "--kubeconfig", str(self.kubeconfig), "--context", cluster, *words],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
            env={**os.environ, "KUBECONFIG": str(self.kubeconfig)},
        )
        if done.returncode:
            raise ServeError(f"kubectl {' '.join(words)}: {done.stderr.strip()}", at=cluster)
        return done.stdout.strip()


def free_port() -> int:
    """A port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
