"""Watches: what they see, and that nothing between two of them is missed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from agents.inventory import PART_OF
from agents.settings import Settings
from agents.watching import Place, Watches, place_of
from clusters.clock import Clock, FakeClock
from clusters.cluster import Listing, WatchEvent
from clusters.errors import ClusterError, ExpiredError, TooManyRequestsError
from clusters.objects import Kind, Object, ObjectKey
from clusters.simulation import SimulatedCluster
from tests.agents.samples import (
    SETTINGS,
    WEB,
    config_map,
    crd,
    deployment,
    namespace,
    secret,
    widget,
)

CONFIG_MAP = Kind("", "ConfigMap")
DEPLOYMENT = Kind("apps", "Deployment")


class Eyes:
    """Remembers what the watches tell."""

    def __init__(self) -> None:
        self.seen: list[tuple[ObjectKey, Object | None, bool]] = []
        self.wanted: frozenset[ObjectKey] = frozenset()

    def saw(self, key: ObjectKey, live: Object | None, *, whole: bool) -> bool:
        """Note it."""
        self.seen.append((key, live, whole))
        return True

    def keys_in(self, place: Place) -> frozenset[ObjectKey]:
        """What the test wants to be there."""
        return frozenset(key for key in self.wanted if place_of(key) == place)


class Forgetful(SimulatedCluster):
    """A cluster that has compacted what the first watches want to go on from."""

    expired = 0
    ends_at_once = False
    error: ClusterError | None = None

    def __init__(self, name: str, clock: Clock) -> None:
        super().__init__(name, clock)
        self.asked: list[tuple[datetime, str]] = []

    async def list(self, kind: Kind, **options: Any) -> Listing:
        """Note when, and fail as told."""
        self.asked.append((self.now(), "list"))
        if self.error is not None:
            raise self.error
        return await super().list(kind, **options)

    def watch(self, kind: Kind, **options: Any) -> AsyncIterator[WatchEvent]:
        """Refuse so many watches as too old."""
        self.asked.append((self.now(), "watch"))
        if self.ends_at_once:
            return _nothing()
        if self.expired:
            self.expired -= 1
            raise ExpiredError("too old resource version")
        return super().watch(kind, **options)


async def _nothing() -> AsyncIterator[WatchEvent]:
    none: list[WatchEvent] = []
    for event in none:
        yield event


class Bench:
    """One cluster without controllers, and watches on it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.cluster = Forgetful("a", self.clock)
        self.eyes = Eyes()
        self.stirred = 0
        self.watches = Watches(
            self.cluster, self.clock, Settings(), Random(0), self.eyes, self._stir
        )

    def _stir(self) -> None:
        self.stirred += 1

    def put(self, obj: Object, *, owned: bool = True) -> Object:
        """Write an object, with or without an owner."""
        labels = {PART_OF: "some-set"} if owned else {}
        metadata = {**obj["metadata"], "namespace": "default", "labels": labels}
        return self.cluster.server.apply({**obj, "metadata": metadata}, manager="test")

    async def until(self, holds: Callable[[], bool]) -> None:
        """Let tasks run, moving the clock, until it holds."""
        for _ in range(2000):
            if holds():
                return
            self.clock.advance(0.1)
            await asyncio.sleep(0)
        raise AssertionError(f"never held; seen {[str(key) for key, _, _ in self.eyes.seen]}")


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    """A bench whose watches end with the test."""
    made = Bench()
    yield made
    await made.watches.close()


def _last(bench: Bench) -> tuple[ObjectKey, Object | None, bool]:
    return bench.eyes.seen[-1]


async def test_what_is_there_and_what_changes_is_told(bench: Bench) -> None:
    bench.put(config_map())
    bench.watches.keep([Place(CONFIG_MAP)])
    await bench.until(lambda: len(bench.eyes.seen) == 1)
    bench.put(config_map(colour="red"))
    await bench.until(lambda: len(bench.eyes.seen) == 2)
    key, live, whole = _last(bench)
    assert str(key) == "ConfigMap default/settings"
    assert live is not None
    assert "data" not in live, "metadata is enough here"
    assert not whole
    assert bench.stirred == 2


async def test_kinds_whose_health_is_in_their_status_are_watched_whole(bench: Bench) -> None:
    bench.watches.keep([Place(DEPLOYMENT)])
    await bench.until(lambda: bench.clock.now() > FakeClock().now())
    bench.put(deployment())
    await bench.until(lambda: len(bench.eyes.seen) == 1)
    _, live, whole = _last(bench)
    assert whole
    assert live is not None
    assert live["spec"]["replicas"] == 2


async def test_a_deletion_is_told_as_nothing_there(bench: Bench) -> None:
    stored = bench.put(config_map())
    bench.watches.keep([Place(CONFIG_MAP)])
    await bench.until(lambda: len(bench.eyes.seen) == 1)
    bench.cluster.server.delete(ObjectKey("", "ConfigMap", "default", "settings"))
    await bench.until(lambda: len(bench.eyes.seen) == 2)
    assert _last(bench)[1:] == (None, False)
    assert stored["metadata"]["name"] == "settings"


async def test_objects_without_an_owner_are_not_looked_at(bench: Bench) -> None:
    bench.watches.keep([Place(CONFIG_MAP)])
    bench.put(config_map("foreign"), owned=False)
    bench.put(config_map("mine"))
    await bench.until(lambda: len(bench.eyes.seen) >= 1)
    assert {key.name for key, _, _ in bench.eyes.seen} == {"mine"}


async def test_what_is_wanted_and_not_listed_counts_as_touched(bench: Bench) -> None:
    bench.eyes.wanted = frozenset({SETTINGS, WEB})
    bench.watches.keep([Place(CONFIG_MAP)])
    await bench.until(lambda: len(bench.eyes.seen) == 1)
    assert _last(bench) == (SETTINGS, None, False)


async def test_after_a_partition_everything_is_listed_again(bench: Bench) -> None:
    bench.put(config_map())
    bench.watches.keep([Place(CONFIG_MAP)])
    await bench.until(lambda: len(bench.eyes.seen) == 1)
    bench.cluster.faults.partitioned = True
    bench.eyes.wanted = frozenset({ObjectKey("", "ConfigMap", "default", "settings")})
    bench.cluster.server.delete(ObjectKey("", "ConfigMap", "default", "settings"))
    await bench.until(lambda: bench.clock.now() > FakeClock().now())
    bench.cluster.faults.partitioned = False
    await bench.until(lambda: len(bench.eyes.seen) >= 2)
    assert _last(bench)[1] is None


async def test_when_the_version_to_go_on_from_is_gone_it_lists_again(bench: Bench) -> None:
    bench.put(config_map())
    bench.cluster.expired = 1
    bench.watches.keep([Place(CONFIG_MAP)])
    await bench.until(lambda: len(bench.eyes.seen) == 2)
    bench.put(config_map(colour="red"))
    await bench.until(lambda: len(bench.eyes.seen) == 3)


async def test_a_version_that_is_gone_is_not_asked_for_again_before_a_new_list(
    bench: Bench,
) -> None:
    bench.cluster.expired = 1
    bench.watches.keep([Place(CONFIG_MAP)])
    await bench.until(lambda: len(bench.cluster.asked) == 4)
    assert [what for _, what in bench.cluster.asked] == ["list", "watch", "list", "watch"]


@pytest.mark.parametrize("way", ["expired", "ends at once"])
async def test_a_server_whose_watches_are_useless_is_asked_ever_more_rarely(
    bench: Bench, way: str
) -> None:
    bench.cluster.expired, bench.cluster.ends_at_once = 10**6, way == "ends at once"
    bench.watches.keep([Place(CONFIG_MAP)])
    start = bench.clock.now()
    await bench.until(lambda: bench.clock.now() - start > timedelta(seconds=60))
    watches = [at for at, what in bench.cluster.asked if what == "watch"]
    assert 5 <= len(watches) <= 10
    gaps = [(b - a).total_seconds() for a, b in pairwise(watches)]
    assert gaps[0] < 1, "one useless watch is nobody's fault"
    assert gaps[-1] > 8


async def test_a_server_that_asks_for_patience_gets_it(bench: Bench) -> None:
    bench.cluster.error = TooManyRequestsError("busy", 30.0)
    bench.watches.keep([Place(CONFIG_MAP)])
    await bench.until(lambda: len(bench.cluster.asked) == 2)
    (first, _), (second, _) = bench.cluster.asked
    assert (second - first).total_seconds() >= 30


async def test_kinds_that_nobody_owns_any_more_are_not_watched(bench: Bench) -> None:
    bench.watches.keep([Place(CONFIG_MAP), Place(DEPLOYMENT)])
    bench.watches.keep([Place(DEPLOYMENT)])
    bench.put(config_map())
    bench.put(deployment())
    await bench.until(lambda: len(bench.eyes.seen) >= 1)
    assert {key.kind for key, _, _ in bench.eyes.seen} == {"Deployment"}


async def test_secrets_are_watched_where_some_are_owned_and_nowhere_else(bench: Bench) -> None:
    places = {place_of(ObjectKey("", "Secret", space, "password")) for space in ("default", "b")}
    assert places == {Place(Kind("", "Secret"), "default"), Place(Kind("", "Secret"), "b")}
    assert place_of(SETTINGS) == Place(CONFIG_MAP), "all else in one watch"
    bench.eyes.wanted = frozenset({ObjectKey("", "Secret", "b", "elsewhere")})
    bench.watches.keep([Place(Kind("", "Secret"), "default")])
    for space in ("b", "default"):
        bench.cluster.server.apply(namespace(space), manager="test")
        meta = {"name": "password", "namespace": space, "labels": {PART_OF: "some-set"}}
        bench.cluster.server.apply({**secret(k="v"), "metadata": meta}, manager="test")
    await bench.until(lambda: len(bench.eyes.seen) >= 1)
    assert {key.namespace for key, _, _ in bench.eyes.seen} == {"default"}


async def test_a_kind_that_is_not_served_yet_is_tried_again(bench: Bench) -> None:
    bench.watches.keep([Place(Kind("example.com", "Widget"))])
    await bench.until(lambda: bench.clock.now() > FakeClock().now())
    definition = crd()
    bench.cluster.server.apply(definition, manager="test")
    bench.put(widget())
    await bench.until(lambda: len(bench.eyes.seen) >= 1)
    assert _last(bench)[0].kind == "Widget"
