"""A cluster that cannot be reached says so at once, and is as it was when it can be again."""

from __future__ import annotations

import asyncio

import pytest

from clusters.errors import UnreachableError
from clusters.objects import Kind
from tests.contracts.subject import PATIENCE_SECONDS, Subject, Watching, config_map, key

A = key("ConfigMap", "a")
CONFIG_MAP = Kind("", "ConfigMap")


async def test_every_call_fails_as_unreachable_and_is_worth_another_try(subject: Subject) -> None:
    cluster = subject.cluster
    await cluster.discover()
    subject.cut_off(True)
    for call in (
        cluster.version(),
        cluster.get(A),
        cluster.list(CONFIG_MAP),
        cluster.apply(config_map("a"), manager="m"),
        cluster.delete(A),
    ):
        with pytest.raises(UnreachableError) as caught:
            await call
        assert caught.value.retryable


async def test_what_was_cut_off_goes_on_when_it_is_mended(subject: Subject) -> None:
    await subject.cluster.apply(config_map("a", x="1"), manager="m")
    subject.cut_off(True)
    with pytest.raises(UnreachableError):
        await subject.cluster.get(A)
    subject.cut_off(False)
    assert (await subject.live(A))["data"] == {"x": "1"}


async def test_a_watch_that_is_cut_off_does_not_wait_for_ever(subject: Subject) -> None:
    start = (await subject.cluster.list(CONFIG_MAP)).resource_version
    async with Watching(subject, CONFIG_MAP, resource_version=start) as watch:
        await subject.cluster.apply(config_map("a"), manager="m")
        assert await watch.names(1) == ["ADDED a"]
        subject.cut_off(True)
        with pytest.raises((UnreachableError, StopAsyncIteration)):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await watch.next()
    subject.cut_off(False)
    await subject.cluster.apply(config_map("b"), manager="m")
    async with Watching(subject, CONFIG_MAP, resource_version=start) as watch:
        assert await watch.names(2) == ["ADDED a", "ADDED b"]
