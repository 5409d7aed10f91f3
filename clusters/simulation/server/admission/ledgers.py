"""How much of every quota is used, kept from the change feed.

One `Ledger` per ResourceQuota. It is counted in full once, when its quota comes or changes;
after that each change of an object in its namespace adds or takes away what that object uses.
So a write costs what it touches, never the size of the namespace.

::

    change ─▶ note ─▶ amounts of the namespace's ledgers ─▶ due: statuses that are no longer true

Made when a cluster gets its first quota, so that one without pays nothing. Never writes:
`quota_status` does that when the write that changed something is complete.
"""

from __future__ import annotations

from clusters.cluster import EventType
from clusters.objects import Kind, Object, ObjectKey
from clusters.simulation.server.admission.usage import Usage, in_scope, usage_of
from clusters.simulation.server.catalog import Catalog
from clusters.simulation.server.changes import Change
from clusters.simulation.server.quantities import Quantity
from clusters.simulation.server.storage import Store

QUOTA = Kind("", "ResourceQuota")


class Ledger:
    """One quota's usage."""

    def __init__(self, quota: Object) -> None:
        self.quota = quota
        self.spec = quota.get("spec")
        hard = (quota.get("spec") or {}).get("hard") or {}
        self.used: Usage = {name: Quantity() for name in sorted(hard)}

    def charge(self, kind: Kind, obj: Object, usage: Usage, *, back: bool = False) -> None:
        """Add what an object uses, or take it back."""
        if self.used.keys().isdisjoint(usage) or not in_scope(self.quota, kind, obj):
            return
        for name in self.used.keys() & usage.keys():
            before, amount = self.used[name], usage[name]
            self.used[name] = before.minus(amount) if back else before.plus(amount)

    def status(self) -> Object:
        """The quota's status as it should be."""
        return {
            "hard": dict((self.quota.get("spec") or {}).get("hard") or {}),
            "used": {name: str(amount) for name, amount in self.used.items()},
        }


class Ledgers:
    """The usage of all quotas of one cluster."""

    def __init__(self, store: Store, catalog: Catalog) -> None:
        self._store = store
        self._catalog = catalog
        self._by_namespace: dict[str, dict[str, Ledger]] = {}
        self._stale: dict[ObjectKey, None] = {}
        for quota in store.all(QUOTA):
            metadata = quota["metadata"]
            self._open(ObjectKey(*QUOTA, metadata["namespace"], metadata["name"]), quota)

    def note(self, change: Change) -> None:
        """Take in one change; the feed's callback."""
        key, gone = change.key, change.type is EventType.DELETED
        ledgers = self._by_namespace.get(key.namespace)
        if ledgers:
            self._charge(ledgers, change, gone)
        if key.kind_key == QUOTA:
            self._note_quota(change, gone)

    def due(self) -> list[tuple[ObjectKey, Object]]:
        """Quotas whose status is no longer true, with what it should be. Forgets them."""
        stale, self._stale = self._stale, {}
        found = []
        for key in stale:
            ledger = self._by_namespace.get(key.namespace, {}).get(key.name)
            live = self._store.get(key)
            if ledger and live is not None and live.get("status") != ledger.status():
                found.append((key, ledger.status()))
        return found

    def _charge(self, ledgers: dict[str, Ledger], change: Change, gone: bool) -> None:
        kind, traits = change.key.kind_key, self._catalog.find(change.key.kind_key)
        for obj, back in ((change.previous, True), (None if gone else change.object, False)):
            if obj is None:
                continue
            usage = usage_of(traits, obj)
            for ledger in ledgers.values():
                ledger.charge(kind, obj, usage, back=back)
        self._stale |= {ObjectKey(*QUOTA, change.key.namespace, name): None for name in ledgers}

    def _note_quota(self, change: Change, gone: bool) -> None:
        key = change.key
        known = self._by_namespace.get(key.namespace, {})
        if gone:
            known.pop(key.name, None)
        elif key.name not in known or known[key.name].spec != change.object.get("spec"):
            self._open(key, change.object)

    def _open(self, key: ObjectKey, quota: Object) -> None:
        """Count a quota's usage from what is there."""
        ledger = Ledger(quota)
        for kind in self._store.kinds():
            traits = self._catalog.find(kind)
            for obj in self._store.all(kind, key.namespace) if traits.resource.namespaced else ():
                ledger.charge(kind, obj, usage_of(traits, obj))
        self._by_namespace.setdefault(key.namespace, {})[key.name] = ledger
        self._stale[key] = None
