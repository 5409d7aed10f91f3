"""Deployment: one ReplicaSet for each revision of its template, and a status that tells progress.

::

    deleted ──► status          paused ──► scale, status
    number changed ──► scale    else ──► RollingUpdate or Recreate

A template that comes back finds its old ReplicaSet, which then gets the highest revision. More
than `revisionHistoryLimit` old ReplicaSets are not kept: the oldest go, if they are empty. While
it is paused no template is rolled out, only the number of replicas is kept.
"""

from __future__ import annotations

from datetime import datetime

from clusters.objects import Object, key_of
from clusters.simulation.controllers.decision import (
    Create,
    Merge,
    Outcome,
    Remove,
    View,
    Write,
    set_status,
)
from clusters.simulation.controllers.pods import phase_of
from clusters.simulation.controllers.progress import (
    create_error_status,
    is_complete,
    status_of,
)
from clusters.simulation.controllers.revisions import (
    DESIRED,
    MOST,
    REVISION,
    brought_up_to_date,
    first_of,
    new_replica_set,
    number_of,
    revision_of,
    sizes,
)
from clusters.simulation.controllers.rollover import Group, limits_of, recreate, roll, spread
from clusters.simulation.controllers.workloads import replicas_of


def reconcile_deployment(deployment: Object, view: View, now: datetime) -> Outcome:
    """ReplicaSets to make, scale or remove, and the status."""
    sets = view.children(deployment, "ReplicaSet")
    new = first_of(sets, deployment)
    old = sorted((s for s in sets if s is not new), key=view.since)
    made: tuple[Write, ...] = ()
    writes: tuple[Write, ...] = ()
    if not deployment["metadata"].get("deletionTimestamp"):
        if new is None and _may_make(deployment, old, view):
            made = (_make(deployment, old),)
        writes = (*made, *_number(deployment, new, old))
        writes += _scale(deployment, new, old)
        writes += _clear_away(deployment, old)
    created = made[0].obj if made and isinstance(made[0], Create) else None
    status, again_at = status_of(deployment, new, created, sets, now)
    return Outcome((*writes, *set_status(deployment, status)), again_at)


def refused_deployment(deployment: Object, view: View, now: datetime, message: str) -> Outcome:
    """Its new ReplicaSet could not be made: the status says so."""
    if first_of(view.children(deployment, "ReplicaSet"), deployment):
        return Outcome()
    return Outcome(set_status(deployment, create_error_status(deployment, message, now)))


def _is_recreate(deployment: Object) -> bool:
    return bool((deployment["spec"].get("strategy") or {}).get("type") == "Recreate")


def _may_make(deployment: Object, old: list[Object], view: View) -> bool:
    """A paused Deployment starts nothing; with Recreate the old pods have to be gone first."""
    if deployment["spec"].get("paused"):
        return False
    if not _is_recreate(deployment):
        return not _is_scaled(deployment, old)
    pods = (pod for s in old for pod in view.children(s, "Pod"))
    alive = any(phase_of(pod) not in ("Succeeded", "Failed") for pod in pods)
    return not alive and not any(replicas_of(s) for s in old)


def _make(deployment: Object, old: list[Object]) -> Create:
    limits = limits_of(deployment)
    room = limits.desired + limits.surge - sum(map(replicas_of, old))
    replicas = max(0, min(limits.desired, room))
    return Create(new_replica_set(deployment, old, replicas, limits))


def _number(deployment: Object, new: Object | None, old: list[Object]) -> tuple[Write, ...]:
    """The new ReplicaSet has the highest revision, and the Deployment says which that is."""
    highest = max(map(revision_of, old), default=0)
    writes: list[Write] = []
    revision = highest + 1
    if new is not None:
        patch = brought_up_to_date(deployment, new, old)
        revision = max(revision, revision_of(new))
        writes += [Merge(key_of(new), patch)] if patch else []
    elif deployment["spec"].get("paused") or _is_scaled(deployment, old):
        return ()
    if revision_of(deployment) != revision:
        numbered = {"metadata": {"annotations": {REVISION: str(revision)}}}
        writes.append(Merge(key_of(deployment), numbered))
    return tuple(writes)


def _is_scaled(deployment: Object, sets: list[Object]) -> bool:
    """Whether the desired number has changed since the ReplicaSets were last scaled."""
    numbers = (number_of(s, DESIRED) for s in sets if replicas_of(s))
    return any(n is not None and n != replicas_of(deployment) for n in numbers)


def _scale(deployment: Object, new: Object | None, old: list[Object]) -> tuple[Write, ...]:
    sets = [s for s in (new, *old) if s is not None]
    scaled = bool(deployment["spec"].get("paused")) or _is_scaled(deployment, sets)
    if scaled:
        changes = _share_out(deployment, new, old)
    elif _is_recreate(deployment):
        changes = (
            recreate(_group(new), _groups(old), replicas_of(deployment)) if new else _empty(old)
        )
    else:
        changes = roll(_group(new), _groups(old), limits_of(deployment)) if new else {}
    marks = sizes(limits_of(deployment))
    return tuple(
        Merge(key_of(s), patch)
        for s in sets
        if (patch := _scaling(s, changes.get(s["metadata"]["name"]), marks, marked=scaled))
    )


def _scaling(
    replica_set: Object, replicas: int | None, marks: dict[str, str], *, marked: bool
) -> Object:
    """The patch that scales a ReplicaSet; in a scaling those with replicas are marked anyway."""
    patch: Object = {}
    changed = replicas is not None and replicas != replicas_of(replica_set)
    annotations = replica_set["metadata"].get("annotations") or {}
    marked = marked and bool(replicas_of(replica_set))
    if (changed or marked) and not marks.items() <= annotations.items():
        patch["metadata"] = {"annotations": marks}
    return patch | ({"spec": {"replicas": replicas}} if changed else {})


def _empty(old: list[Object]) -> dict[str, int]:
    return {s["metadata"]["name"]: 0 for s in old}


def _share_out(deployment: Object, new: Object | None, old: list[Object]) -> dict[str, int]:
    """Wanted replicas after a change of the desired number, or while paused."""
    limits = limits_of(deployment)
    active = [s for s in (new, *reversed(old)) if s is not None and replicas_of(s)]
    only = active[0] if len(active) == 1 else new or (old[-1] if old else None)
    if len(active) <= 1:
        return {only["metadata"]["name"]: limits.desired} if only else {}
    if new is not None and _is_saturated(new, limits.desired):
        return _empty(old)
    if _is_recreate(deployment):
        return {}
    present = int((deployment.get("status") or {}).get("replicas", 0))
    return spread(_groups(active), limits, present)


def _is_saturated(replica_set: Object, desired: int) -> bool:
    """Whether a ReplicaSet has all the replicas, and they are available."""
    available = int((replica_set.get("status") or {}).get("availableReplicas", 0))
    return number_of(replica_set, DESIRED) == replicas_of(replica_set) == available == desired


def _groups(sets: list[Object]) -> list[Group]:
    return [_group(s) for s in sets]


def _group(replica_set: Object) -> Group:
    status = replica_set.get("status") or {}
    return Group(
        name=replica_set["metadata"]["name"],
        wanted=replicas_of(replica_set),
        present=int(status.get("replicas", 0)),
        available=int(status.get("availableReplicas", 0)),
        most=number_of(replica_set, MOST) or 0,
    )


def _clear_away(deployment: Object, old: list[Object]) -> tuple[Write, ...]:
    """Old ReplicaSets beyond the limit, when a rollout is over or none is on."""
    if not is_complete(deployment, deployment.get("status") or {}) and not deployment["spec"].get(
        "paused"
    ):
        return ()
    limit = int(deployment["spec"].get("revisionHistoryLimit", 10))
    surplus = sorted(old, key=revision_of)[: max(0, len(old) - limit)]
    return tuple(Remove(key_of(s)) for s in surplus if _is_empty(s))


def _is_empty(replica_set: Object) -> bool:
    status = replica_set.get("status") or {}
    seen = status.get("observedGeneration", 0) >= replica_set["metadata"].get("generation", 1)
    return seen and not replicas_of(replica_set) and not status.get("replicas")
