"""A cluster that notes what is written through it, so that a sync can say what it did.

It is a `Cluster` like any other (`passing`); what went wrong is noted nowhere, since
failures are outcomes. Dry runs are no writes. Made for one sync of one bundle, then dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.apply.passing import PassingCluster
from clusters.cluster import Cluster
from clusters.objects import Object, ObjectKey, key_of


@dataclass(slots=True)
class Deeds:
    """What was written."""

    applied: set[ObjectKey] = field(default_factory=set)
    deleted: set[ObjectKey] = field(default_factory=set)


class Ledger(PassingCluster):
    """A cluster whose writes are noted in `deeds`."""

    def __init__(self, cluster: Cluster, deeds: Deeds) -> None:
        super().__init__(cluster)
        self._deeds = deeds

    def as_user(self, user: str, groups: Sequence[str] = ()) -> Ledger:
        """The same cluster, asked as somebody else; noted in the same place."""
        return Ledger(self._cluster.as_user(user, groups), self._deeds)

    async def apply(
        self, obj: Object, *, manager: str, force: bool = False, dry_run: bool = False
    ) -> Object:
        """Apply, and note it."""
        stored = await super().apply(obj, manager=manager, force=force, dry_run=dry_run)
        if not dry_run:
            self._deeds.applied.add(key_of(stored))
        return stored

    async def delete(self, key: ObjectKey, *, dry_run: bool = False, **more: Any) -> None:
        """Delete, and note it."""
        await super().delete(key, dry_run=dry_run, **more)
        if not dry_run:
            self._deeds.deleted.add(key)
