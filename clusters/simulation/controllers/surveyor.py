"""What a change concerns: the indexes by which the loop finds whom to ask again.

::

    a pod changed     → who controls it, the Services and budgets that select it, its claims
    a claim           → the pods that use it
    a volume, a class → the claims that are not bound yet, or that are to go
    in a namespace that is going → that namespace
    a workload        → who controls it, the autoscalers that point at it
    Endpoints         → the APIServices behind them
    a node            → the DaemonSets, the pods that are on no node yet
    anything          → itself, if there is a controller for its kind

Kept from the change feed alone. Every answer costs what it names, plus the Services, budgets or
autoscalers of one namespace; never the size of the cluster.
"""

from __future__ import annotations

from collections.abc import Iterator

from clusters.cluster import EventType
from clusters.objects import Kind, Object, ObjectKey, labels_of, split_api_version
from clusters.simulation.controllers.autoscalers import scale_target
from clusters.simulation.controllers.decision import controller_of, selects
from clusters.simulation.controllers.pods import POD, claims_of
from clusters.simulation.controllers.scheduling import NODE
from clusters.simulation.controllers.services import SERVICE, matches
from clusters.simulation.controllers.storage import CLAIM, STORAGE_CLASS, VOLUME
from clusters.simulation.server import Change

API_SERVICE = Kind("apiregistration.k8s.io", "APIService")
AUTOSCALER = Kind("autoscaling", "HorizontalPodAutoscaler")
BUDGET = Kind("policy", "PodDisruptionBudget")
DAEMON_SET = Kind("apps", "DaemonSet")
ENDPOINTS = Kind("", "Endpoints")
_LISTED = frozenset(
    (POD, SERVICE, BUDGET, AUTOSCALER, API_SERVICE, DAEMON_SET, NODE, VOLUME, STORAGE_CLASS)
)

Objects = dict[ObjectKey, Object]


class Surveyor:
    """The stored objects of some kinds by namespace, and of all kinds by who controls them."""

    def __init__(self) -> None:
        self._listed: dict[tuple[Kind, str], Objects] = {}
        self._children: dict[str, Objects] = {}
        self._waiting: dict[Kind, Objects] = {POD: {}, CLAIM: {}}
        """Pods on no node yet, claims that are not bound, and either of them that is to go."""
        self._users: dict[ObjectKey, Objects] = {}
        """The pods that use a claim."""
        self._leaving: set[str] = set()
        """The namespaces that are to go."""

    def note(self, change: Change) -> None:
        """Take in one change."""
        gone = change.type is EventType.DELETED
        if change.key.kind_key in _LISTED:
            listed = self._listed.setdefault((change.key.kind_key, change.key.namespace), {})
            _place(listed, change.key, None if gone else change.object)
        match change.key.kind_key:
            case Kind("", "Pod"):
                self._wait(change, "nodeName")
                for claim in _claims(change.object):
                    users = self._users.setdefault(claim, {})
                    _place(users, change.key, None if gone else change.object)
                    if not users:
                        del self._users[claim]
            case Kind("", "PersistentVolumeClaim"):
                self._wait(change, "volumeName")
            case Kind("", "Namespace"):
                leaves = not gone and change.object["metadata"].get("deletionTimestamp")
                (self._leaving.add if leaves else self._leaving.discard)(change.key.name)
        if change.previous is not None:
            self._control(change.key, change.previous, None)
        if not gone:
            self._control(change.key, change.object, change.object)

    def listed(self, kind: Kind, namespace: str) -> list[Object]:
        """The objects of an indexed kind in one namespace."""
        return list(self._listed.get((kind, namespace), {}).values())

    def children(self, uid: str, kind: str) -> list[Object]:
        """The objects of a kind that are controlled by the owner with this uid, by name."""
        found = self._children.get(uid, {})
        return [obj for key, obj in sorted(found.items(), key=_first) if key.kind == kind]

    def concerned(self, change: Change) -> Iterator[ObjectKey]:
        """Whom to ask again, besides the object itself."""
        for state in (change.object, change.previous):
            owner = controller_of(state) if state else None
            if owner:
                group = split_api_version(owner["apiVersion"])[0]
                yield ObjectKey(group, owner["kind"], change.key.namespace, owner["name"])
        kind = change.key.kind_key
        if change.key.namespace in self._leaving:
            yield ObjectKey("", "Namespace", "", change.key.namespace)
        if kind == POD:
            yield from self._selecting(change)
            yield from (c for c in _claims(change.object) if c in self._waiting[CLAIM])
        elif kind == CLAIM:
            yield from tuple(self._users.get(change.key, ()))
        elif kind == STORAGE_CLASS or (kind == VOLUME and "claimRef" not in change.object["spec"]):
            yield from tuple(self._waiting[CLAIM])
        elif kind == ENDPOINTS:
            yield from self._served_by(change.key)
        elif kind == NODE:
            yield from self._all(DAEMON_SET)
            yield from tuple(self._waiting[POD])
        elif kind.group == "apps":
            yield from self._scaling(change.key)

    def _wait(self, change: Change, for_field: str) -> None:
        """Whether an object still waits for a field of its spec, or for its end."""
        obj = change.object
        waits = change.type is not EventType.DELETED and (
            not obj["spec"].get(for_field) or "deletionTimestamp" in obj["metadata"]
        )
        waiting = self._waiting[change.key.kind_key]
        _place(waiting, change.key, change.object if waits else None)

    def _control(self, key: ObjectKey, obj: Object, value: Object | None) -> None:
        owner = controller_of(obj)
        if owner is None:
            return
        children = self._children.setdefault(owner["uid"], {})
        _place(children, key, value)
        if not children:
            del self._children[owner["uid"]]

    def _selecting(self, change: Change) -> Iterator[ObjectKey]:
        states = [labels_of(state) for state in (change.object, change.previous) if state]
        place = change.key.namespace
        for key, service in self._listed.get((SERVICE, place), {}).items():
            if any(matches(service, labels) for labels in states):
                yield key
        for key, budget in self._listed.get((BUDGET, place), {}).items():
            if any(selects(budget["spec"].get("selector"), labels) for labels in states):
                yield key

    def _served_by(self, endpoints: ObjectKey) -> Iterator[ObjectKey]:
        for key, api_service in self._listed.get((API_SERVICE, ""), {}).items():
            behind = api_service["spec"].get("service") or {}
            if (behind.get("namespace"), behind.get("name")) == (
                endpoints.namespace,
                endpoints.name,
            ):
                yield key

    def _scaling(self, workload: ObjectKey) -> Iterator[ObjectKey]:
        for key, autoscaler in self._listed.get((AUTOSCALER, workload.namespace), {}).items():
            if scale_target(autoscaler) == workload:
                yield key

    def _all(self, kind: Kind) -> Iterator[ObjectKey]:
        for (listed, _), objects in self._listed.items():
            if listed == kind:
                yield from objects


def _claims(pod: Object) -> list[ObjectKey]:
    place = pod["metadata"]["namespace"]
    return [ObjectKey(*CLAIM, place, name) for name in claims_of(pod)]


def _first(item: tuple[ObjectKey, Object]) -> ObjectKey:
    return item[0]


def _place(objects: Objects, key: ObjectKey, value: Object | None) -> None:
    if value is None:
        objects.pop(key, None)
    else:
        objects[key] = value
