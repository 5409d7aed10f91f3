"""StatefulSet: pods with ordinals and claims, one after the other.

With `OrderedReady` a pod waits for the one before it, and a new template goes from the highest
ordinal down to `partition`, each pod waiting for the one after it. So a broken pod stops
everything, also the template that would cure it, until somebody deletes that pod: real clusters
do the same, and it is what a fleet has to live with. `Parallel` waits for nothing when scaling.

Claims are made from `volumeClaimTemplates` and kept when pods go.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from clusters.objects import Object, ObjectKey, key_of
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
    available_at,
    count_available,
    pod_of,
    replicas_of,
    template_hash,
)

REVISION_LABEL = "controller-revision-hash"


def reconcile_stateful_set(stateful_set: Object, view: View, now: datetime) -> Outcome:
    """The next pods to make, replace or remove, and the status."""
    if stateful_set["metadata"].get("deletionTimestamp"):
        return NOTHING
    pods = {_ordinal(pod): pod for pod in view.children(stateful_set, "Pod")}
    seconds = int(stateful_set["spec"].get("minReadySeconds") or 0)
    available, again_at = count_available(list(pods.values()), seconds, now)
    update = _revision_name(stateful_set)
    current = (stateful_set.get("status") or {}).get("currentRevision") or update
    writes = tuple(_steps(stateful_set, pods, view, now))
    status = _status(stateful_set, pods, available, current)
    return Outcome((*writes, *set_status(stateful_set, status)), again_at)


def _ordinal(pod: Object) -> int:
    return int(pod["metadata"]["name"].rpartition("-")[2])


def _revision_name(stateful_set: Object) -> str:
    return f"{stateful_set['metadata']['name']}-{template_hash(stateful_set)}"


def _steps(
    stateful_set: Object, pods: dict[int, Object], view: View, now: datetime
) -> Iterator[Write]:
    """What may be done now: scale up, then down, then update, in the order that is asked for."""
    parallel = stateful_set["spec"].get("podManagementPolicy") == "Parallel"
    first = int((stateful_set["spec"].get("ordinals") or {}).get("start", 0))
    wanted = range(first, first + replicas_of(stateful_set))
    for ordinal in wanted:
        pod = pods.get(ordinal)
        if pod is None or phase_of(pod) in ("Failed", "Succeeded"):
            if pod is not None:
                yield Remove(key_of(pod))
            yield from _make(stateful_set, ordinal, view)
        if not parallel and not _well(stateful_set, pod, now):
            return
    surplus = sorted((n for n in pods if n not in wanted), reverse=True)
    for ordinal in surplus:
        yield Remove(key_of(pods[ordinal]))
        if not parallel:
            return
    yield from _update(stateful_set, pods, wanted, now)


def _well(stateful_set: Object, pod: Object | None, now: datetime) -> bool:
    if pod is None:
        return False
    moment = available_at(pod, int(stateful_set["spec"].get("minReadySeconds") or 0))
    return moment is not None and moment <= now


def _make(stateful_set: Object, ordinal: int, view: View) -> Iterator[Write]:
    name = f"{stateful_set['metadata']['name']}-{ordinal}"
    labels = {
        "apps.kubernetes.io/pod-index": str(ordinal),
        "statefulset.kubernetes.io/pod-name": name,
        REVISION_LABEL: _revision_name(stateful_set),
    }
    claims = stateful_set["spec"].get("volumeClaimTemplates") or ()
    for template in claims:
        claim = _claim(stateful_set, template, name)
        if view.peek(key_of(claim)) is None:
            yield Create(claim)
    pod = pod_of(stateful_set, name, view, labels)
    names = [template["metadata"]["name"] for template in claims]
    volumes = [v for v in pod["spec"].get("volumes") or () if v["name"] not in names]
    for volume in names:
        claimed = {"claimName": f"{volume}-{name}"}
        volumes.append({"name": volume, "persistentVolumeClaim": claimed})
    pod["spec"] |= {"hostname": name, "subdomain": stateful_set["spec"].get("serviceName", "")}
    if volumes:
        pod["spec"]["volumes"] = volumes
    yield Create(pod)


def _claim(stateful_set: Object, template: Object, pod_name: str) -> Object:
    metadata = template["metadata"]
    labels = (stateful_set["spec"].get("selector") or {}).get("matchLabels") or {}
    key = ObjectKey(
        "",
        "PersistentVolumeClaim",
        stateful_set["metadata"]["namespace"],
        f"{metadata['name']}-{pod_name}",
    )
    return {
        "apiVersion": "v1",
        "kind": key.kind,
        "metadata": {
            "name": key.name,
            "namespace": key.namespace,
            "labels": {**(metadata.get("labels") or {}), **labels},
        },
        "spec": template.get("spec") or {},
    }


def _update(
    stateful_set: Object, pods: dict[int, Object], wanted: range, now: datetime
) -> Iterator[Write]:
    """Remove the highest pod of an old revision; what makes missing pods gives it the new one."""
    strategy = stateful_set["spec"].get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return
    partition = int((strategy.get("rollingUpdate") or {}).get("partition") or 0)
    for ordinal in reversed(wanted):
        pod = pods.get(ordinal)
        if ordinal - wanted.start < partition or pod is None:
            return
        if _revision_of(pod) != _revision_name(stateful_set):
            yield Remove(key_of(pod))
            return
        if not _well(stateful_set, pod, now):
            return


def _revision_of(pod: Object) -> str:
    return str((pod["metadata"].get("labels") or {}).get(REVISION_LABEL, ""))


def _status(stateful_set: Object, pods: dict[int, Object], available: int, current: str) -> Object:
    update = _revision_name(stateful_set)
    updated = sum(_revision_of(pod) == update for pod in pods.values())
    ready = sum(map(is_ready, pods.values()))
    everywhere = updated == len(pods) == replicas_of(stateful_set) == ready
    on_current = sum(_revision_of(pod) == current for pod in pods.values())
    if everywhere:
        current, on_current = update, updated
    counts = {
        "readyReplicas": ready,
        "currentReplicas": on_current,
        "updatedReplicas": updated,
    }
    return {
        "observedGeneration": stateful_set["metadata"].get("generation", 1),
        "replicas": len(pods),
        "availableReplicas": available,
        "currentRevision": current,
        "updateRevision": update,
        "collisionCount": 0,
        **{name: count for name, count in counts.items() if count},
    }
