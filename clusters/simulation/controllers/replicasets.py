"""ReplicaSet: keep so many pods of one template. Failed and deleted pods are replaced.

When there are too many, those that are not ready go first, then the youngest.
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
    set_status,
)
from clusters.simulation.controllers.pods import is_ready, phase_of
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
    pods = [p for p in view.children(replica_set, "Pod") if phase_of(p) != "Failed"]
    seconds = int(replica_set["spec"].get("minReadySeconds") or 0)
    available, again_at = count_available(pods, seconds, now)
    status = _status(replica_set, pods, available)
    writes = (*_balance(replica_set, pods, view), *set_status(replica_set, status))
    return Outcome(writes, again_at)


def _balance(replica_set: Object, pods: list[Object], view: View) -> tuple[Write, ...]:
    missing = replicas_of(replica_set) - len(pods)
    if missing >= 0:
        names = islice(free_names(replica_set, view), missing)
        return tuple(Create(pod_of(replica_set, name, view, {})) for name in names)
    ranked = sorted(pods, key=lambda pod: (not is_ready(pod), view.since(pod)), reverse=True)
    return tuple(Remove(key_of(pod)) for pod in ranked[:-missing])


def _status(replica_set: Object, pods: list[Object], available: int) -> Object:
    labels = replica_set["spec"]["template"].get("metadata", {}).get("labels") or {}
    ready = sum(map(is_ready, pods))
    labelled = sum(labels.items() <= (pod["metadata"].get("labels") or {}).items() for pod in pods)
    status: Object = {
        "replicas": len(pods),
        "fullyLabeledReplicas": labelled,
        "readyReplicas": ready,
        "availableReplicas": available,
        "observedGeneration": replica_set["metadata"].get("generation", 1),
    }
    return {name: value for name, value in status.items() if value or name == "replicas"}
