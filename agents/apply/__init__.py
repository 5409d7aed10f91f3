"""Bringing one bundle to what its order says and holding it there, one pass at a time.

    reconcile   a pass: move to a new digest, check an applied one, or remove an absent one
    prepare_for what the bundle wants here, kept until digest or discovery change
    Claims      what the other bundles of the target want

A pass goes as far as it can and never waits; `Outcome.pending` asks for another one soon, and a
newer target takes over between stages. Errors of the cluster become outcomes here and nowhere else.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from agents.apply.acting import acting_for
from agents.apply.check import check
from agents.apply.move import Order, move
from agents.apply.outcome import Failure, Outcome, failed_bundle
from agents.apply.ownership import Claims
from agents.apply.remove import remove
from agents.apply.site import Site
from agents.apply.state import BundleState
from agents.apply.wanted import Prepared, prepare
from agents.errors import BundleError
from agents.inventory import InventoryStore
from agents.protocol import Artifact, BundleDeployment
from clusters.cluster import Discovery
from clusters.errors import ClusterError

__all__ = [
    "BundleState",
    "Claims",
    "Failure",
    "Order",
    "Outcome",
    "Prepared",
    "Site",
    "acting_for",
    "is_moving",
    "prepare_for",
    "reconcile",
]


def prepare_for(
    state: BundleState, deployment: BundleDeployment, artifact: Artifact, discovery: Discovery
) -> Prepared:
    """What the bundle wants of this cluster; computed anew only if digest or discovery changed."""
    digest, seen = state.prepared_for
    if state.prepared is None or digest != deployment.digest or seen != discovery:
        state.prepared = prepare(artifact, deployment, discovery)
        state.prepared_for = (deployment.digest, discovery)
    return state.prepared


def is_moving(state: BundleState, order: Order) -> bool:
    """Is the order something that is not completely applied yet?"""
    inventory, wanted = state.inventory, order.deployment
    return (
        inventory.applied != wanted.digest
        or inventory.digest != wanted.digest
        or inventory.generation != order.generation
    )


async def reconcile(
    site: Site, store: InventoryStore, state: BundleState, order: Order, now: datetime
) -> Outcome:
    """One pass. Writes to the cluster; never raises for what the cluster answers."""
    try:
        return await _pass(site, store, state, order, now)
    except ClusterError as error:
        return failed_bundle(error.code, str(error))
    except BundleError as error:
        return failed_bundle(error.code, error.what)


async def _pass(
    site: Site, store: InventoryStore, state: BundleState, order: Order, now: datetime
) -> Outcome:
    if order.deployment.is_absent:
        return await remove(site, store, state, order, now)
    if order.artifact is None:
        raise BundleError("its artifact is not at hand yet", code="artifact")
    discovery = await site.cluster.discover()
    prepared = prepare_for(state, order.deployment, order.artifact, discovery)
    if is_moving(state, order):
        state.full_check = now + _interval(site)
        return await move(site, store, state, order, prepared, now)
    full = state.full_check is None or state.full_check <= now
    if full:
        state.full_check = now + _interval(site)
    return await check(site, store, state, order, prepared, now=now, full=full)


def _interval(site: Site) -> timedelta:
    return timedelta(seconds=site.settings.check_interval_seconds)
