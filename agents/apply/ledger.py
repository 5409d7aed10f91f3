"""A cluster that notes what is written through it, so that a sync can say what it did.

It is a `Cluster` like any other and passes every call on; what went wrong is noted nowhere, since
failures are outcomes. Dry runs are no writes. Made for one sync of one bundle, then dropped.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from clusters.cluster import Cluster, Discovery, Listing, WatchEvent
from clusters.objects import Kind, Object, ObjectKey, key_of


@dataclass(slots=True)
class Deeds:
    """What was written."""

    applied: set[ObjectKey] = field(default_factory=set)
    deleted: set[ObjectKey] = field(default_factory=set)


class Ledger:
    """A cluster whose writes are noted in `deeds`."""

    def __init__(self, cluster: Cluster, deeds: Deeds) -> None:
        self._cluster, self._deeds = cluster, deeds

    def as_user(self, user: str, groups: Sequence[str] = ()) -> Ledger:
        """The same cluster, asked as somebody else; noted in the same place."""
        return Ledger(self._cluster.as_user(user, groups), self._deeds)

    async def version(self) -> str:
        """As the cluster says."""
        return await self._cluster.version()

    async def discover(self, *, refresh: bool = False) -> Discovery:
        """As the cluster says."""
        return await self._cluster.discover(refresh=refresh)

    async def get(self, key: ObjectKey) -> Object | None:
        """As the cluster says."""
        return await self._cluster.get(key)

    async def list(
        self, kind: Kind, *, namespace: str = "", labels: str = "", metadata_only: bool = False
    ) -> Listing:
        """As the cluster says."""
        return await self._cluster.list(
            kind, namespace=namespace, labels=labels, metadata_only=metadata_only
        )

    async def apply(
        self, obj: Object, *, manager: str, force: bool = False, dry_run: bool = False
    ) -> Object:
        """Apply, and note it."""
        stored = await self._cluster.apply(obj, manager=manager, force=force, dry_run=dry_run)
        if not dry_run:
            self._deeds.applied.add(key_of(stored))
        return stored

    async def patch(self, key: ObjectKey, patch: Object, *, manager: str) -> Object:
        """Patch; it is noted nowhere, since it only changes who owns what."""
        return await self._cluster.patch(key, patch, manager=manager)

    async def delete(
        self,
        key: ObjectKey,
        *,
        propagation: str = "Background",
        uid: str = "",
        resource_version: str = "",
        dry_run: bool = False,
    ) -> None:
        """Delete, and note it."""
        await self._cluster.delete(
            key,
            propagation=propagation,
            uid=uid,
            resource_version=resource_version,
            dry_run=dry_run,
        )
        if not dry_run:
            self._deeds.deleted.add(key)

    def watch(
        self,
        kind: Kind,
        *,
        namespace: str = "",
        labels: str = "",
        resource_version: str = "",
        metadata_only: bool = False,
    ) -> AsyncIterator[WatchEvent]:
        """As the cluster says."""
        return self._cluster.watch(
            kind,
            namespace=namespace,
            labels=labels,
            resource_version=resource_version,
            metadata_only=metadata_only,
        )

    async def close(self) -> None:
        """The cluster goes on; it is somebody else's to close."""
