"""Keeps every ResourceQuota's status true: the quota controller's part, done at once.

Called when a verb is complete. What the verb changed has reached the ledgers through the change
feed by then, so nothing is counted again; a cluster without quotas pays one look-up.
"""

from __future__ import annotations

from clusters.objects import ObjectKey
from clusters.simulation.server.admission.ledgers import QUOTA, Ledgers
from clusters.simulation.server.ownership import UPDATE, Owner
from clusters.simulation.server.state import State
from clusters.simulation.server.writing import Write, perform

_OWNER = Owner("kube-controller-manager", UPDATE, "status", "v1")


def settle_quotas(state: State) -> None:
    """Write the status of each quota whose hard limits or usage have changed."""
    if state.quotas is None:
        if not state.store.count(QUOTA):
            return
        state.quotas = Ledgers(state.store, state.catalog)
        state.store.history.subscribe(state.quotas.note)
    for key, status in state.quotas.due():
        _write(state, key, status)


def _write(state: State, key: ObjectKey, status: dict[str, object]) -> None:
    live = state.store.get(key)
    if live is None:
        return
    traits = state.catalog.find(QUOTA)
    schema = state.catalog.schema(traits, traits.storage_version)
    new = {**live, "status": status}
    perform(
        state,
        Write(traits, schema, key, new, live, _OWNER, subresource="status", reviewed=False),
    )
