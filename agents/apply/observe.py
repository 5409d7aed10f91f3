"""Looking at what a bundle owns: live objects, autoscalers, the health of each. Never writes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from agents.apply.outcome import Failure
from agents.apply.site import Site
from agents.apply.state import BundleState
from agents.apply.wanted import Prepared, Wanted
from agents.diff import scaled_by
from agents.health import assess, pod_selector, wants_pods
from agents.inventory import PART_OF, applyset_id
from clusters.errors import ClusterError, KindNotFoundError
from clusters.objects import Kind, Object, ObjectKey, spec_of

_AUTOSCALER = Kind("autoscaling", "HorizontalPodAutoscaler")
_POD = Kind("", "Pod")
FEW = 4
"""Objects of a kind that are rather read one by one than listed."""


async def list_owned(
    site: Site, keys: Iterable[ObjectKey], *, partial: Collection[Kind] = ()
) -> dict[ObjectKey, Object]:
    """Live objects with this bundle's label, of the kinds of `keys`; one request for each kind.

    Of the kinds in `partial` the metadata alone. Errors: `ClusterError`; a kind that is not served
    has no objects.
    """
    kinds = sorted({key.kind_key for key in keys})
    selector = f"{PART_OF}={applyset_id(site.bundle)}"

    async def listed(kind: Kind) -> dict[ObjectKey, Object]:
        try:
            found = await site.cluster.list(kind, labels=selector, metadata_only=kind in partial)
        except KindNotFoundError:
            return {}
        return {_key_in(kind, item): item for item in found.items}

    return {key: item for part in await site.each(kinds, listed) for key, item in part.items()}


def _key_in(kind: Kind, item: Object) -> ObjectKey:
    """Partial objects name another kind, so the listed one counts."""
    metadata = item["metadata"]
    return ObjectKey(*kind, metadata.get("namespace") or "", metadata["name"])


async def read_owned(
    site: Site, keys: Iterable[ObjectKey]
) -> dict[ObjectKey, Object | Failure | None]:
    """At least the metadata of these objects; many of a kind cost one listing of what is owned.

    `None` is an object that is not there or, of a listing, not this bundle's.
    """
    by_kind: dict[Kind, list[ObjectKey]] = {}
    for key in sorted(keys):
        by_kind.setdefault(key.kind_key, []).append(key)
    few = [key for of_kind in by_kind.values() if len(of_kind) <= FEW for key in of_kind]
    many = [kind for kind, of_kind in by_kind.items() if len(of_kind) > FEW]
    selector = f"{PART_OF}={applyset_id(site.bundle)}"

    async def listed(kind: Kind) -> dict[ObjectKey, Object | Failure | None]:
        try:
            items = (await site.cluster.list(kind, labels=selector, metadata_only=True)).items
        except KindNotFoundError:
            items = ()
        except ClusterError as error:
            return {key: Failure.of(key, error) for key in by_kind[kind]}
        there = {_key_in(kind, item): item for item in items}
        return {key: there.get(key) for key in by_kind[kind]}

    found = await site.live(few)
    for part in await site.each(many, listed):
        found |= part
    return found


async def find_scaled(site: Site, state: BundleState, prepared: Prepared) -> None:
    """Note what autoscalers target; asks the cluster only if the bundle sets any replicas."""
    sets_replicas = any("replicas" in spec_of(w.object) for w in _values(prepared))
    if not sets_replicas:
        state.scaled = frozenset()
        return
    own = [w.object for w in _values(prepared) if w.key.kind_key == _AUTOSCALER]
    try:
        live = (await site.cluster.list(_AUTOSCALER)).items
    except KindNotFoundError:
        live = ()
    state.scaled = scaled_by([*own, *live])


def _values(prepared: Prepared) -> Iterable[Wanted]:
    return prepared.objects.values()


async def note_health(
    site: Site,
    state: BundleState,
    live: Mapping[ObjectKey, Object | None],
    now: datetime,
    limit_seconds: float,
) -> None:
    """Assess these objects, looking at the pods of workloads that are not ready.

    What has been progressing for longer than the limit counts as Degraded.
    """
    checks = state.prepared.checks if state.prepared is not None else {}

    async def look(key: ObjectKey) -> None:
        found, check = live[key], checks.get(key.kind_key)
        asks = found is not None and check is None and wants_pods(found)
        pods = await _pods(site, found) if found is not None and asks else ()
        state.assessed(key, assess(found, pods, check), now, limit_seconds)

    await site.each(sorted(live), look)


async def _pods(site: Site, workload: Object) -> tuple[Object, ...]:
    """A workload's pods; none if they cannot be read, since its own status still counts."""
    selector = pod_selector(workload)
    namespace = workload["metadata"].get("namespace", "")
    if not selector or spec_of(workload).get("replicas") == 0:
        return ()
    try:
        return (await site.cluster.list(_POD, namespace=namespace, labels=selector)).items
    except ClusterError:
        return ()
