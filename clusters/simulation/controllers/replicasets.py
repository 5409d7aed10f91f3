"""ReplicaSet: keep so many pods of one template. Ended and deleted pods are replaced.

When there are too many, those that are not ready go first, then the youngest. What the server
refuses (a quota) is said in the condition ReplicaFailure, until it succeeds.
"""

from __future__ import annotations

from datetime import datetime
from itertools import islice

from clusters.objects import Object, key_of
from clusters.simulation.controllers.decision import (
    NOTHING,
    Create,
    Outcome,
    Remove,
    View,
    Write,
    condition,
    condition_of,
    set_status,
)
from clusters.simulation.controllers.pods import is_ready, is_terminating, phase_of
from clusters.simulation.controllers.workloads import (
    count_available,
    free_names,
    pod_of,
    replicas_of,
)


def reconcile_replica_set(replica_set: Object, view: View, now: datetime) -> Outcome:
    """Pods to make or remove, and the status."""
    if replica_set["metadata"].get("deletionTimestamp"):
        return NOTHING
    status, again_at = _status(replica_set, view, now)
    writes = (*_balance(replica_set, view), *set_status(replica_set, status))
    return Outcome(writes, again_at)


def refused_replica_set(replica_set: Object, view: View, now: datetime, message: str) -> Outcome:
    """The server refused a pod: the status counts those that there are and says why not more."""
    status, _ = _status(replica_set, view, now)
    old = replica_set.get("status") or {}
    missing = status["replicas"] < replicas_of(replica_set)
    reason = "FailedCreate" if missing else "FailedDelete"
    before = condition_of(old, "ReplicaFailure")
    failed = before or condition(old, "ReplicaFailure", "True", now, reason, message)
    return Outcome(set_status(replica_set, status | {"conditions": [failed]}))


def _active(replica_set: Object, view: View) -> list[Object]:
    pods = view.children(replica_set, "Pod")
    ended = ("Succeeded", "Failed")
    return [pod for pod in pods if phase_of(pod) not in ended and not is_terminating(pod)]


def _balance(replica_set: Object, view: View) -> tuple[Write, ...]:
    pods = _active(replica_set, view)
    missing = replicas_of(replica_set) - len(pods)
    if missing >= 0:
        names = islice(free_names(replica_set, view), missing)
        return tuple(Create(pod_of(replica_set, name, view, {})) for name in names)
    ranked = sorted(pods, key=lambda pod: (not is_ready(pod), view.since(pod)), reverse=True)
    return tuple(Remove(key_of(pod)) for pod in ranked[:-missing])


def _status(replica_set: Object, view: View, now: datetime) -> tuple[Object, datetime | None]:
    pods = _active(replica_set, view)
    seconds = int(replica_set["spec"].get("minReadySeconds") or 0)
    available, again_at = count_available(pods, seconds, now)
    labels = replica_set["spec"]["template"].get("metadata", {}).get("labels") or {}
    labelled = sum(labels.items() <= (pod["metadata"].get("labels") or {}).items() for pod in pods)
    leaving = sum(map(is_terminating, view.children(replica_set, "Pod")))
    counts = {
        "fullyLabeledReplicas": labelled,
        "readyReplicas": sum(map(is_ready, pods)),
        "availableReplicas": available,
        "observedGeneration": replica_set["metadata"].get("generation", 1),
    }
    status = {"replicas": len(pods), "terminatingReplicas": leaving}
    return status | {name: value for name, value in counts.items() if value}, again_at
