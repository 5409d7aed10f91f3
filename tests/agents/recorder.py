"""A cluster that counts calls, and can let the process die right after a write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from clusters.cluster import Cluster
from clusters.objects import Kind, Object, ObjectKey


class Crash(BaseException):
    """The process is gone; nothing in it can catch this."""


class Recorder:
    """A cluster that counts calls, and dies after so many writes if told to."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.writes: list[str] = []
        self.reads: list[str] = []
        self.dry_runs = 0
        self.crash_after: int | None = None
        self.mutate: Callable[[Object], Object] = lambda obj: obj
        """What a mutating webhook makes of everything that is applied."""
        self.before_write: Callable[[str, Object | None], None] = lambda what, obj: None

    def _wrote(self, what: str) -> None:
        self.writes.append(what)
        if self.crash_after is not None and len(self.writes) >= self.crash_after:
            raise Crash(what)

    async def apply(
        self, obj: Object, *, manager: str, force: bool = False, dry_run: bool = False
    ) -> Object:
        """Apply, and count it after it happened."""
        self.dry_runs += dry_run
        if not dry_run:
            self.before_write("apply", obj)
        sent = self.mutate(obj)
        stored = await self._cluster.apply(sent, manager=manager, force=force, dry_run=dry_run)
        if not dry_run:
            self._wrote(f"apply {obj['kind']} {obj['metadata']['name']}")
        return stored

    async def patch(self, key: ObjectKey, patch: Object, *, manager: str) -> Object:
        """Patch, and count it after it happened."""
        self.before_write("patch", None)
        stored = await self._cluster.patch(key, patch, manager=manager)
        self._wrote(f"patch {key.kind} {key.name}")
        return stored

    async def delete(self, key: ObjectKey, **options: Any) -> None:
        """Delete, and count it after it happened."""
        self.before_write("delete", None)
        await self._cluster.delete(key, **options)
        self._wrote(f"delete {key.kind} {key.name}")

    async def get(self, key: ObjectKey) -> Object | None:
        """Read, and count it."""
        self.reads.append(f"get {key}")
        return await self._cluster.get(key)

    async def list(self, kind: Kind, **options: Any) -> Any:
        """Read, and count it."""
        self.reads.append(f"list {kind}")
        return await self._cluster.list(kind, **options)

    def watch(self, kind: Kind, **options: Any) -> Any:
        """The cluster's own watch."""
        return self._cluster.watch(kind, **options)

    def as_user(self, user: str, groups: Sequence[str] = ()) -> Cluster:
        """The cluster's own answer; calls as somebody else are not counted."""
        return self._cluster.as_user(user, groups)

    async def version(self) -> str:
        """The cluster's own version."""
        return await self._cluster.version()

    async def discover(self, *, refresh: bool = False) -> Any:
        """The cluster's own kinds."""
        return await self._cluster.discover(refresh=refresh)

    async def close(self) -> None:
        """Nothing to give back."""
