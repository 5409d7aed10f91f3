"""The objects of one cluster, and the indexes that deletion needs.

Stored objects are never changed once put: a write puts a new one in its place. So whoever was
handed one to read (a watch, a controller) keeps a consistent picture, and parts may be shared.

::

    put / drop ─▶ tables[kind][(namespace, name)]
               ─▶ owned[uid of an owner] = keys of its dependents
               ─▶ population[namespace] = number of objects in it
               ─▶ history.record(change)
"""

from __future__ import annotations

from collections.abc import Iterator

from clusters.cluster import EventType
from clusters.objects import Kind, Object, ObjectKey
from clusters.simulation.server.changes import Change, History

Place = tuple[str, str]


class Store:
    """Objects by kind, namespace and name; knows no rule of Kubernetes."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.population: dict[str, int] = {}
        self._tables: dict[Kind, dict[Place, Object]] = {}
        self._owned: dict[str, set[ObjectKey]] = {}

    def get(self, key: ObjectKey) -> Object | None:
        """The stored object itself."""
        table = self._tables.get(key.kind_key)
        return table.get((key.namespace, key.name)) if table else None

    def all(self, kind: Kind, namespace: str = "") -> Iterator[Object]:
        """The stored objects of a kind in the order they came; safe against writes meanwhile."""
        for (place, _), obj in tuple(self._tables.get(kind, {}).items()):
            if not namespace or place == namespace:
                yield obj

    def in_order(self, kind: Kind) -> list[tuple[Place, Object]]:
        """All objects of a kind by namespace and name."""
        return sorted(self._tables.get(kind, {}).items(), key=lambda item: item[0])

    def kinds(self) -> tuple[Kind, ...]:
        """Kinds of which there is an object."""
        return tuple(kind for kind, table in self._tables.items() if table)

    def count(self, kind: Kind) -> int:
        """How many objects of a kind there are."""
        return len(self._tables.get(kind, ()))

    def dependents(self, uid: str) -> tuple[ObjectKey, ...]:
        """Keys of the objects that name this owner, in a fixed order."""
        return tuple(sorted(self._owned.get(uid, ())))

    def put(self, key: ObjectKey, obj: Object) -> None:
        """Store `obj` under the next revision (which it gets as resourceVersion) and say so."""
        revision = self.history.next_revision()
        obj["metadata"]["resourceVersion"] = str(revision)
        table = self._tables.setdefault(key.kind_key, {})
        place = (key.namespace, key.name)
        previous = table.get(place)
        table[place] = obj
        if previous is None:
            self.population[key.namespace] = self.population.get(key.namespace, 0) + 1
        self._index_owners(key, previous, obj)
        kind = EventType.ADDED if previous is None else EventType.MODIFIED
        self.history.record(Change(kind, key, obj, previous, revision))

    def drop(self, key: ObjectKey) -> None:
        """Forget an object that is there, and say so with its last state."""
        previous = self._tables[key.kind_key].pop((key.namespace, key.name))
        self.population[key.namespace] -= 1
        self._index_owners(key, previous, None)
        revision = self.history.next_revision()
        last = {
            **previous,
            "metadata": {**previous["metadata"], "resourceVersion": str(revision)},
        }
        self.history.record(Change(EventType.DELETED, key, last, previous, revision))

    def _index_owners(self, key: ObjectKey, old: Object | None, new: Object | None) -> None:
        before, after = owner_uids(old), owner_uids(new)
        for uid in before - after:
            self._owned[uid].discard(key)
            if not self._owned[uid]:
                del self._owned[uid]
        for uid in after - before:
            self._owned.setdefault(uid, set()).add(key)


def owner_uids(obj: Object | None) -> set[str]:
    """The uids in `metadata.ownerReferences`."""
    references = obj["metadata"].get("ownerReferences") if obj else None
    return {reference.get("uid", "") for reference in references} if references else set()
