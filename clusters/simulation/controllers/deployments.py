"""Deployment: one ReplicaSet for each revision of its template, and a status that tells progress.

A template that comes back finds its old ReplicaSet, which then gets the highest revision. More
than `revisionHistoryLimit` empty ReplicaSets are removed, the oldest first. While it is paused,
only the number of replicas is kept.

Condition `Progressing` is False with reason `ProgressDeadlineExceeded` when nothing got better
for `progressDeadlineSeconds`; a later success makes it True again.
"""

from __future__ import annotations

from datetime import datetime

from clusters.objects import Object, key_of
from clusters.simulation.controllers.decision import (
    NOTHING,
    Create,
    Merge,
    Outcome,
    Remove,
    View,
    Write,
    after,
    condition,
    condition_of,
    owner_reference,
    read_stamp,
    set_status,
    stamp,
)
from clusters.simulation.controllers.rollover import Group, limits_of, recreate, roll
from clusters.simulation.controllers.workloads import replicas_of, template_hash

REVISION = "deployment.kubernetes.io/revision"
HASH_LABEL = "pod-template-hash"
_SETTLED = ("NewReplicaSetAvailable", "ProgressDeadlineExceeded")


def reconcile_deployment(deployment: Object, view: View, now: datetime) -> Outcome:
    """ReplicaSets to make, scale or remove, and the status."""
    if deployment["metadata"].get("deletionTimestamp"):
        return NOTHING
    sets = view.children(deployment, "ReplicaSet")
    digest = template_hash(deployment)
    new = next((s for s in sets if s["metadata"]["labels"].get(HASH_LABEL) == digest), None)
    old = [s for s in sets if s is not new]
    paused = bool(deployment["spec"].get("paused"))
    writes: tuple[Write, ...] = ()
    if new is None and not paused:
        writes += (Create(_replica_set(deployment, digest, sets)),)
    elif new is not None:
        writes += (*_revisions(deployment, new, old), *_scale(deployment, new, old, paused))
        writes += _history(deployment, old)
    status, again_at = _status(deployment, new, sets, now)
    return Outcome((*writes, *set_status(deployment, status)), again_at)


def _revision(obj: Object) -> int:
    return int((obj["metadata"].get("annotations") or {}).get(REVISION, 0))


def _replica_set(deployment: Object, digest: str, sets: list[Object]) -> Object:
    spec, template = deployment["spec"], deployment["spec"]["template"]
    metadata = template.get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), HASH_LABEL: digest}
    selector = dict(spec["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: digest}
    made: Object = {
        "replicas": 0 if sets else replicas_of(deployment),
        "selector": selector,
        "template": {**template, "metadata": {**metadata, "labels": labels}},
    }
    if spec.get("minReadySeconds"):
        made["minReadySeconds"] = spec["minReadySeconds"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{deployment['metadata']['name']}-{digest}",
            "namespace": deployment["metadata"]["namespace"],
            "labels": labels,
            "annotations": {REVISION: str(max(map(_revision, sets), default=0) + 1)},
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": made,
    }


def _revisions(deployment: Object, new: Object, old: list[Object]) -> tuple[Write, ...]:
    """The new ReplicaSet has the highest revision, and the Deployment says which that is."""
    highest = max(map(_revision, old), default=0)
    revision = _revision(new) if _revision(new) > highest else highest + 1
    patch = {"metadata": {"annotations": {REVISION: str(revision)}}}
    return tuple(
        Merge(key_of(obj), patch) for obj in (new, deployment) if _revision(obj) != revision
    )


def _scale(deployment: Object, new: Object, old: list[Object], paused: bool) -> tuple[Write, ...]:
    groups, limits = [_group(s) for s in old], limits_of(deployment)
    if paused:
        rest = limits.desired - sum(group.wanted for group in groups)
        changes = {_group(new).name: max(0, rest)}
    elif (deployment["spec"].get("strategy") or {}).get("type") == "Recreate":
        changes = recreate(_group(new), groups, limits.desired)
    else:
        changes = roll(_group(new), groups, limits)
    return tuple(
        Merge(key_of(s), {"spec": {"replicas": changes[s["metadata"]["name"]]}})
        for s in (new, *old)
        if changes.get(s["metadata"]["name"], replicas_of(s)) != replicas_of(s)
    )


def _group(replica_set: Object) -> Group:
    status = replica_set.get("status") or {}
    return Group(
        name=replica_set["metadata"]["name"],
        wanted=replicas_of(replica_set),
        present=int(status.get("replicas", 0)),
        available=int(status.get("availableReplicas", 0)),
    )


def _history(deployment: Object, old: list[Object]) -> tuple[Write, ...]:
    limit = deployment["spec"].get("revisionHistoryLimit", 10)
    empty = [s for s in old if not replicas_of(s) and not (s.get("status") or {}).get("replicas")]
    surplus = sorted(empty, key=_revision)[: max(0, len(empty) - int(limit))]
    return tuple(Remove(key_of(s)) for s in surplus)


def _sum(sets: list[Object], field: str) -> int:
    return sum(int((s.get("status") or {}).get(field, 0)) for s in sets)


def _status(
    deployment: Object, new: Object | None, sets: list[Object], now: datetime
) -> tuple[Object, datetime | None]:
    available = _sum(sets, "availableReplicas")
    counts: Object = {
        "replicas": _sum(sets, "replicas"),
        "updatedReplicas": _sum([new], "replicas") if new else 0,
        "readyReplicas": _sum(sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, sum(map(replicas_of, sets)) - available),
    }
    status = {name: count for name, count in counts.items() if count}
    status["observedGeneration"] = deployment["metadata"].get("generation", 1)
    progressing, again_at = _progressing(deployment, new, counts, now)
    status["conditions"] = [_available(deployment, available, now), progressing]
    return status, again_at


def _available(deployment: Object, available: int, now: datetime) -> Object:
    limits = limits_of(deployment)
    enough = available >= limits.desired - limits.unavailable
    reason = "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable"
    text = "has" if enough else "does not have"
    old = deployment.get("status") or {}
    entry = condition(
        old, "Available", str(enough), now, reason, f"Deployment {text} minimum availability."
    )
    before = condition_of(old, "Available")
    same = before is not None and before["status"] == entry["status"]
    entry["lastUpdateTime"] = before["lastUpdateTime"] if before and same else stamp(now)
    return entry


def _progressing(
    deployment: Object, new: Object | None, counts: Object, now: datetime
) -> tuple[Object, datetime | None]:
    """The condition, and when its deadline would pass."""
    old = deployment.get("status") or {}
    before = condition_of(old, "Progressing")
    name = new["metadata"]["name"] if new else ""
    if _complete(deployment, counts):
        text = f'ReplicaSet "{name}" has successfully progressed.'
        entry = condition(old, "Progressing", "True", now, "NewReplicaSetAvailable", text)
        same = before is not None and before["reason"] == entry["reason"]
        same = same and before is not None and before["message"] == text
        entry["lastUpdateTime"] = before["lastUpdateTime"] if before and same else stamp(now)
        return entry, None
    if before is None or _advanced(deployment, old, counts) or _began(deployment, before, old):
        reason = "ReplicaSetUpdated" if before else "NewReplicaSetCreated"
        text = f'ReplicaSet "{name}" is progressing.' if new else "Created new replica set"
        entry = condition(old, "Progressing", "True", now, reason, text)
        entry["lastUpdateTime"] = stamp(now)
        return entry, _deadline(deployment, entry)
    due = _deadline(deployment, before)
    if deployment["spec"].get("paused") or due is None or now < due:
        return before, due
    text = f'ReplicaSet "{name}" has timed out progressing.'
    entry = condition(old, "Progressing", "False", now, "ProgressDeadlineExceeded", text)
    same = before["reason"] == "ProgressDeadlineExceeded"
    entry["lastUpdateTime"] = before["lastUpdateTime"] if same else stamp(now)
    return entry, None


def _complete(deployment: Object, counts: Object) -> bool:
    desired = replicas_of(deployment)
    names = ("updatedReplicas", "replicas", "availableReplicas")
    return all(counts[name] == desired for name in names)


def _advanced(deployment: Object, old: Object, counts: Object) -> bool:
    """Whether anything got better since the status was written."""
    gained = any(
        counts[name] > int(old.get(name, 0))
        for name in ("updatedReplicas", "readyReplicas", "availableReplicas")
    )
    old_before = int(old.get("replicas", 0)) - int(old.get("updatedReplicas", 0))
    return gained or counts["replicas"] - counts["updatedReplicas"] < old_before


def _began(deployment: Object, before: Object, old: Object) -> bool:
    """Whether a new template came after the last one had settled, well or not."""
    settled = before["reason"] in _SETTLED
    generation = deployment["metadata"].get("generation", 1)
    return settled and bool(generation != old.get("observedGeneration"))


def _deadline(deployment: Object, progressing: Object) -> datetime | None:
    if progressing["reason"] in _SETTLED:
        return None  # one that was complete and lost a pod is not late
    seconds = deployment["spec"].get("progressDeadlineSeconds", 600)
    return after(read_stamp(progressing["lastUpdateTime"]), float(seconds))
