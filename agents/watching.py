"""Watches on the kinds that bundles own, so that a change is seen at once. Never writes.

One watch for each kind, over all namespaces, of the objects that carry an owner label; metadata
alone where the health of a kind does not depend on its status. Secrets are watched namespace by
namespace, where some are owned: an agent need not have the right to see any others. A watch that
ends goes on from the last version that it saw; one whose version is gone (410), or that failed,
lists again, so that nothing between is missed: what is wanted and not listed counts as touched. A
server that ends watches as soon as they begin, or forgets versions as soon as it names them, is
asked ever more rarely; one that asks for patience gets it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import timedelta
from random import Random
from typing import NamedTuple, Protocol

from agents.backoff import delay_seconds
from agents.health import status_matters
from agents.inventory import PART_OF
from agents.settings import Settings
from clusters.clock import Clock
from clusters.cluster import Cluster, EventType
from clusters.errors import ClusterError, ExpiredError
from clusters.objects import Kind, Object, ObjectKey

_log = logging.getLogger(__name__)
_SECRET = Kind("", "Secret")
SHORT = timedelta(seconds=1)
"""A watch that saw nothing and ended within this was of no use."""


class Place(NamedTuple):
    """What one watch is of."""

    kind: Kind
    namespace: str = ""
    """Empty: all of them."""

    def __str__(self) -> str:
        return f"{self.kind} in {self.namespace}" if self.namespace else str(self.kind)


def place_of(key: ObjectKey) -> Place:
    """The watch that shows an object. Pure."""
    kind = key.kind_key
    return Place(kind, key.namespace if kind == _SECRET else "")


class Watcher(Protocol):
    """Who is told what the watches see."""

    def saw(self, key: ObjectKey, live: Object | None, *, whole: bool) -> bool:
        """An object as it is now, `None` if it is gone; is there anything to do about it?"""
        ...

    def keys_in(self, place: Place) -> frozenset[ObjectKey]:
        """What should be there."""
        ...


class Watches:
    """The running watches of one agent."""

    def __init__(
        self,
        cluster: Cluster,
        clock: Clock,
        settings: Settings,
        dice: Random,
        watcher: Watcher,
        stirred: Callable[[], None],
    ) -> None:
        self._cluster = cluster
        self._clock = clock
        self._settings = settings
        self._dice = dice
        self._watcher = watcher
        self._stirred = stirred
        self._tasks: dict[Place, asyncio.Task[None]] = {}

    def keep(self, places: Iterable[Place]) -> None:
        """Watch exactly these from now on."""
        wanted = set(places)
        for place in self._tasks.keys() - wanted:
            self._tasks.pop(place).cancel()
        for place in wanted - self._tasks.keys():
            self._tasks[place] = asyncio.create_task(self._follow(place), name=f"watch {place}")

    async def close(self) -> None:
        """End all watches."""
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, place: Place) -> None:
        """Watch one place until cancelled."""
        version, failures = "", 0
        while True:
            began, start = self._clock.now(), version
            pause = self._settings.event_delay_seconds
            try:
                version = version or await self._relist(place)
                start = start or version
                version = await self._watch(place, version)
                useful = version != start or self._clock.now() - began >= SHORT
                failures = 0 if useful else failures + 1
            except ExpiredError:
                version, failures = "", failures + 1
            except ClusterError as error:
                _log.debug("watch failed", extra={"place": str(place), "reason": str(error)})
                version, failures = "", failures + 1
                drawn = delay_seconds(failures, self._settings, self._dice)
                pause = max(drawn, getattr(error, "retry_after", 0.0))
            if failures > 1:  # one useless watch is nobody's fault
                pause = max(pause, delay_seconds(failures - 1, self._settings, self._dice))
            await self._clock.sleep(pause)

    async def _relist(self, place: Place) -> str:
        kind, namespace = place
        listing = await self._cluster.list(
            kind, namespace=namespace, labels=PART_OF, metadata_only=True
        )
        there = set()
        for item in listing.items:
            key = _key(kind, item)
            there.add(key)
            self._tell(key, item, whole=False)
        for key in self._watcher.keys_in(place) - there:
            self._tell(key, None, whole=False)
        return listing.resource_version

    async def _watch(self, place: Place, version: str) -> str:
        """Follow one stream to its end; the version to go on from."""
        kind, namespace = place
        whole = status_matters(kind)
        stream = self._cluster.watch(
            kind,
            namespace=namespace,
            labels=PART_OF,
            resource_version=version,
            metadata_only=not whole,
        )
        async for event in stream:
            version = event.object["metadata"].get("resourceVersion", version)
            if event.type is EventType.BOOKMARK:
                continue
            gone = event.type is EventType.DELETED
            live = None if gone else event.object
            self._tell(_key(kind, event.object), live, whole=whole and not gone)
        return version

    def _tell(self, key: ObjectKey, live: Object | None, *, whole: bool) -> None:
        if self._watcher.saw(key, live, whole=whole):
            self._stirred()


def _key(kind: Kind, item: Object) -> ObjectKey:
    """Partial objects name another kind, so the watched one counts."""
    metadata = item["metadata"]
    return ObjectKey(kind.group, kind.kind, metadata.get("namespace") or "", metadata["name"])
