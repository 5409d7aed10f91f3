"""What a change concerns: the indexes by which the loop finds whom to ask again.

::

    a pod changed     → who controls it, the Services and budgets that select it
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
from clusters.simulation.controllers.pods import POD
from clusters.simulation.controllers.scheduling import NODE
from clusters.simulation.controllers.services import SERVICE, matches
from clusters.simulation.server import Change

API_SERVICE = Kind("apiregistration.k8s.io", "APIService")
AUTOSCALER = Kind("autoscaling", "HorizontalPodAutoscaler")
BUDGET = Kind("policy", "PodDisruptionBudget")
DAEMON_SET = Kind("apps", "DaemonSet")
ENDPOINTS = Kind("", "Endpoints")
_LISTED = frozenset((POD, SERVICE, BUDGET, AUTOSCALER, API_SERVICE, DAEMON_SET, NODE))

Objects = dict[ObjectKey, Object]


class Surveyor:
    """The stored objects of some kinds by namespace, and of all kinds by who controls them."""

    def __init__(self) -> None:
        self._listed: dict[tuple[Kind, str], Objects] = {}
        self._children: dict[str, Objects] = {}
        self._unscheduled: Objects = {}

    def note(self, change: Change) -> None:
        """Take in one change."""
        gone = change.type is EventType.DELETED
        if change.key.kind_key in _LISTED:
            listed = self._listed.setdefault((change.key.kind_key, change.key.namespace), {})
            _place(listed, change.key, None if gone else change.object)
        if change.key.kind_key == POD:
            waits = not gone and not change.object["spec"].get("nodeName")
            _place(self._unscheduled, change.key, change.object if waits else None)
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
        if kind == POD:
            yield from self._selecting(change)
        elif kind == ENDPOINTS:
            yield from self._served_by(change.key)
        elif kind == NODE:
            yield from self._all(DAEMON_SET)
            yield from tuple(self._unscheduled)
        elif kind.group == "apps":
            yield from self._scaling(change.key)

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


def _first(item: tuple[ObjectKey, Object]) -> ObjectKey:
    return item[0]


def _place(objects: Objects, key: ObjectKey, value: Object | None) -> None:
    if value is None:
        objects.pop(key, None)
    else:
        objects[key] = value
