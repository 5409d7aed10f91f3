"""A whole fleet for a test: a hub process, and its clusters with their agents on the test's loop.

As in `fleet demo`, but without Ray. All waits are bounded and say what is not as it should be.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fleet.api.client import ApiClient
from fleet.render.renderer import find_tools
from fleet.world.host import Host, HostSpec
from fleet.world.hub import HubProcess
from fleet.world.session import HUB_OPTIONS, free_port

LOOK_SECONDS = 0.25

Row = dict[str, Any]


class LocalFleet:
    """What a test does with a running fleet."""

    def __init__(self, api: ApiClient) -> None:
        self._api = api
        self.urls: dict[str, str] = {}
        """Cluster → address of its API server."""

    async def get(self, path: str) -> Any:
        """What the hub's API answers."""
        return await asyncio.to_thread(self._api.get, path)

    async def post(self, path: str, body: Any = None) -> Any:
        """What the hub's API answers to a POST."""
        return await asyncio.to_thread(self._api.post, path, body)

    async def rows(self, what: str) -> list[Row]:
        """The rows of a listing: `clusters`, `bundledeployments`, `runs`, `problems` …"""
        found: list[Row] = (await self.get(f"/v1/{what}"))["items"]
        return found

    async def until(
        self, what: str, seen: Callable[[list[Row]], bool], seconds: float, told: str
    ) -> list[Row]:
        """The rows of a listing, once they are as `seen` says; fails after `seconds`."""
        end = time.monotonic() + seconds
        while True:
            rows = await self.rows(what)
            if seen(rows):
                return rows
            assert time.monotonic() < end, f"{told} took over {seconds:.0f} s: {await self.late()}"
            await asyncio.sleep(LOOK_SECONDS)

    async def converged(self, seconds: float) -> list[Row]:
        """Every bundle deployment, once all are Synced and Healthy."""
        return await self.until("bundledeployments", _all_well, seconds, "convergence")

    async def runs_of(self, commit: str, seconds: float) -> list[Row]:
        """The runs of a commit, once there are some and all have ended, with their details."""

        def ended(runs: list[Row]) -> bool:
            mine = [run for run in runs if run["commit"] == commit]
            return bool(mine) and all(run["ended"] for run in mine)

        runs = await self.until("runs", ended, seconds, f"the runs of {commit[:12]}")
        return [await self.get(f"/v1/runs/{r['run']}") for r in runs if r["commit"] == commit]

    async def late(self) -> list[str]:
        """What is not well, and why, one line each."""
        return [
            f"{row['cluster']} {row['bundle']}: {row['sync']} {row['health']} {row['message']}"
            for row in await self.rows("bundledeployments")
            if not _all_well([row])
        ]

    async def kubectl(self, cluster: str, *words: str) -> str:
        """What the real kubectl prints against one cluster."""
        program = find_tools(None, None).kustomize[0]
        command = [program, "--server", self.urls[cluster], *words]
        done = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


def _all_well(rows: list[Row]) -> bool:
    return bool(rows) and all(
        row["sync"] == "Synced" and row["health"] == "Healthy" for row in rows
    )


@asynccontextmanager
async def running(repo: Path, folder: Path) -> AsyncIterator[LocalFleet]:
    """A hub for the repository, and one simulated cluster for each that it declares."""
    hub = HubProcess(folder, str(repo), port=free_port(), options=HUB_OPTIONS)
    host = None
    try:
        await asyncio.to_thread(hub.start)
        with hub.client() as api:
            fleet = LocalFleet(api)
            clusters = await fleet.until("clusters", bool, 60, "the first plan")
            tokens = {
                row["cluster"]: (await fleet.post(f"/v1/clusters/{row['cluster']}/token"))["token"]
                for row in clusters
            }
            host = Host(HostSpec(hub.url, tokens, folder / "agents"))
            fleet.urls = await host.start()
            yield fleet
    finally:
        if host is not None:
            await host.stop()
        await asyncio.to_thread(hub.stop)
