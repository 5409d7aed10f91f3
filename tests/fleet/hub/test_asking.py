"""Webhooks asked by a real hub over real HTTP: yes, not yet, silence, and a kill in between."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from tests.fleet.hub.machines import Answer, Heard, machine, says
from tests.fleet.hub.rig import Rig
from tests.fleet.hub.test_gates import rig_with


async def stepped(rig: Rig, holds: Callable[[], bool], seconds: float = 61) -> None:
    """Let the hub step, ask and step again, time passing, until something holds."""
    async with asyncio.timeout(20):
        while not holds():
            for agent in rig.agents.values():
                agent.report()
            await rig.hub.step(rig.clock.now())
            await settled(rig)
            rig.clock.advance(seconds)


async def settled(rig: Rig) -> None:
    """Everything that the hub asks at this moment is answered and acted on."""
    while rig.hub.is_asking:
        await asyncio.sleep(0.01)
    await asyncio.to_thread(rig.release)


def production(rig: Rig) -> dict[str, Any]:
    """The stage as people are shown it."""
    with rig.store.read() as c:
        row = c.execute("SELECT stages, state FROM run ORDER BY number DESC LIMIT 1").fetchone()
    stage: dict[str, Any] = orjson.loads(row["stages"])[1]
    return stage | {"run": row["state"]}


def hook(url: str, **more: str) -> dict[str, object]:
    return {"before": [{"webhook": {"url": f"{url}/api/ok", **more}}]}


async def test_a_webhook_is_told_who_asks_and_its_yes_starts_production(tmp_path: Path) -> None:
    answers = [says(503), says(409), says(200)]

    def answer(request: Heard, writer: asyncio.StreamWriter) -> None:
        answers[min(len(there.heard), 3) - 1](request, writer)

    async with machine(answer) as there:
        rig = rig_with(tmp_path, hook(there.url))
        await stepped(rig, lambda: len(there.heard) == 2)
        assert rig.offered() == set()
        assert "says not yet" in production(rig)["reason"]
        assert there.url.removeprefix("http://") + " answers 409" in production(rig)["reason"]
        await stepped(rig, lambda: bool(rig.offered()))
    assert rig.offered() == {"production-1"}
    assert len(there.heard) == 3, "asked no more once it said yes, and once a minute before"
    with rig.store.read() as c:
        uid, plan_hash = tuple(c.execute("SELECT uid, plan_hash FROM run").fetchone())
    assert there.heard[0].json() == {
        "run": uid,
        "rollout": "default",
        "stage": "production",
        "gate": "production/before/0",
        "commit": f"{1:040x}",
        "planHash": plan_hash,
        "bundles": ["web"],
    }


async def test_it_is_asked_no_more_often_than_the_policy_says(tmp_path: Path) -> None:
    async with machine(says(503)) as there:
        rig = rig_with(tmp_path, hook(there.url, every="60s"))
        for _ in range(12):
            await rig.hub.step(rig.clock.now())
            await settled(rig)
            rig.clock.advance(10)
        assert len(there.heard) == 2


async def test_silence_pauses_the_run_and_a_killed_hub_remembers_since_when(
    tmp_path: Path,
) -> None:
    async with machine(says(200)) as there:
        silent = there.url
    rig = rig_with(tmp_path, hook(silent, noDataTimeout="10m"))
    began = rig.clock.now()
    await stepped(rig, lambda: (rig.clock.now() - began).total_seconds() > 300)
    assert production(rig)["run"] == "Running"
    rig.reopen()
    await stepped(rig, lambda: production(rig)["run"] == "Paused")
    assert 600 <= (rig.clock.now() - began).total_seconds() <= 800
    assert "no data for 600 s" in production(rig)["reason"]
    assert "no connection" in production(rig)["reason"]
    assert rig.offered() == set()


async def test_a_reading_survives_a_kill_and_goes_with_its_run(tmp_path: Path) -> None:
    async with machine(says(503)) as there:
        rig = rig_with(tmp_path, hook(there.url))
        await stepped(rig, lambda: len(there.heard) == 1)
    rig.reopen()
    await asyncio.to_thread(rig.release)
    assert "answers 503" in production(rig)["reason"]


def slow(release: asyncio.Event) -> Answer:
    async def answer(request: Heard, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        says(200)(request, writer)

    return answer


async def test_a_machine_that_takes_its_time_holds_up_no_step(tmp_path: Path) -> None:
    release = asyncio.Event()
    async with machine(slow(release)) as there:
        rig = rig_with(tmp_path, hook(there.url))
        for _ in range(3):
            async with asyncio.timeout(5):
                await rig.hub.step(rig.clock.now())
            rig.clock.advance(1)
        assert rig.hub.is_asking
        release.set()
        await stepped(rig, lambda: bool(rig.offered()), 1)
