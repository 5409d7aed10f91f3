"""One object on its way into the cluster: a dry-run that ends in a permit, then the write.

::

    try_out ─┬─ nothing would change           → Permit(unchanged)
             ├─ taken without a conflict       → Permit
             ├─ a conflict that may be forced  → Permit(force), with the managers to take over from
             ├─ an immutable field, force said → Permit(recreate)
             ├─ a webhook cannot dry-run       → Permit(untried): only this object goes untried
             └─ anything else                  → Failure

Every request is turned into a value here: an object, or the `Failure` that it met. What never
leads to a deletion: any refusal but a proven `ImmutableError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agents.apply.outcome import Failure
from agents.apply.ownership import Claimant, former_bundles, judge_conflict
from agents.apply.policy import ApplyPolicy, is_protected
from agents.apply.site import Site
from agents.apply.takeover import has_fields_of, managers_by_hand, taken_over
from agents.apply.wanted import Wanted
from agents.inventory import PART_OF, applyset_id
from clusters.errors import AdmissionError, ClusterError, ConflictError, ImmutableError
from clusters.objects import Object, ObjectKey

_WINS = (ApplyPolicy.OVERRIDE, ApplyPolicy.MERGE)


@dataclass(frozen=True, slots=True)
class Permit:
    """How the object may be written."""

    force: bool = False
    recreate: bool = False
    unchanged: bool = False
    """The server would store what is there: nothing to write."""
    take_over: frozenset[str] = frozenset()
    """Managers whose fields become the bundle's first."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One wanted object, as it is to be sent, and what is known to be there."""

    site: Site
    claimant: Claimant
    wanted: Wanted
    body: Object
    live: Object | None
    recreate: bool

    @property
    def key(self) -> ObjectKey:
        """Which object."""
        return self.wanted.key

    async def try_out(self) -> Permit | Failure:
        """Dry-run the object. Writes nothing."""
        try:
            return await self._tried()
        except ImmutableError as error:
            return await self._may_recreate(error)
        except AdmissionError as error:
            return Permit() if error.refuses_dry_run else self._failure(error)
        except ClusterError as error:
            return self._failure(error)

    async def write(self, permit: Permit) -> Object | Failure:
        """Apply the object; the object as stored, or why not."""
        try:
            if permit.take_over:
                await self._take_over(permit.take_over)
            if permit.force:
                return await self._apply(force=True)
            return await self._apply(force=False)
        except ConflictError as error:
            return await self._written_after(error)
        except ClusterError as error:
            return self._failure(error)

    async def _tried(self) -> Permit | Failure:
        live = self.live
        former = former_bundles(live, self.key, self.claimant)
        if self.wanted.policy is ApplyPolicy.OVERRIDE and live is not None:
            former |= managers_by_hand(live)
        try:
            would_be = await self._apply(force=False, dry_run=True)
            force = False
        except ConflictError as error:
            live = await self.site.cluster.get(self.key)
            refusal = self._judge(error, live)
            if refusal is not None:
                return refusal
            former |= former_bundles(live, self.key, self.claimant)
            would_be = await self._apply(force=True, dry_run=True)
            force = True
        if former and live is not None and has_fields_of(live, former):
            return Permit(force=True, take_over=frozenset(former))
        return Permit(force=force, unchanged=live is not None and is_same(would_be, live))

    def _judge(self, error: ConflictError, live: Object | None) -> Failure | None:
        if not error.managers:
            return self._failure(error)
        wins = self.wanted.policy in _WINS
        return judge_conflict(error, self.key, live, self.claimant, wins=wins)

    async def _written_after(self, error: ConflictError) -> Object | Failure:
        """Somebody came between the dry-run and the write, or there was no dry-run."""
        try:
            refusal = self._judge(error, await self.site.cluster.get(self.key))
            return refusal if refusal is not None else await self._apply(force=True)
        except ClusterError as other:
            return self._failure(other)

    async def _take_over(self, managers: frozenset[str]) -> None:
        """Errors: `ConflictError` without managers if the object changed in between."""
        live = await self.site.cluster.get(self.key)
        if live is None or not has_fields_of(live, managers):
            return
        metadata: dict[str, Any] = {
            "resourceVersion": live["metadata"]["resourceVersion"],
            "managedFields": taken_over(live, managers, self.site.manager),
        }
        await self.site.cluster.patch(self.key, {"metadata": metadata}, manager=self.site.manager)

    async def _apply(self, *, force: bool, dry_run: bool = False) -> Object:
        return await self.site.cluster.apply(
            self.body, manager=self.site.manager, force=force, dry_run=dry_run
        )

    async def _may_recreate(self, error: ImmutableError) -> Permit | Failure:
        if not self.recreate:
            return self._failure(error)
        try:
            live = await self.site.cluster.get(self.key)
        except ClusterError as other:
            return self._failure(other)
        if live is not None and is_protected(live, self.key):
            message = f"{error}; force never deletes a {self.key.kind}"
            return Failure(self.key, "protected", message)
        return Permit(force=True, recreate=True)

    def _failure(self, error: ClusterError) -> Failure:
        return Failure.of(self.key, error, self.body)


async def adopt(site: Site, key: ObjectKey, live: Object, claimant: Claimant) -> Object | Failure:
    """An object that is only made if missing, and is there: hand it over from a bundle that let go.

    Its content stays as it is; only who owns it changes. Anybody else's is left alone.
    """
    former = former_bundles(live, key, claimant)
    if not former or not has_fields_of(live, former):
        return live
    metadata: dict[str, Any] = {
        "resourceVersion": live["metadata"]["resourceVersion"],
        "labels": {PART_OF: applyset_id(site.bundle)},
        "managedFields": taken_over(live, former, site.manager),
    }
    try:
        return await site.cluster.patch(key, {"metadata": metadata}, manager=site.manager)
    except ClusterError as error:
        return Failure.of(key, error, live)


def is_same(one: Object, other: Object) -> bool:
    """Are these two states of an object the same, but for the times of its managers?"""
    return _timeless(one) == _timeless(other)


def _timeless(obj: Object) -> Object:
    metadata = dict(obj["metadata"])
    metadata["managedFields"] = [
        {name: value for name, value in entry.items() if name != "time"}
        for entry in metadata.get("managedFields") or []
    ]
    return {**obj, "metadata": metadata}
