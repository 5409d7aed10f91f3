"""The control plane of a simulated cluster: hears of changes, asks controllers, writes.

::

    change feed ──► dirty keys ──┐
    timers      ──► due keys   ──┴─► controller(object, view, now) ──► writes, a time to look again

`step(now)` goes on until nothing is dirty and says when it next wants to run. Work follows what
changed: nothing is listed, nobody is polled. Two runs from the same seed and the same calls make
the same writes at the same times.

A write that the server refuses (a quota, a namespace on its way out) is tried again, at first
after a second, then ever more rarely. Writes go out as `kube-controller-manager`, statuses
through the status subresource, so that a live object looks as it would in a real cluster.

Never writes inside the feed's callback, never touches a field that a person or an agent owns,
but for the replicas of a workload with an autoscaler, if that is told to with `autoscale` or finds
a load declared.
"""

from __future__ import annotations

import heapq
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from clusters.clock import Clock
from clusters.cluster import EventType
from clusters.errors import AlreadyExistsError, ClusterError, NotFoundError
from clusters.objects import Kind, Object, ObjectKey, key_of
from clusters.simulation.controllers.autoscalers import reconcile_autoscaler, scale_target
from clusters.simulation.controllers.autoscaling import allowed_replicas
from clusters.simulation.controllers.cronjobs import reconcile_cron_job
from clusters.simulation.controllers.daemonsets import reconcile_daemon_set
from clusters.simulation.controllers.decision import (
    MANAGER,
    NOTHING,
    Controller,
    Create,
    Merge,
    Outcome,
    Remove,
    SetStatus,
    View,
    Write,
    after,
    controller_of,
    merge_patch,
    read_stamp,
)
from clusters.simulation.controllers.deployments import reconcile_deployment, refused_deployment
from clusters.simulation.controllers.events import Recorder
from clusters.simulation.controllers.jobs import forget_job, reconcile_job
from clusters.simulation.controllers.namespaces import reconcile_namespace
from clusters.simulation.controllers.pods import POD, reconcile_pod
from clusters.simulation.controllers.replicasets import (
    reconcile_replica_set,
    refused_replica_set,
)
from clusters.simulation.controllers.scheduling import NODE
from clusters.simulation.controllers.services import (
    SERVICE,
    forget_service,
    reconcile_ingress,
    reconcile_service,
)
from clusters.simulation.controllers.statefulsets import reconcile_stateful_set
from clusters.simulation.controllers.storage import (
    CLAIM,
    STORAGE_CLASS,
    VOLUME,
    forget_claim,
    reconcile_claim,
    reconcile_volume,
)
from clusters.simulation.controllers.surroundings import (
    node_object,
    reconcile_api_service,
    reconcile_budget,
    reconcile_node,
)
from clusters.simulation.controllers.surveyor import (
    API_SERVICE,
    AUTOSCALER,
    BUDGET,
    DAEMON_SET,
    Surveyor,
)
from clusters.simulation.controllers.timing import Timing
from clusters.simulation.server import ApiServer, Change

log = logging.getLogger(__name__)

MAX_ROUNDS = 50
"""Rounds of asking in one step; what is left then goes on in the next."""
LONGEST_RETRY = 60.0

CONTROLLERS: dict[Kind, Controller] = {
    Kind("", "Namespace"): reconcile_namespace,
    NODE: reconcile_node,
    POD: reconcile_pod,
    SERVICE: reconcile_service,
    CLAIM: reconcile_claim,
    VOLUME: reconcile_volume,
    Kind("apps", "Deployment"): reconcile_deployment,
    Kind("apps", "ReplicaSet"): reconcile_replica_set,
    Kind("apps", "StatefulSet"): reconcile_stateful_set,
    DAEMON_SET: reconcile_daemon_set,
    Kind("batch", "Job"): reconcile_job,
    Kind("batch", "CronJob"): reconcile_cron_job,
    Kind("networking.k8s.io", "Ingress"): reconcile_ingress,
    AUTOSCALER: reconcile_autoscaler,
    BUDGET: reconcile_budget,
    API_SERVICE: reconcile_api_service,
}
"""Who looks after objects of a kind."""

FAREWELLS: dict[Kind, Callable[[Object, View], Outcome]] = {
    SERVICE: forget_service,
    CLAIM: forget_claim,
    Kind("batch", "Job"): forget_job,
}
"""What is left to do when an object of a kind is gone."""

REFUSALS: dict[Kind, Callable[[Object, View, datetime, str], Outcome]] = {
    Kind("apps", "Deployment"): refused_deployment,
    Kind("apps", "ReplicaSet"): refused_replica_set,
}
"""What a controller has to say when the server refuses what it wants to write."""


class Controllers:
    """The controllers of one cluster; `step(now)` is all that has to be called."""

    def __init__(
        self,
        server: ApiServer,
        clock: Clock,
        seed: int,
        timing: Timing | None = None,
        nodes: Iterable[str] = ("node-1",),
        *,
        events: bool = False,
    ) -> None:
        self.timing = timing or Timing()
        self.seed = seed
        self._server = server
        self._clock = clock
        self._surveyor = Surveyor()
        self._dirty: dict[ObjectKey, None] = {}
        self._gone: dict[ObjectKey, Object] = {}
        self._born: dict[str, datetime] = {}
        self._memory: dict[str, Any] = {}
        self._refused: dict[ObjectKey, int] = {}
        self._due: dict[ObjectKey, datetime] = {}
        self._timers: list[tuple[datetime, ObjectKey]] = []
        self._own_status: ObjectKey | None = None
        self._take_over()
        self._recorder = Recorder(server) if events else None
        self._stop = server.subscribe(self._note)
        for name in nodes:
            self._perform(Create(node_object(name)))

    def close(self) -> None:
        """Hear of no more changes."""
        self._stop()
        if self._recorder:
            self._recorder.close()

    def step(self, now: datetime) -> datetime | None:
        """Do what is due; returns when to run next, `None` if only a change could bring work."""
        due = self._step(now)
        if self._recorder:
            self._recorder.write(now)
        return due

    def _step(self, now: datetime) -> datetime | None:
        while self._timers and self._timers[0][0] <= now:
            due, key = heapq.heappop(self._timers)
            if self._due.get(key) == due:
                del self._due[key]
                self._dirty[key] = None
        for _ in range(MAX_ROUNDS):
            batch, self._dirty = self._dirty, {}
            for key in batch:
                self._reconcile(key, now)
            if not self._dirty:
                return self._next_timer()
        return now

    def autoscale(self, key: ObjectKey, replicas: int) -> int:
        """Let a HorizontalPodAutoscaler set its target's replicas; returns the number it set.

        The number is brought within the autoscaler's limits. Errors: `NotFoundError`.
        """
        autoscaler = self._server.peek(key)
        if autoscaler is None:
            raise NotFoundError(f"there is no {key} that could scale anything")
        allowed = allowed_replicas(autoscaler["spec"], replicas)
        scale = Merge(scale_target(autoscaler), {"spec": {"replicas": allowed}}, "scale")
        self._write(scale)
        return allowed

    def peek(self, key: ObjectKey) -> Object | None:
        """One stored object, read only."""
        return self._server.peek(key)

    def peek_all(self, kind: Kind, namespace: str = "") -> list[Object]:
        """The stored objects of an indexed kind in one namespace (``""``: a cluster's own)."""
        return self._surveyor.listed(kind, namespace)

    def content(self, namespace: str) -> Iterator[tuple[str, Object]]:
        """All that is in a namespace, each with its resource."""
        for kind, resource in self._server.resources().resources.items():
            if resource.namespaced:
                for obj in self._server.peek_all(kind, namespace):
                    yield f"{resource.plural}.{kind.group}", obj

    def children(self, owner: Object, kind: str) -> list[Object]:
        """The objects of a kind that `owner` controls, by name."""
        return self._surveyor.children(owner["metadata"]["uid"], kind)

    def since(self, obj: Object) -> datetime:
        """When an object was made; to the second only, if it was there before the controllers."""
        metadata = obj["metadata"]
        return self._born.get(metadata["uid"]) or read_stamp(metadata["creationTimestamp"])

    def recall(self, obj: Object) -> Any:
        """What the last outcome for this object left to remember."""
        return self._memory.get(obj["metadata"]["uid"])

    def _take_over(self) -> None:
        """Take in what the server holds already."""
        for kind in (*CONTROLLERS, STORAGE_CLASS):
            for obj in list(self._server.peek_all(kind)):
                key = key_of(obj)
                self._surveyor.note(Change(EventType.ADDED, key, obj, None, 0))
                if kind in CONTROLLERS:
                    self._dirty[key] = None

    def _note(self, change: Change) -> None:
        """The feed's callback: remember whom this concerns, and no more."""
        self._surveyor.note(change)
        key, uid = change.key, change.object["metadata"]["uid"]
        if change.type is EventType.DELETED:
            self._born.pop(uid, None)
            self._memory.pop(uid, None)
            self._due.pop(key, None)
            if key.kind_key in FAREWELLS:
                self._gone[key] = change.object
                self._dirty[key] = None
        elif key.kind_key in CONTROLLERS and key != self._own_status:
            self._dirty[key] = None
        if change.type is EventType.ADDED and key.kind_key in CONTROLLERS:
            self._born[uid] = self._clock.now()
        for other in self._surveyor.concerned(change):
            if other.kind_key in CONTROLLERS:
                self._dirty[other] = None

    def _reconcile(self, key: ObjectKey, now: datetime) -> None:
        outcome = self._decide(key, now)
        try:
            for write in outcome.writes:
                self._perform(write)
        except ClusterError as error:
            failures = self._refused.get(key, 0)
            self._refused[key] = failures + 1
            log.info("controller refused", extra={"object": str(key), "reason": str(error)})
            self._tell_refusal(key, now, str(error))
            self._look_again(key, after(now, min(2.0**failures, LONGEST_RETRY)))
            return
        self._refused.pop(key, None)
        self._due.pop(key, None)
        if outcome.memory is not None and (live := self._server.peek(key)):
            self._memory[live["metadata"]["uid"]] = outcome.memory
        if outcome.again_at is not None:
            self._look_again(key, outcome.again_at)

    def _tell_refusal(self, key: ObjectKey, now: datetime, message: str) -> None:
        obj, refused = self._server.peek(key), REFUSALS.get(key.kind_key)
        if obj is None or refused is None:
            return
        for write in refused(obj, self, now, message).writes:
            self._perform(write)

    def _decide(self, key: ObjectKey, now: datetime) -> Outcome:
        gone, obj = self._gone.pop(key, None), self._server.peek(key)
        farewell = FAREWELLS[key.kind_key](gone, self).writes if gone else ()
        outcome = NOTHING if obj is None else CONTROLLERS[key.kind_key](obj, self, now)
        return replace(outcome, writes=(*farewell, *outcome.writes))

    def _look_again(self, key: ObjectKey, due: datetime) -> None:
        self._due[key] = due
        heapq.heappush(self._timers, (due, key))

    def _next_timer(self) -> datetime | None:
        while self._timers and self._due.get(self._timers[0][1]) != self._timers[0][0]:
            heapq.heappop(self._timers)
        return self._timers[0][0] if self._timers else None

    def _perform(self, write: Write) -> None:
        """One write. What is gone needs no change; an orphan of the wanted name is adopted."""
        try:
            self._write(write)
        except AlreadyExistsError:
            if isinstance(write, Create):
                self._adopt(write.obj)
        except NotFoundError:
            if isinstance(write, Create):
                raise  # its namespace is missing

    def _write(self, write: Write) -> None:
        match write:
            case Create(obj):
                self._server.create(obj, manager=MANAGER)
            case Remove(key):
                self._server.delete(key)
            case Merge(key, patch, subresource):
                self._server.patch(key, patch, manager=MANAGER, subresource=subresource)
            case SetStatus(key, status):
                self._set_status(key, status)

    def _set_status(self, key: ObjectKey, status: Object) -> None:
        live = self._server.peek(key)
        patch = merge_patch((live or {}).get("status") or {}, status)
        if not patch or live is None:
            return
        self._own_status = key
        try:
            self._server.patch(key, {"status": patch}, manager=MANAGER, subresource="status")
        finally:
            self._own_status = None

    def _adopt(self, wanted: Object) -> None:
        live = self._server.peek(key_of(wanted))
        references = wanted["metadata"].get("ownerReferences")
        if live is not None and references and controller_of(live) is None:
            patch = {"metadata": {"ownerReferences": references}}
            self._server.patch(key_of(wanted), patch, manager=MANAGER)
