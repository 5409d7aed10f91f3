"""The hub's own loop: when it looks, how it is woken, what it survives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from fleet.errors import ServeError
from fleet.hub.doorbell import MOST_WAITERS, Doorbell, wait_for
from fleet.hub.lock import FolderLock
from tests.fleet.hub.rig import Rig, deployment_of, fleet

V1 = deployment_of("web", "v1").digest
BOUND_SECONDS = 20


async def until(condition: Callable[[], bool], rig: Rig | None = None) -> None:
    """Wait for a condition, moving the rig's clock if there is one."""
    async with asyncio.timeout(BOUND_SECONDS):
        while not condition():
            if rig is not None:
                rig.clock.advance(1)
            await asyncio.sleep(0.005)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    rig = Rig(tmp_path)
    rig.push(fleet(1, 1, web="v1"))
    return rig


async def test_the_loop_polls_plans_and_releases_by_itself(rig: Rig) -> None:
    running = asyncio.create_task(rig.hub.run())
    rig.join("staging-1", "production-1")
    await until(lambda: "staging-1" in rig.offered(), rig)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_step_says_when_it_wants_to_run_again(rig: Rig) -> None:
    now = rig.clock.now()
    wake = await rig.hub.step(now)
    assert now <= wake <= now + timedelta(seconds=rig.settings.heartbeat_seconds)
    await until(lambda: rig.hub._looking is None)


async def test_a_poll_comes_when_it_is_due_and_at_once_when_asked_for(rig: Rig) -> None:
    async def looked() -> str:
        await rig.hub.step(rig.clock.now())
        await until(lambda: rig.hub._looking is None)
        planned = rig.hub._observer.planned
        return planned.plan.commit if planned else ""

    first = await looked()
    second = rig.push(fleet(1, 1, web="v2"))
    assert await looked() == first
    rig.hub.refresh()
    assert await looked() == second
    third = rig.push(fleet(1, 1, web="v3"))
    rig.clock.advance(300)
    assert await looked() == third


async def test_the_loop_survives_a_step_that_fails(rig: Rig) -> None:
    rig.look()
    rig.join("staging-1", "production-1")
    release, fails = rig.hub.release, [RuntimeError("once"), RuntimeError("twice")]

    def fail_twice(now: object) -> object:
        if fails:
            raise fails.pop()
        return release(rig.clock.now())

    rig.hub.release = fail_twice  # type: ignore[method-assign,assignment]
    running = asyncio.create_task(rig.hub.run())
    await until(lambda: "staging-1" in rig.offered(), rig)
    assert not fails
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_long_poll_answers_as_soon_as_the_target_changes(rig: Rig) -> None:
    rig.look()
    rig.join("staging-1", "production-1")
    desk = rig.hub.desk
    before = desk.target("staging-1")
    waiting = asyncio.create_task(desk.target_after("staging-1", before.etag, BOUND_SECONDS))
    await asyncio.sleep(0)
    changed, _ = await asyncio.to_thread(rig.hub.release, rig.clock.now())
    assert "staging-1" in changed
    rig.hub.doorbell.ring(changed)
    target = await waiting
    assert target is not None
    assert [offer.deployments[0].digest for offer in target.offers] == [V1]


async def test_a_long_poll_without_a_change_ends_in_its_time(rig: Rig) -> None:
    rig.look()
    desk = rig.hub.desk
    etag = desk.target("staging-1").etag
    assert await desk.target_after("staging-1", etag, 0.01) is None
    assert await desk.target_after("staging-1", '"0-0"', BOUND_SECONDS) is not None


async def test_a_hub_that_ends_answers_the_long_polls_that_it_holds(rig: Rig) -> None:
    rig.look()
    desk, running = rig.hub.desk, asyncio.create_task(rig.hub.run())
    etag = desk.target("nobody").etag
    holding = asyncio.create_task(desk.target_after("nobody", etag, 2 * BOUND_SECONDS))
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    async with asyncio.timeout(BOUND_SECONDS):
        assert await holding is None
        assert await desk.target_after("nobody", etag, 2 * BOUND_SECONDS) is None


async def test_a_ring_between_listening_and_waiting_is_not_missed() -> None:
    bell = Doorbell()
    event = bell.listen("a")
    bell.ring(["a"])
    assert await wait_for(event, BOUND_SECONDS)
    bell.forget("a", event)


async def test_a_ring_wakes_those_who_wait_for_that_name_only() -> None:
    bell = Doorbell()
    one, other = bell.listen("a"), bell.listen("b")
    await asyncio.to_thread(bell.ring, ["a"])
    assert await wait_for(one, BOUND_SECONDS)
    assert not other.is_set()
    bell.forget("a", one)
    bell.forget("b", other)


async def test_waiters_are_bounded_and_the_oldest_goes_first() -> None:
    bell = Doorbell()
    events = [bell.listen("a") for _ in range(MOST_WAITERS + 1)]
    assert [event.is_set() for event in events] == [True] + [False] * MOST_WAITERS
    for event in events:
        bell.forget("a", event)


def test_ringing_before_anybody_listens_is_harmless() -> None:
    Doorbell().ring(["a"])


def test_a_folder_has_one_hub_at_a_time(tmp_path: Path) -> None:
    first, second = FolderLock(tmp_path), FolderLock(tmp_path)
    first.take()
    with pytest.raises(ServeError) as refused:
        second.take()
    assert refused.value.code == "state-in-use"
    assert str(tmp_path) in refused.value.at
    first.release()
    second.take()
    second.release()
