"""Where a bundle is worked on: the cluster, whose work it is, and requests with a bound."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from agents.apply.outcome import Failure
from agents.inventory import manager_of
from agents.settings import Settings
from clusters.cluster import Cluster
from clusters.errors import ClusterError
from clusters.objects import Object, ObjectKey

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Site:
    """One bundle in one cluster."""

    cluster: Cluster
    bundle: str
    settings: Settings
    superseded: Callable[[], bool] = lambda: False
    """Has a newer target made this work pointless? Asked between stages."""
    _gate: asyncio.Semaphore = field(init=False)

    def __post_init__(self) -> None:
        gate = asyncio.Semaphore(self.settings.parallel_requests)
        object.__setattr__(self, "_gate", gate)

    @property
    def manager(self) -> str:
        """The field manager of the bundle."""
        return manager_of(self.bundle)

    async def each(self, items: Iterable[T], deed: Callable[[T], Awaitable[R]]) -> list[R]:
        """`deed` for every item, a bounded number at a time, results in order."""

        async def bounded(item: T) -> R:
            async with self._gate:
                return await deed(item)

        return list(await asyncio.gather(*(bounded(item) for item in items)))

    async def live(self, keys: Iterable[ObjectKey]) -> dict[ObjectKey, Object | Failure | None]:
        """What is there of these objects, one request each."""
        ordered = sorted(keys)

        async def read(key: ObjectKey) -> Object | Failure | None:
            try:
                return await self.cluster.get(key)
            except ClusterError as error:
                return Failure.of(key, error)

        return dict(zip(ordered, await self.each(ordered, read), strict=True))
