"""A real hub process over HTTP, killed with -9 in the middle of a rollout and started again."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from agents.errors import HubError
from agents.hub_client import HttpHub
from agents.protocol import (
    DeploymentReport,
    Health,
    RegisterRequest,
    Report,
    StartRequest,
    SyncState,
    Target,
    read_artifact,
)

CLUSTERS = ("stg-1", "stg-2", "prd-1", "prd-2", "prd-3")
START_SECONDS, STORY_SECONDS = 60, 90


def write(repo: Path, version: str) -> None:
    """A fleet repository of raw YAML, committed."""
    for group in ("staging", "production"):
        folder = repo / "apps" / group / "web"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").write_text(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web, namespace: default}\n"
            f"data: {{version: {version}}}\n"
        )
    (repo / "clusters").mkdir(exist_ok=True)
    (repo / "clusters" / "clusters.yaml").write_text(
        "---\n".join(
            "apiVersion: fleet.dev/v1\nkind: Cluster\n"
            f"metadata: {{name: {name}, labels: {{env: {group_of(name)}}}}}\n"
            for name in CLUSTERS
        )
    )
    for command in (["init", "-q", "-b", "main"], ["add", "-A"], ["commit", "-qm", version]):
        subprocess.run(["git", "-C", str(repo), *command], check=True)


def group_of(cluster: str) -> str:
    return "staging" if cluster.startswith("stg") else "production"


class Process:
    """`fleet hub` in a process of its own."""

    def __init__(self, repo: Path, state: Path) -> None:
        command = [sys.executable, "-m", "fleet", "hub", "--repo", str(repo), "--port", "0"]
        knobs = ["--poll", "1", "--heartbeat", "2", "--advance-every", "0.1"]
        with (state.parent / "hub.log").open("ab") as log:
            self.popen = subprocess.Popen(
                [*command, "--state-dir", str(state), *knobs],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        assert self.popen.stdout is not None
        line = self.popen.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, f"the hub did not start: {line!r}"
        self.url = found[0]
        token = (state / "operator-token").read_text().strip()
        self.people = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {token}"}, timeout=30
        )

    def get(self, path: str) -> Any:
        answer = self.people.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def end(self, how: signal.Signals) -> None:
        """Send a signal and wait."""
        self.people.close()
        self.popen.send_signal(how)
        self.popen.wait(timeout=30)
        assert self.popen.stdout is not None
        self.popen.stdout.close()


class Puller:
    """A small agent over HTTP that remembers everything it was ever let do."""

    def __init__(self, cluster: str, token: str) -> None:
        self.cluster, self.token = cluster, token
        self.sequence = 0
        self.order = (0, 0)
        self.granted: dict[int, str] = {}
        """Generation → digest, in the order of the grants."""

    async def turn(self, url: str) -> None:
        """Register, start what is offered, report. A hub that is away is tried again later."""
        hub = HttpHub(url, self.cluster, self.token)
        try:
            await hub.register(RegisterRequest(cluster=self.cluster, incarnation="one"))
            target = await hub.target()
            assert target is not None
            for offer in target.offers:
                asked = StartRequest(run=offer.run, generation=offer.generation, incarnation="one")
                with suppress(HubError):
                    target = await hub.start(asked)
                    self._granted(offer.generation, offer.deployments[0].digest)
            await self._report(hub, target)
        finally:
            await hub.close()

    def _granted(self, generation: int, digest: str) -> None:
        assert self.granted.setdefault(generation, digest) == digest
        assert max(self.granted) == generation, "an older generation was granted after a newer one"

    async def _report(self, hub: HttpHub, target: Target) -> None:
        assert target.order >= self.order, "a target went back"
        self.order = target.order
        for current in target.current:
            read_artifact(await hub.artifact(current.artifact), current.artifact)
        self.sequence += 1
        states = [
            DeploymentReport(
                bundle=d.bundle,
                digest=d.digest,
                generation=target.generations[d.bundle],
                sync=SyncState.SYNCED,
                health=Health.HEALTHY,
                objects_total=1,
                objects_ready=1,
            )
            for d in target.current
        ]
        await hub.report(
            Report(
                cluster=self.cluster,
                incarnation="one",
                sequence=self.sequence,
                deployments=tuple(states),
            )
        )


async def turn_until(pullers: list[Puller], hub: Process, done: Any) -> None:
    async with asyncio.timeout(STORY_SECONDS):
        while not done():
            for puller in pullers:
                with suppress(HubError):
                    await puller.turn(hub.url)
            await asyncio.sleep(0.05)


def synced(hub: Process) -> dict[str, int]:
    return {c["cluster"]: c["synced"] for c in hub.get("/v1/clusters")["items"]}


@pytest.mark.slow
async def test_kill_9_in_the_middle_of_a_rollout_loses_and_repeats_nothing(tmp_path: Path) -> None:
    repo, state = tmp_path / "repo", tmp_path / "state"
    repo.mkdir()
    write(repo, "v1")
    hub = Process(repo, state)
    try:
        tokens = {c: hub.people.post(f"/v1/clusters/{c}/token").json()["token"] for c in CLUSTERS}
        pullers = [Puller(c, tokens[c]) for c in CLUSTERS]
        await turn_until(pullers, hub, lambda: sum(synced(hub).values()) == len(CLUSTERS))
        first = [dict(puller.granted) for puller in pullers]
        write(repo, "v2")
        moved = lambda: sum(len(p.granted) for p in pullers) > len(CLUSTERS) + 1  # noqa: E731
        await turn_until(pullers, hub, moved)
        before = {row["run"]: row["created"] for row in hub.get("/v1/runs")["items"]}
        hub.end(signal.SIGKILL)
        hub = Process(repo, state)
        after = {row["run"]: row["created"] for row in hub.get("/v1/runs")["items"]}
        assert before.items() <= after.items()
        assert all(c["state"] == "Online" for c in hub.get("/v1/clusters")["items"])
        finished = lambda: all(  # noqa: E731
            row["state"] == "Succeeded" for row in hub.get("/v1/runs")["items"]
        )
        await turn_until(pullers, hub, finished)
        assert set(synced(hub).values()) == {1}
        assert {row["run"] for row in hub.get("/v1/runs")["items"]} == set(before)
        for puller, had in zip(pullers, first, strict=True):
            assert len(puller.granted) == len(had) + 1, "every cluster was let start once"
    finally:
        if hub.popen.poll() is None:
            hub.end(signal.SIGTERM)
    assert hub.popen.returncode == 0
