"""What a sync would do to a bundle, without doing it: dry runs and differences. Never writes.

Each object that differs is tried by the API server as a sync would try it, so refusals are the
server's own, and what would change is the difference between the live object and what the server
would store. What cannot be tried because a namespace or a kind comes with the bundle is said to be
untried. Leftovers are judged by the rules of `prune`. Hooks are named and not tried. A Secret's
values are never shown.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.apply import hooks
from agents.apply.attempt import Attempt, Permit
from agents.apply.finished import COMPLETED, is_finished
from agents.apply.hooks import Phase
from agents.apply.move import Order
from agents.apply.observe import find_scaled
from agents.apply.outcome import Failure, Outcome, failed_bundle
from agents.apply.ownership import Claimant
from agents.apply.policy import ApplyPolicy, may_recreate, why_kept
from agents.apply.prune import why_not_yet
from agents.apply.results import MOST_FIELDS, failed_object, ranked
from agents.apply.site import Site
from agents.apply.state import BundleState
from agents.apply.wanted import Prepared, Wanted, WantedHook, own_kinds
from agents.diff import describe, differences
from agents.inventory import is_part_of
from agents.protocol import Deed, FieldDrift, ObjectResult
from clusters.errors import ClusterError, KindNotFoundError
from clusters.objects import Object, ObjectKey


@dataclass(frozen=True, slots=True)
class Seen:
    """What a preview saw: objects, the worst first; or why it could see nothing."""

    objects: tuple[ObjectResult, ...] = ()
    failure: Outcome | None = None


async def preview(site: Site, state: BundleState, order: Order) -> Seen:
    """What a sync would do to each object of the bundle. Errors become part of what is seen."""
    prepared = None if order.deployment.is_absent else state.prepared
    if prepared is None and not order.deployment.is_absent:
        return Seen(failure=failed_bundle("artifact", "its artifact is not at hand yet"))
    try:
        found = await _preview(site, state, order, prepared)
    except ClusterError as error:
        return Seen(failure=failed_bundle(error.code, str(error)))
    return Seen(tuple(ranked(found)))


async def _preview(
    site: Site, state: BundleState, order: Order, prepared: Prepared | None
) -> list[ObjectResult]:
    wanted = prepared.objects if prepared is not None else {}
    found: list[ObjectResult] = []
    if prepared is not None:
        await find_scaled(site, state, prepared)
        found += [failed_object(item) for item in _untried(prepared)]
        found += [
            ObjectResult(object=str(item.key), deed=Deed.APPLIED, message="a hook; not tried")
            for item in _due_hooks(state, order, prepared)
        ]
    look = _Look(site, state, order, prepared)
    found += await site.each([wanted[key] for key in sorted(wanted)], look.at)
    found += await site.each([k for k in state.inventory.objects if k not in wanted], look.at_left)
    return found


def _untried(prepared: Prepared) -> list[Failure]:
    """Failures of preparation, but for kinds that the bundle's own CRDs bring."""
    own = own_kinds(item.object for item in prepared.objects.values())
    return [
        item
        for item in prepared.failures
        if item.code != "kind-not-found" or item.key.kind_key not in own
    ]


def _due_hooks(state: BundleState, order: Order, prepared: Prepared) -> list[WantedHook]:
    """Hooks run with a move only."""
    if state.inventory.applied == order.deployment.digest:
        return []
    inventory = state.inventory
    operation = inventory.operation or ("upgrade" if inventory.is_installed else "install")
    if not inventory.operation and inventory.goes_back(order.deployment.digest):
        operation = "rollback"
    phases = (Phase.PRE, Phase.SYNC, Phase.POST)
    return [item for phase in phases for item in hooks.due(prepared.hooks, phase, operation)]


@dataclass(frozen=True, slots=True)
class _Look:
    """One object after the other."""

    site: Site
    state: BundleState
    order: Order
    prepared: Prepared | None

    async def at(self, wanted: Wanted) -> ObjectResult:
        """What would become of a wanted object."""
        try:
            live = await self._live(wanted.key)
            if live is not None and wanted.policy is ApplyPolicy.IF_NOT_PRESENT:
                return self._result(wanted.key, Deed.UNCHANGED)
            if live is None and is_finished(self.state.inventory, wanted):
                return self._result(wanted.key, Deed.UNCHANGED, COMPLETED.message)
            scaled = wanted.key in self.state.scaled
            attempt = Attempt(
                self.site,
                self._claimant(),
                wanted,
                wanted.settled(live, self.site.manager, scaled=scaled),
                live,
                self.order.deployment.options.force or may_recreate(wanted.object),
            )
            permit = await attempt.try_out()
            if isinstance(permit, Failure):
                return self._refused(permit)
            return await self._permitted(attempt, permit)
        except ClusterError as error:
            return failed_object(Failure.of(wanted.key, error, wanted.object))

    async def at_left(self, key: ObjectKey) -> ObjectResult:
        """What would become of an object that is owned and no longer wanted."""
        not_yet = why_not_yet(self.order.claims, key, self.site.bundle)
        if not_yet:
            return self._result(key, Deed.WAITING, not_yet)
        try:
            live = await self._live(key)
        except ClusterError as error:
            return failed_object(Failure.of(key, error))
        if live is None or not is_part_of(live, self.site.bundle):
            return self._result(key, Deed.KEPT, "is gone already, or somebody else's")
        leaving = self.order.deployment.is_absent
        kept = why_kept(live, key, leaving=leaving)
        if not leaving and not self.order.deployment.options.prune:
            kept = "the bundle does not prune"
        return self._result(key, Deed.KEPT if kept else Deed.PRUNED, kept)

    def _claimant(self) -> Claimant:
        take = self.order.deployment.options.take_ownership
        return Claimant(self.site.bundle, self.order.claims, take)

    async def _live(self, key: ObjectKey) -> Object | None:
        try:
            return await self.site.cluster.get(key)
        except KindNotFoundError:
            return None

    def _refused(self, failure: Failure) -> ObjectResult:
        """A refusal, unless what it lacks comes with the bundle."""
        namespace = failure.key.namespace
        assert self.prepared is not None, "only what is wanted is tried"
        brought = ObjectKey("", "Namespace", "", namespace) in self.prepared.objects
        default = self.order.deployment.options.namespace or "default"
        if failure.code == "not-found" and (brought or namespace == default):
            message = f"is created; not tried: namespace {namespace} is made first"
            return self._result(failure.key, Deed.APPLIED, message)
        return failed_object(failure)

    async def _permitted(self, attempt: Attempt, permit: Permit) -> ObjectResult:
        key, live = attempt.key, attempt.live
        if live is None:
            return self._result(key, Deed.APPLIED, "is created")
        if permit.unchanged:
            return self._result(key, Deed.UNCHANGED)
        would_be = attempt.body
        if not permit.recreate:
            would_be = await self.site.cluster.apply(
                attempt.body, manager=self.site.manager, force=permit.force, dry_run=True
            )
        changes = changed_fields(live, would_be, self.site.manager)
        deed = Deed.RECREATED if permit.recreate else Deed.APPLIED
        result = self._result(key, deed, _more(changes))
        return result.model_copy(update={"changes": changes[:MOST_FIELDS]})

    def _result(self, key: ObjectKey, deed: Deed, message: str = "") -> ObjectResult:
        return ObjectResult(object=str(key), deed=deed, message=message)


def changed_fields(live: Object, would_be: Object, manager: str) -> tuple[FieldDrift, ...]:
    """What changes between two states of an object: set, changed and removed fields."""
    there = differences(would_be, live)
    seen = {item.path for item in there}
    gone = [
        item for item in differences(live, would_be) if item.live is None and item.path not in seen
    ]
    removed = describe(gone, live, manager)
    return (
        *describe(there, live, manager),
        *(item.model_copy(update={"live": item.wanted, "wanted": None}) for item in removed),
    )


def _more(changes: tuple[FieldDrift, ...]) -> str:
    left = len(changes) - MOST_FIELDS
    return f"and {left} fields more" if left > 0 else ""
