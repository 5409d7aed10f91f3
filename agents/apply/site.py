"""Where a bundle is worked on: the cluster, whose work it is, and requests with a bound.

Every request is turned into a value here: an object, or the `Failure` that it met. A conflict is
judged at once (`ownership`); an immutable field is either a failure or a permit to recreate.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import TypeVar

from agents.apply.outcome import Failure
from agents.apply.ownership import Claimant, judge_conflict
from agents.inventory import manager_of
from agents.settings import Settings
from clusters.cluster import Cluster
from clusters.errors import (
    AdmissionError,
    ClusterError,
    ConflictError,
    ImmutableError,
    InvalidError,
)
from clusters.objects import Kind, Object, ObjectKey, annotations_of

T = TypeVar("T")
R = TypeVar("R")

PRUNE = "fleet.dev/prune"
PROTECTED = frozenset(
    {
        Kind("apiextensions.k8s.io", "CustomResourceDefinition"),
        Kind("", "Namespace"),
        Kind("", "PersistentVolumeClaim"),
    }
)
"""Kinds whose removal destroys what Git cannot bring back."""


@dataclass(frozen=True, slots=True)
class Permit:
    """A passed dry-run: how the object may be written."""

    force: bool = False
    recreate: bool = False


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

    async def try_out(
        self, key: ObjectKey, obj: Object, claimant: Claimant, recreate: bool
    ) -> Permit | Failure:
        """Dry-run one object; `recreate` allows to answer an immutable field with a permit."""
        try:
            forced = await self._conflict_forced(key, obj, claimant, dry_run=True)
            return forced if isinstance(forced, Failure) else Permit(force=forced[1])
        except ImmutableError as error:
            return await self._may_recreate(key, error, obj, recreate)
        except (InvalidError, AdmissionError) as error:
            if "does not support dry run" in str(error):
                return Permit()
            return Failure.of(key, error, obj)
        except ClusterError as error:
            return Failure.of(key, error, obj)

    async def write(
        self, key: ObjectKey, obj: Object, claimant: Claimant, *, force: bool
    ) -> Object | Failure:
        """Apply one object; the object as stored, or why not."""
        try:
            if force:
                return await self.cluster.apply(obj, manager=self.manager, force=True)
            done = await self._conflict_forced(key, obj, claimant, dry_run=False)
            return done if isinstance(done, Failure) else done[0]
        except ClusterError as error:
            return Failure.of(key, error, obj)

    async def _conflict_forced(
        self, key: ObjectKey, obj: Object, claimant: Claimant, *, dry_run: bool
    ) -> tuple[Object, bool] | Failure:
        """Apply without force, and with it if a conflict may be overruled; whether it was."""
        try:
            return await self.cluster.apply(obj, manager=self.manager, dry_run=dry_run), False
        except ConflictError as error:
            refusal = judge_conflict(error, key, await self.cluster.get(key), claimant)
        if refusal is not None:
            return refusal
        stored = await self.cluster.apply(obj, manager=self.manager, force=True, dry_run=dry_run)
        return stored, True

    async def _may_recreate(
        self, key: ObjectKey, error: ImmutableError, obj: Object, recreate: bool
    ) -> Permit | Failure:
        if not recreate:
            return Failure.of(key, error, obj)
        try:
            live = await self.cluster.get(key)
        except ClusterError as other:
            return Failure.of(key, other, obj)
        if live is not None and is_protected(live, key):
            message = f"{error}; force never deletes a {key.kind}"
            return Failure(key, "protected", message)
        return Permit(force=True, recreate=True)


def is_protected(live: Object, key: ObjectKey) -> bool:
    """May this object not be deleted, whoever asks?"""
    return key.kind_key in PROTECTED and annotations_of(live).get(PRUNE) != "true"
