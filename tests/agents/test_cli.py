"""`fleet agent` as its own process, and what it says when it cannot start."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner

from agents.cli import agent
from agents.errors import AgentError
from agents.protocol import Health
from agents.tokens import read_token
from clusters.clock import SystemClock
from clusters.simulation import SimulatedCluster
from clusters.simulation.controllers import Controllers
from clusters.simulation.http import serve, write_kubeconfig
from tests.agents.lab import Lab
from tests.agents.memory_hub import CLUSTER
from tests.agents.samples import config_map, deployment
from tests.agents.served_hub import TOKEN, ServedHub

ROOT = Path(__file__).resolve().parent.parent.parent


def test_without_a_token_it_says_how_to_get_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FLEET_TOKEN", raising=False)
    result = CliRunner().invoke(agent, ["--hub", "http://127.0.0.1:9", "--cluster", "a"])
    assert result.exit_code == 1
    assert "there is no token" in result.output
    assert "fleet cluster token" in result.output


def test_a_hub_that_is_no_address_is_one_error(tmp_path: Path) -> None:
    arguments = ["--hub", "nowhere", "--cluster", "a", "--state-dir", str(tmp_path)]
    result = CliRunner(env={"FLEET_TOKEN": "canary"}).invoke(agent, arguments)
    assert result.exit_code == 1
    assert "no address of a hub" in result.output
    assert "canary" not in result.output


def test_a_token_is_read_from_its_file_without_the_newline(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("secret\n")
    assert read_token(path) == "secret"


@pytest.mark.parametrize("content", [None, b"", b" \n", b"\xff\xfe"])
def test_a_token_file_that_has_none_is_an_error(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(AgentError) as caught:
        read_token(path)
    assert caught.value.code == "token"
    assert str(path) in str(caught.value)


class Process:
    """One `fleet agent` beside a served hub and a served simulated cluster."""

    def __init__(self, lab: Lab, directory: Path, kubeconfig: Path) -> None:
        self.lab = lab
        self.directory = directory
        self.kubeconfig = kubeconfig
        self.running: asyncio.subprocess.Process | None = None

    async def start(self, hub_url: str, token: str = TOKEN) -> asyncio.subprocess.Process:
        """Start it; its output goes to a file."""
        log = (self.directory / "agent.log").open("ab")
        self.running = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "fleet", "agent", "--hub", hub_url, "--cluster", CLUSTER),
            *("--kubeconfig", str(self.kubeconfig), "--context", CLUSTER),
            *("--state-dir", str(self.directory / "state"), "--health-interval", "0.2"),
            env={**os.environ, "FLEET_TOKEN": token},
            cwd=ROOT,
            stdout=log,
            stderr=log,
        )
        log.close()
        return self.running

    def log(self) -> str:
        """What it has printed."""
        return (self.directory / "agent.log").read_text()


@asynccontextmanager
async def _scene(directory: Path) -> AsyncIterator[tuple[Process, ServedHub]]:
    lab = Lab(directory / "unused")
    clock = SystemClock()
    lab.cluster = SimulatedCluster(CLUSTER, clock, controllers=Controllers)
    controllers = asyncio.create_task(lab.cluster.run())
    served = await serve({CLUSTER: lab.cluster})
    write_kubeconfig(directory / "kubeconfig", served)
    process = Process(lab, directory, directory / "kubeconfig")
    try:
        async with ServedHub(lab.hub).serving() as hub:
            yield process, hub
            if process.running is not None and process.running.returncode is None:
                process.running.kill()
                await process.running.wait()
    finally:
        controllers.cancel()
        await asyncio.gather(controllers, return_exceptions=True)
        await served.close()


async def _soon(process: Process, holds: Callable[[], bool]) -> None:
    try:
        async with asyncio.timeout(30):
            while not holds():
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"never held; the agent's log:\n{process.log()}") from None


@pytest.mark.slow
async def test_the_process_converges_survives_a_kill_and_ends_on_sigterm(tmp_path: Path) -> None:
    async with _scene(tmp_path) as (process, hub):
        first = await process.start(hub.url)
        process.lab.release("web", deployment(), config_map())
        await _soon(process, lambda: process.lab.is_settled("web"))
        assert process.lab.hub.known["web"].health is Health.HEALTHY
        first.kill()
        await first.wait()
        process.lab.release("web", deployment(image="example/web:2"), config_map(), run="b")
        second = await process.start(hub.url)
        await _soon(process, lambda: process.lab.is_settled("web"))
        second.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await second.wait() == 0
        assert "Traceback" not in process.log()
        assert TOKEN not in process.log()


@pytest.mark.slow
async def test_a_wrong_token_ends_the_process_with_one_error(tmp_path: Path) -> None:
    async with _scene(tmp_path) as (process, hub):
        running = await process.start(hub.url, token="wrong-canary")
        async with asyncio.timeout(30):
            assert await running.wait() == 1
        assert "does not take this token" in process.log()
        assert f"fleet cluster token {CLUSTER}" in process.log()
        assert "Traceback" not in process.log()
        assert "canary" not in process.log()
