"""What a cluster is to the agent: a small protocol with two implementations.

`clusters.kubernetes` speaks to a real API server, `clusters.simulation` is one in memory; the
contract tests in `tests/contracts` hold both to the same behaviour. Every call may raise an error
of `clusters.errors`; nothing else comes out of an implementation.

What it never does: decide. Order, ownership and policy belong to the agent.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from clusters.errors import InvalidError
from clusters.objects import Kind, Object, ObjectKey


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind as the API server serves it, in its preferred version."""

    kind: Kind
    version: str
    plural: str
    namespaced: bool
    verbs: frozenset[str] = frozenset()
    short_names: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    """Every served version, the preferred one first."""

    @property
    def api_version(self) -> str:
        """`apps/v1`, or `v1` in the core group."""
        return f"{self.kind.group}/{self.version}" if self.kind.group else self.version


@dataclass(frozen=True, slots=True)
class Listing:
    """Objects as of `resource_version`, from which a watch may go on."""

    items: tuple[Object, ...]
    resource_version: str


class EventType(StrEnum):
    """What a watch says."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One change; `object` is the whole object (for a bookmark just its resourceVersion)."""

    type: EventType
    object: Object


@dataclass(frozen=True, slots=True)
class Discovery:
    """Every kind that the cluster serves."""

    resources: dict[Kind, Resource] = field(default_factory=dict)

    def find(self, kind: Kind) -> Resource | None:
        """The resource of a kind, or `None` if it is not served."""
        return self.resources.get(kind)


class Cluster(Protocol):
    """One Kubernetes cluster. All calls have time limits of their own."""

    def as_user(self, user: str, groups: Sequence[str] = ()) -> Cluster:
        """The same cluster, asked as somebody else: the server decides by that user's rights.

        Shares connections and discovery with this one, and ends with it; closing it does nothing.
        Sends nothing itself: a caller that may not impersonate gets `ForbiddenError` later.
        Errors: `InvalidError` for an empty name, or one that no request can carry.
        """
        ...

    async def version(self) -> str:
        """The server's version, such as `v1.37.2`. Doubles as the reachability check."""
        ...

    async def discover(self, *, refresh: bool = False) -> Discovery:
        """The kinds served, cached; `refresh` asks again (a CRD arrived)."""
        ...

    async def get(self, key: ObjectKey) -> Object | None:
        """The live object, `None` if there is none. Errors: `KindNotFoundError` and the rest."""
        ...

    async def list(
        self,
        kind: Kind,
        *,
        namespace: str = "",
        labels: str = "",
        metadata_only: bool = False,
    ) -> Listing:
        """All objects of a kind, page by page to the end.

        `namespace` ``""`` means all; `labels` is a selector in kubectl's syntax. With
        `metadata_only` each item is a PartialObjectMetadata. Never returns a part: a page that
        fails fails the call, since a missing object would look like a deleted one.
        """
        ...

    async def apply(
        self, obj: Object, *, manager: str, force: bool = False, dry_run: bool = False
    ) -> Object:
        """Server-side apply as field manager `manager`; returns the object as stored.

        Errors: `ConflictError` (names the other managers) unless `force`; `InvalidError`,
        `ImmutableError`, `NotFoundError` (the namespace), `KindNotFoundError` and the rest.
        """
        ...

    async def patch(self, key: ObjectKey, patch: Object, *, manager: str) -> Object:
        """JSON merge patch, for a status annotation or a person's manual edit in a test."""
        ...

    async def delete(
        self,
        key: ObjectKey,
        *,
        propagation: str = "Background",
        uid: str = "",
        resource_version: str = "",
        dry_run: bool = False,
    ) -> None:
        """Delete; `uid` and `resource_version` are preconditions. Gone already is a success.

        Errors: `ConflictError` if a precondition does not hold.
        """
        ...

    def watch(
        self,
        kind: Kind,
        *,
        namespace: str = "",
        labels: str = "",
        resource_version: str = "",
        metadata_only: bool = False,
    ) -> AsyncIterator[WatchEvent]:
        """Changes after `resource_version`; ends when the server closes the stream.

        Errors: `ExpiredError` when that version is compacted: list again and go on from there.
        """
        ...

    async def close(self) -> None:
        """Give back connections; the cluster cannot be used after it."""
        ...


def check_place(resource: Resource, key: ObjectKey) -> None:
    """Refuse to guess a namespace. Errors: `InvalidError`."""
    if resource.namespaced and not key.namespace:
        raise InvalidError(
            f"{key} names no namespace, and its kind needs one", ("metadata.namespace",)
        )


def check_user(user: str, groups: Sequence[str]) -> None:
    """Refuse names that could not be sent as they are. Errors: `InvalidError`."""
    for name in (user, *groups):
        if not name or name != name.strip() or not name.isprintable():
            raise InvalidError(f"{name!r} is no name of a user or a group")
