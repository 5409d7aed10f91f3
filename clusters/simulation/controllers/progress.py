"""The status of a Deployment: its counts, and the conditions that say how its rollout goes.

::

    Progressing   NewReplicaSetCreated ──► ReplicaSetUpdated ──► NewReplicaSetAvailable
                  nothing better for progressDeadlineSeconds ──► False, ProgressDeadlineExceeded
                  paused ──► Unknown, DeploymentPaused; resumed ──► Unknown, DeploymentResumed
    Available     whether no more pods are missing than the strategy allows
    ReplicaFailure  what a ReplicaSet could not do (a quota)

A Deployment that was complete and loses a pod is not late. One that was late and makes progress
again is forgiven.
"""

from __future__ import annotations

from datetime import datetime

from clusters.objects import Object
from clusters.simulation.controllers.decision import (
    after,
    condition,
    condition_of,
    read_stamp,
    stamp,
)
from clusters.simulation.controllers.rollover import limits_of
from clusters.simulation.controllers.workloads import replicas_of

_COMPLETE = "NewReplicaSetAvailable"
_LATE = "ProgressDeadlineExceeded"
_PAUSED = "DeploymentPaused"
_NO_DEADLINE = 2**31 - 1


def status_of(
    deployment: Object,
    new: Object | None,
    created: Object | None,
    sets: list[Object],
    now: datetime,
) -> tuple[Object, datetime | None]:
    """The status, and when its deadline would pass; `created` is a ReplicaSet just made."""
    old = deployment.get("status") or {}
    counts = _counts(deployment, new, sets)
    status = {name: count for name, count in counts.items() if count}
    status["terminatingReplicas"] = _sum(sets, "terminatingReplicas")
    if "collisionCount" in old:
        status["collisionCount"] = old["collisionCount"]
    progressing = _progressing(deployment, new, created, counts, now)
    conditions = [_available(deployment, counts["availableReplicas"], now), progressing]
    conditions.append(_failure(old, new, sets))
    status["conditions"] = [c for c in conditions if c is not None]
    due = _deadline(deployment, progressing) if not is_complete(deployment, counts) else None
    return status, due if due is not None and due > now else None


def create_error_status(deployment: Object, message: str, now: datetime) -> Object:
    """The status of a Deployment whose ReplicaSet the server refused."""
    old = deployment.get("status") or {}
    failed = _entry(old, "Progressing", "False", now, "ReplicaSetCreateError", message)
    rest = [c for c in old.get("conditions") or () if c["type"] != "Progressing"]
    return old | {"conditions": [*rest, failed]}


def is_complete(deployment: Object, status: Object) -> bool:
    """Whether all replicas are of the new template and available, and no others are there."""
    desired = replicas_of(deployment)
    names = ("updatedReplicas", "replicas", "availableReplicas")
    counted = all(status.get(name, 0) == desired for name in names)
    generation = deployment["metadata"].get("generation", 1)
    return counted and bool(status.get("observedGeneration", 0) >= generation)


def _counts(deployment: Object, new: Object | None, sets: list[Object]) -> Object:
    available = _sum(sets, "availableReplicas")
    return {
        "observedGeneration": deployment["metadata"].get("generation", 1),
        "replicas": _sum(sets, "replicas"),
        "updatedReplicas": _sum([new], "replicas") if new else 0,
        "readyReplicas": _sum(sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, sum(map(replicas_of, sets)) - available),
    }


def _sum(sets: list[Object], field: str) -> int:
    return sum(int((s.get("status") or {}).get(field, 0)) for s in sets)


def _entry(
    old: Object, type_: str, status: str, now: datetime, reason: str, message: str
) -> Object:
    """A condition that keeps its times while status and reason stay."""
    before = condition_of(old, type_)
    if before and (before["status"], before.get("reason")) == (status, reason):
        return before
    return condition(old, type_, status, now, reason, message) | {"lastUpdateTime": stamp(now)}


def _available(deployment: Object, available: int, now: datetime) -> Object:
    limits = limits_of(deployment)
    enough = available >= limits.desired - limits.unavailable
    reason = "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable"
    text = f"Deployment {'has' if enough else 'does not have'} minimum availability."
    return _entry(deployment.get("status") or {}, "Available", str(enough), now, reason, text)


def _failure(old: Object, new: Object | None, sets: list[Object]) -> Object | None:
    """What a ReplicaSet could not do, the new one's first."""
    ranked = [s for s in (new, *sets) if s is not None]
    found = (condition_of(s.get("status") or {}, "ReplicaFailure") for s in ranked)
    failure = next((c for c in found if c), None)
    if failure is None:
        return None
    before = condition_of(old, "ReplicaFailure")
    if before and before.get("reason") == failure.get("reason"):
        return before
    return failure | {"lastUpdateTime": failure["lastTransitionTime"]}


def _progressing(
    deployment: Object, new: Object | None, created: Object | None, counts: Object, now: datetime
) -> Object | None:
    """The condition Progressing; `None` for a Deployment without a deadline."""
    if _seconds(deployment) is None:
        return None
    old = deployment.get("status") or {}
    before = condition_of(old, "Progressing")
    pausing = _pausing(deployment, before)
    if pausing:
        reason, text = pausing
        return _entry(old, "Progressing", "Unknown", now, reason, text)
    if deployment["spec"].get("paused"):
        return before
    name = f'ReplicaSet "{new["metadata"]["name"]}"' if new else "Deployment"
    if created is not None:
        text = f'Created new replica set "{created["metadata"]["name"]}"'
        return _entry(old, "Progressing", "True", now, "NewReplicaSetCreated", text)
    if before is None and new is not None:
        text = f'Found new replica set "{new["metadata"]["name"]}"'
        return _entry(old, "Progressing", "True", now, "FoundNewReplicaSet", text)
    settled = before is not None and before["reason"] == _COMPLETE
    if before is None or (settled and counts["replicas"] == counts["updatedReplicas"]):
        return before
    if is_complete(deployment, counts):
        text = f"{name} has successfully progressed."
        return _entry(old, "Progressing", "True", now, _COMPLETE, text)
    if _advanced(old, counts):
        text = f"{name} is progressing."
        entry = condition(old, "Progressing", "True", now, "ReplicaSetUpdated", text)
        return entry | {"lastUpdateTime": stamp(now)}
    due = _deadline(deployment, before)
    if due is None or now < due:
        return before
    text = f"{name} has timed out progressing."
    return _entry(old, "Progressing", "False", now, _LATE, text)


def _pausing(deployment: Object, before: Object | None) -> tuple[str, str] | None:
    """Reason and message when the Deployment has just been paused or resumed."""
    reason = before["reason"] if before else ""
    paused = bool(deployment["spec"].get("paused"))
    if reason == _LATE or paused == (reason == _PAUSED):
        return None
    if paused:
        return _PAUSED, "Deployment is paused"
    return "DeploymentResumed", "Deployment is resumed"


def _advanced(old: Object, counts: Object) -> bool:
    """Whether anything got better since the status was written."""
    gained = any(
        counts[name] > int(old.get(name, 0))
        for name in ("updatedReplicas", "readyReplicas", "availableReplicas")
    )
    old_before = int(old.get("replicas", 0)) - int(old.get("updatedReplicas", 0))
    return gained or counts["replicas"] - counts["updatedReplicas"] < old_before


def _seconds(deployment: Object) -> float | None:
    seconds = deployment["spec"].get("progressDeadlineSeconds")
    return None if seconds in (None, _NO_DEADLINE) else float(seconds)


def _deadline(deployment: Object, progressing: Object | None) -> datetime | None:
    """When an unfinished rollout counts as late; `None` if it never will, or already does."""
    seconds = _seconds(deployment)
    if progressing is None or seconds is None or deployment["spec"].get("paused"):
        return None
    if progressing["reason"] in (_COMPLETE, _LATE):
        return None
    return after(read_stamp(progressing["lastUpdateTime"]), seconds)
