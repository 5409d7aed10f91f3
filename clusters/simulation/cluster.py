"""One simulated cluster as agents see it: the `Cluster` protocol over an in-memory API server.

Everything happens in process: a call is a function call, after the latency and the partition
that `faults` asks for. `step` lets the cluster's controllers do what is due, `run` does so for as
long as the cluster lives, on the cluster's clock.

Never adds time of its own: with no faults set, no call waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Protocol

from clusters.clock import Clock
from clusters.cluster import Discovery, Listing, WatchEvent, check_place, check_user
from clusters.errors import AdmissionError, NotFoundError, UnreachableError
from clusters.objects import Kind, Object, ObjectKey, key_of
from clusters.simulation.server import ApiServer, Subscription

KUBERNETES_VERSION = "v1.37.2"


class ControllersLike(Protocol):
    """What moves a cluster's objects: workload controllers, or a scripted part of them."""

    def step(self, now: datetime) -> datetime | None:
        """Do what is due; say when there will be something again, `None` if only on a change."""
        ...


class Faults:
    """What is wrong with the way to a cluster; set the attributes at any time."""

    def __init__(self) -> None:
        self.latency_seconds = 0.0
        """How long each call takes, on the cluster's clock."""
        self._partitioned = False
        self._listeners: set[Callable[[], None]] = set()

    @property
    def partitioned(self) -> bool:
        """Whether the cluster cannot be reached; setting it ends the watches that run."""
        return self._partitioned

    @partitioned.setter
    def partitioned(self, value: bool) -> None:
        self._partitioned = value
        for listener in tuple(self._listeners):
            listener()

    def listen(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Call `callback` when a partition comes or goes; returns the function that ends it."""
        self._listeners.add(callback)
        return lambda: self._listeners.discard(callback)


class SimulatedCluster:
    """A `Cluster` in memory, with its `server`, `faults` and optional controllers."""

    def __init__(
        self,
        name: str,
        clock: Clock,
        *,
        seed: int = 0,
        kubernetes_version: str = KUBERNETES_VERSION,
        controllers: Callable[[ApiServer, Clock, int], ControllersLike] | None = None,
    ) -> None:
        self.name = name
        self.kubernetes_version = kubernetes_version
        self.server = ApiServer(clock, seed, name)
        self.faults = Faults()
        self.controllers = controllers(self.server, clock, seed) if controllers else None
        self._clock = clock

    def now(self) -> datetime:
        """The cluster's present moment."""
        return self._clock.now()

    def step(self, now: datetime) -> datetime | None:
        """Let the controllers do what is due at `now`; returns when they next want to run."""
        return self.controllers.step(now) if self.controllers else None

    async def run(self) -> None:
        """Step whenever something changed or became due, until cancelled."""
        changed = asyncio.Event()
        stop = self.server.subscribe(lambda change: changed.set())
        try:
            while True:
                changed.clear()
                due = self.step(self._clock.now())
                if not changed.is_set():
                    await self._wait(changed, due)
        finally:
            stop()

    async def _wait(self, changed: asyncio.Event, due: datetime | None) -> None:
        """Return on a change or at `due`, whichever comes first."""
        waits = [asyncio.create_task(_finish(changed.wait()))]
        if due is not None:
            seconds = (due - self._clock.now()).total_seconds()
            waits.append(asyncio.create_task(_finish(self._clock.sleep(seconds))))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def as_user(self, user: str, groups: Sequence[str] = ()) -> SimulatedCluster:
        """This cluster: it knows no rights, so everybody may do everything."""
        check_user(user, groups)
        return self

    async def version(self) -> str:
        """The server's version."""
        await self.reach()
        return self.kubernetes_version

    async def discover(self, *, refresh: bool = False) -> Discovery:
        """The kinds served; always fresh, so `refresh` changes nothing here."""
        await self.reach()
        return self.server.resources()

    async def get(self, key: ObjectKey) -> Object | None:
        """The live object, `None` if there is none."""
        await self.reach()
        self._check_place(key)
        try:
            return self.server.get(key)
        except NotFoundError:
            return None

    async def list(
        self, kind: Kind, *, namespace: str = "", labels: str = "", metadata_only: bool = False
    ) -> Listing:
        """All objects of a kind, as of one revision."""
        await self.reach()
        items, revision, _ = self.server.list(kind, namespace=namespace, labels=labels)
        shown = (partial_metadata(item) for item in items) if metadata_only else items
        return Listing(tuple(shown), revision)

    async def apply(
        self, obj: Object, *, manager: str, force: bool = False, dry_run: bool = False
    ) -> Object:
        """Server-side apply; returns the object as stored."""
        await self.reach()
        key = key_of(obj)
        self._check_place(key)
        with _discreet(key):
            return self.server.apply(obj, manager=manager, force=force, dry_run=dry_run)

    async def patch(self, key: ObjectKey, patch: Object, *, manager: str) -> Object:
        """JSON merge patch."""
        await self.reach()
        self._check_place(key)
        with _discreet(key):
            return self.server.patch(key, patch, patch_type="merge", manager=manager)

    async def delete(
        self,
        key: ObjectKey,
        *,
        propagation: str = "Background",
        uid: str = "",
        resource_version: str = "",
        dry_run: bool = False,
    ) -> None:
        """Delete; gone already is a success."""
        await self.reach()
        self._check_place(key)
        with suppress(NotFoundError), _discreet(key):
            self.server.delete(
                key,
                propagation=propagation,
                uid=uid,
                resource_version=resource_version,
                dry_run=dry_run,
            )

    async def watch(
        self,
        kind: Kind,
        *,
        namespace: str = "",
        labels: str = "",
        resource_version: str = "",
        metadata_only: bool = False,
    ) -> AsyncIterator[WatchEvent]:
        """Changes after `resource_version`; ends in `UnreachableError` when partitioned.

        A custom kind that is served no longer ends the stream, as on a real server.
        """
        await self.reach()
        watch = self.server.watch(
            kind, namespace=namespace, labels=labels, resource_version=resource_version
        )
        ready = asyncio.Event()
        watch.wake = ready.set
        unlisten = self.faults.listen(ready.set)
        try:
            while not watch.closed:
                ready.clear()
                for event in self._events(watch):
                    shown = partial_metadata(event.object) if metadata_only else event.object
                    yield WatchEvent(event.type, shown)
                if not ready.is_set():
                    await ready.wait()
        finally:
            unlisten()
            watch.close()

    def _events(self, watch: Subscription) -> Sequence[WatchEvent]:
        self._check_reachable()
        return watch.poll()

    async def close(self) -> None:
        """Nothing to give back."""

    async def reach(self) -> None:
        """The way to the server and back, as `faults` has it."""
        if self.faults.latency_seconds:
            await self._clock.sleep(self.faults.latency_seconds)
        self._check_reachable()

    def _check_place(self, key: ObjectKey) -> None:
        check_place(self.server.catalog.find(key.kind_key).resource, key)

    def _check_reachable(self) -> None:
        if self.faults.partitioned:
            raise UnreachableError(f"cluster {self.name} cannot be reached: it is partitioned")


async def _finish(wait: Awaitable[object]) -> None:
    await wait


@contextmanager
def _discreet(key: ObjectKey) -> Iterator[None]:
    """What a webhook says of a Secret is left out, as it is by the driver: it may quote it."""
    try:
        yield
    except AdmissionError as error:
        if key.kind_key == Kind("", "Secret"):
            text = "the webhook's text is left out because it may quote the Secret"
            error.args = (f"{key}: refused; {text}",)
        raise


def partial_metadata(obj: Object) -> Object:
    """The object as a PartialObjectMetadata: who it is, and nothing of what it holds."""
    return {
        "apiVersion": "meta.k8s.io/v1",
        "kind": "PartialObjectMetadata",
        "metadata": obj["metadata"],
    }
