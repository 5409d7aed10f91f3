"""A cluster that passes every call on to another one: what those build on that change a few calls.

It borrows the other one, which is somebody else's to close.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from clusters.cluster import Cluster, Discovery, Listing, WatchEvent
from clusters.objects import Kind, Object, ObjectKey


class PassingCluster:
    """Another cluster, as it is."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def as_user(self, user: str, groups: Sequence[str] = ()) -> Cluster:
        """As the cluster does it."""
        return self._cluster.as_user(user, groups)

    async def version(self) -> str:
        """As the cluster does it."""
        return await self._cluster.version()

    async def discover(self, *, refresh: bool = False) -> Discovery:
        """As the cluster does it."""
        return await self._cluster.discover(refresh=refresh)

    async def get(self, key: ObjectKey) -> Object | None:
        """As the cluster does it."""
        return await self._cluster.get(key)

    async def list(
        self, kind: Kind, *, namespace: str = "", labels: str = "", metadata_only: bool = False
    ) -> Listing:
        """As the cluster does it."""
        return await self._cluster.list(
            kind, namespace=namespace, labels=labels, metadata_only=metadata_only
        )

    async def apply(
        self, obj: Object, *, manager: str, force: bool = False, dry_run: bool = False
    ) -> Object:
        """As the cluster does it."""
        return await self._cluster.apply(obj, manager=manager, force=force, dry_run=dry_run)

    async def patch(self, key: ObjectKey, patch: Object, *, manager: str) -> Object:
        """As the cluster does it."""
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
        """As the cluster does it."""
        await self._cluster.delete(
            key,
            propagation=propagation,
            uid=uid,
            resource_version=resource_version,
            dry_run=dry_run,
        )

    def watch(
        self,
        kind: Kind,
        *,
        namespace: str = "",
        labels: str = "",
        resource_version: str = "",
        metadata_only: bool = False,
    ) -> AsyncIterator[WatchEvent]:
        """As the cluster does it."""
        return self._cluster.watch(
            kind,
            namespace=namespace,
            labels=labels,
            resource_version=resource_version,
            metadata_only=metadata_only,
        )

    async def close(self) -> None:
        """The cluster goes on; it is somebody else's to close."""
