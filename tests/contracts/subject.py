"""What the contract is tried on: a `Cluster`, and the few things that a test cannot do through it.

A new implementation joins by one more entry in `conftest.SUBJECTS`. A real API server would wait
where the simulation moves its clock; the tests do not see the difference.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

from clusters.cluster import Cluster, EventType, WatchEvent
from clusters.objects import Kind, Object, ObjectKey

PATIENCE_SECONDS = 20.0
"""Of real time, for an event that is due at once."""


@dataclass
class Subject:
    """One cluster under test."""

    cluster: Cluster
    pass_time: Callable[[float], Awaitable[None]]
    """Let so many seconds of the cluster's time pass."""
    compact: Callable[[], Awaitable[None]]
    """Make every resourceVersion up to now too old to go on from."""
    cut_off: Callable[[bool], None]
    """Cut the way to the cluster, or mend it."""

    async def until(
        self, key: ObjectKey, holds: Callable[[Object | None], bool], seconds: float = 60.0
    ) -> Object | None:
        """The object as soon as `holds` says so; fails after so much of the cluster's time."""
        found = await self.cluster.get(key)
        for _ in range(int(seconds * 2)):
            if holds(found):
                return found
            await self.pass_time(0.5)
            found = await self.cluster.get(key)
        raise AssertionError(f"{key} did not get there within {seconds} s: {found}")

    async def live(self, key: ObjectKey) -> Object:
        """The object, which is there."""
        found = await self.cluster.get(key)
        assert found is not None, f"{key} is not there"
        return found


class Watching:
    """A watch that a test reads event by event; an asynchronous context."""

    def __init__(self, subject: Subject, kind: Kind, **options: str | bool) -> None:
        stream = subject.cluster.watch(kind, **options)  # type: ignore[arg-type]
        self._stream = cast("AsyncGenerator[WatchEvent, None]", stream)
        self._closing = aclosing(self._stream)

    async def __aenter__(self) -> Watching:
        await self._closing.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._closing.__aexit__(*error)

    async def next(self) -> WatchEvent:
        """The next event that is no bookmark."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                event = await anext(self._stream)
                if event.type is not EventType.BOOKMARK:
                    return event

    async def names(self, count: int) -> list[str]:
        """The next events as `TYPE name`."""
        events = [await self.next() for _ in range(count)]
        return [f"{event.type} {event.object['metadata']['name']}" for event in events]


def config_map(name: str, namespace: str = "default", **data: str) -> Object:
    """A ConfigMap, the plainest of objects."""
    metadata: Object = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def labelled(obj: Object, **labels: str) -> Object:
    """The object with labels."""
    return obj | {"metadata": obj["metadata"] | {"labels": labels}}


def deployment(image: str = "web:1", **spec: object) -> Object:
    """A Deployment with one container."""
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [{"name": "main", "image": image}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template, **spec},
    }


def key(kind: str, name: str, namespace: str = "default", group: str = "") -> ObjectKey:
    """A key, in the core group unless said otherwise."""
    return ObjectKey(group, kind, namespace, name)
