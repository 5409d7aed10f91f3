"""Events: what `kubectl describe` and `kubectl get events` tell, read off the changes of objects.

::

    Deployment   ScalingReplicaSet        ReplicaSet, DaemonSet, StatefulSet, Job, CronJob
    Job          Completed, its failure       SuccessfulCreate, SuccessfulDelete, FailedCreate
    Pod          Scheduled, FailedScheduling, Started, BackOff, Failed

An Event that comes again counts up. Events older than an hour go when others come, and there are
never more than `MOST`. Only a cluster that is asked to records any (`Controllers(events=True)`),
because they are more objects than all others; one at rest writes none.

Never decides anything, and nothing waits for an Event.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from clusters.cluster import EventType
from clusters.errors import ClusterError, NotFoundError
from clusters.objects import Kind, Object, ObjectKey
from clusters.simulation.controllers.decision import condition_of, controller_of, stamp
from clusters.simulation.controllers.pods import POD
from clusters.simulation.controllers.timing import short_hash
from clusters.simulation.controllers.workloads import replicas_of
from clusters.simulation.server import ApiServer, Change

MOST = 500
"""Events that a cluster keeps."""
_LIFE = timedelta(hours=1)
_REPLICA_SET, _JOB = Kind("apps", "ReplicaSet"), Kind("batch", "Job")


@dataclass(frozen=True, slots=True)
class Told:
    """What happened to an object: a reference to it, and the words of the Event."""

    about: Object
    reason: str
    message: str
    source: str
    warning: bool = False


class Recorder:
    """Hears of changes, and writes the Events that follow from them when it is asked to."""

    def __init__(self, server: ApiServer) -> None:
        self._server = server
        self._told: list[Told] = []
        self._seen: dict[ObjectKey, datetime] = {}
        """When each Event last came, the oldest first."""
        self.close = server.subscribe(self._note)

    def write(self, now: datetime) -> None:
        """Write what happened since the last call, and let old Events go."""
        told, self._told = self._told, []
        for item in told:
            try:
                self._record(item, now)
            except ClusterError:  # its namespace is going or gone, and nobody waits for an Event
                continue
        for key, last in list(self._seen.items()):
            if not told or (now - last < _LIFE and len(self._seen) <= MOST):
                return
            del self._seen[key]
            self._remove(key)

    def _note(self, change: Change) -> None:
        self._told.extend(events_of(change))

    def _record(self, told: Told, now: datetime) -> None:
        about = told.about
        digest = short_hash(f"{about['uid']}/{told.reason}/{told.message}", 16)
        key = ObjectKey("", "Event", about["namespace"], f"{about['name']}.{digest}")
        live = self._server.peek(key)
        if live is None:
            self._server.create(_event(key, told, now), manager=told.source)
        else:
            again = {"count": live["count"] + 1, "lastTimestamp": stamp(now)}
            self._server.patch(key, again, manager=told.source)
        self._seen.pop(key, None)
        self._seen[key] = now

    def _remove(self, key: ObjectKey) -> None:
        try:
            self._server.delete(key)
        except NotFoundError:
            return


def events_of(change: Change) -> Iterator[Told]:
    """The Events that a change is worth."""
    kind = change.key.kind_key
    if kind in (POD, _JOB) and change.type is not EventType.MODIFIED:
        yield from _made_or_gone(change)
    if change.type is EventType.DELETED:
        return
    if kind == POD:
        yield from _pod(change)
    elif kind == _REPLICA_SET:
        yield from _replica_set(change)
    elif kind == _JOB:
        yield from _job(change)


def _made_or_gone(change: Change) -> Iterator[Told]:
    owner = controller_of(change.object)
    if owner is None:
        return
    about = {**owner, "namespace": change.key.namespace}
    made = change.type is EventType.ADDED
    reason = "SuccessfulCreate" if made else "SuccessfulDelete"
    what = f"{change.key.kind.lower()}: {change.key.name}"
    message = f"Created {what}" if made else f"Deleted {what}"
    yield Told(about, reason, message, f"{owner['kind'].lower()}-controller")


def _pod(change: Change) -> Iterator[Told]:
    pod, before = change.object, change.previous or {"spec": {}}
    name = f"{change.key.namespace}/{change.key.name}"
    node = pod["spec"].get("nodeName")
    about = _reference(pod)
    if node and not before["spec"].get("nodeName"):
        message = f"Successfully assigned {name} to {node}"
        yield Told(about, "Scheduled", message, "default-scheduler")
    placed = condition_of(pod.get("status") or {}, "PodScheduled")
    if placed and placed["status"] == "False" and placed != _placed(before):
        yield Told(about, "FailedScheduling", placed["message"], "default-scheduler", True)
    old = {c["name"]: c for c in _containers(before)}
    for container in _containers(pod):
        yield from _container(pod, container, old.get(container["name"]) or {})


def _placed(pod: Object) -> Object | None:
    return condition_of(pod.get("status") or {}, "PodScheduled")


def _containers(pod: Object) -> list[Object]:
    return (pod.get("status") or {}).get("containerStatuses") or []


def _container(pod: Object, now: Object, before: Object) -> Iterator[Told]:
    state, old = now.get("state") or {}, before.get("state") or {}
    name, image, about = now["name"], now["image"], _reference(pod)
    waits = (state.get("waiting") or {}).get("reason")
    again = now.get("restartCount") != before.get("restartCount")
    changed = waits != (old.get("waiting") or {}).get("reason")
    if waits == "CrashLoopBackOff" and (again or changed):
        metadata = pod["metadata"]
        who = f"{metadata['name']}_{metadata['namespace']}({metadata['uid']})"
        message = f"Back-off restarting failed container {name} in pod {who}"
        yield Told(about, "BackOff", message, "kubelet", True)
    if waits == "ImagePullBackOff" and changed:
        yield Told(about, "Failed", f'Failed to pull image "{image}"', "kubelet", True)
    if "running" in state and "running" not in old:
        yield Told(about, "Started", f"Started container {name}", "kubelet")


def _replica_set(change: Change) -> Iterator[Told]:
    replica_set, owner = change.object, controller_of(change.object)
    old = replicas_of(change.previous) if change.previous else 0
    new = replicas_of(replica_set)
    if owner and old != new:
        about = {**owner, "namespace": change.key.namespace}
        way = "up" if new > old else "down"
        message = f"Scaled {way} replica set {change.key.name} from {old} to {new}"
        yield Told(about, "ScalingReplicaSet", message, "deployment-controller")
    failed = condition_of(replica_set.get("status") or {}, "ReplicaFailure")
    before = condition_of((change.previous or {}).get("status") or {}, "ReplicaFailure")
    if failed and not before:
        message = f"Error creating: {failed['message']}"
        yield Told(
            _reference(replica_set), failed["reason"], message, "replicaset-controller", True
        )


def _job(change: Change) -> Iterator[Told]:
    job, old = change.object, (change.previous or {}).get("status") or {}
    for type_ in ("Complete", "Failed"):
        found = condition_of(job.get("status") or {}, type_)
        if found and not condition_of(old, type_):
            done = type_ == "Complete"
            reason, message = ("Completed", "Job completed") if done else ("", "")
            yield Told(
                _reference(job),
                reason or found["reason"],
                message or found["message"],
                "job-controller",
                not done,
            )


def _reference(obj: Object) -> Object:
    metadata = obj["metadata"]
    fields = {name: metadata[name] for name in ("name", "namespace", "uid")}
    return {"apiVersion": obj["apiVersion"], "kind": obj["kind"], **fields}


def _event(key: ObjectKey, told: Told, now: datetime) -> Object:
    names = ("apiVersion", "kind", "name", "namespace", "uid")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": key.name, "namespace": key.namespace},
        "involvedObject": {name: told.about[name] for name in names},
        "reason": told.reason,
        "message": told.message,
        "type": "Warning" if told.warning else "Normal",
        "source": {"component": told.source},
        "reportingComponent": told.source,
        "count": 1,
        "firstTimestamp": stamp(now),
        "lastTimestamp": stamp(now),
    }
