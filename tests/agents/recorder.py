"""A cluster that counts calls, and can let the process die right after a write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from agents.cluster_copy import HEAD
from agents.inventory import NAMESPACE
from agents.lease import KEY
from clusters.cluster import Cluster, Discovery
from clusters.errors import ClusterError
from clusters.objects import Kind, Object, ObjectKey


class Crash(BaseException):
    """The process is gone; nothing in it can catch this."""


def _is_own(name: str) -> bool:
    """Is that the agent's own, whatever the hub says?"""
    return name in (KEY.name, NAMESPACE) or name.startswith(HEAD)


class Recorder:
    """A cluster that counts calls, and dies after so many writes if told to."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.writes: list[str] = []
        """What was done to objects, without the agent's Lease, its namespace and its copy."""
        self.all_writes: list[str] = []
        """All but renewals of the Lease."""
        self.reads: list[str] = []
        self.dry_runs = 0
        self.forced: list[str] = []
        """Names of what was applied with force, dry-runs included."""
        self.crash_after: int | None = None
        self.dies_every: int | None = None
        """For those who start the agent again: so many writes later it dies again."""
        self.mutate: Callable[[Object], Object] = lambda obj: obj
        """What a mutating webhook makes of everything that is applied."""
        self.before_write: Callable[[str, Object | None], None] = lambda what, obj: None
        """Called before what counts as `writes`."""
        self.after_write: Callable[[str, str], None] = lambda what, name: None
        self.refuse: Callable[[str, str], ClusterError | None] = lambda call, name: None
        """What the cluster answers to a call instead of doing it: `dry-run`, `apply`, `patch`,
        `delete` or `get` with an object's name, `list` with a kind."""

        self.served: Callable[[Discovery], Discovery] = lambda kinds: kinds
        """What becomes of the kinds that the cluster says it serves."""

    def _refused(self, call: str, name: str) -> None:
        error = self.refuse(call, name)
        if error is not None:
            raise error

    def _wrote(self, what: str) -> None:
        if what == f"patch {KEY.kind} {KEY.name}":
            return  # a renewal: how many there are is a matter of time
        self.all_writes.append(what)
        if not _is_own(what.split()[-1]):
            self.writes.append(what)
        if self.crash_after is not None and len(self.all_writes) >= self.crash_after:
            raise Crash(what)

    async def apply(
        self, obj: Object, *, manager: str, force: bool = False, dry_run: bool = False
    ) -> Object:
        """Apply, and count it after it happened."""
        self.dry_runs += dry_run
        name = obj["metadata"]["name"]
        if force:
            self.forced.append(name)
        self._refused("dry-run" if dry_run else "apply", name)
        if not dry_run and not _is_own(name):
            self.before_write("apply", obj)
        sent = self.mutate(obj)
        stored = await self._cluster.apply(sent, manager=manager, force=force, dry_run=dry_run)
        if not dry_run:
            self._wrote(f"apply {obj['kind']} {name}")
            self.after_write("apply", name)
        return stored

    async def patch(self, key: ObjectKey, patch: Object, *, manager: str) -> Object:
        """Patch, and count it after it happened."""
        self._refused("patch", key.name)
        if not _is_own(key.name):
            self.before_write("patch", None)
        stored = await self._cluster.patch(key, patch, manager=manager)
        self._wrote(f"patch {key.kind} {key.name}")
        return stored

    async def delete(self, key: ObjectKey, **options: Any) -> None:
        """Delete, and count it after it happened."""
        self._refused("delete", key.name)
        if not _is_own(key.name):
            self.before_write("delete", None)
        await self._cluster.delete(key, **options)
        self._wrote(f"delete {key.kind} {key.name}")

    async def get(self, key: ObjectKey) -> Object | None:
        """Read, and count it."""
        self.reads.append(f"get {key}")
        self._refused("get", key.name)
        return await self._cluster.get(key)

    async def list(self, kind: Kind, **options: Any) -> Any:
        """Read, and count it."""
        self.reads.append(f"list {kind}")
        self._refused("list", str(kind))
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

    async def discover(self, *, refresh: bool = False) -> Discovery:
        """The cluster's own kinds, but for what `served` makes of them."""
        return self.served(await self._cluster.discover(refresh=refresh))

    async def close(self) -> None:
        """Nothing to give back."""
