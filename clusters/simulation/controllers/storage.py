"""PersistentVolumeClaims and the volumes that they are bound to.

::

    no class named  ──► the default StorageClass, if there is one
    a volume that fits is there (its class, size, modes, labels, or its name) ──► bound to it
    class ""        ──► waits for such a volume
    a class, or no class at all ──► a volume of its own after a moment; with the binding mode
                        WaitForFirstConsumer, once a pod that uses the claim has its node

A claim that is deleted stays while a pod on some node uses it. When it is gone its volume goes too,
or is Released if it is to be retained. A pod does not start before its claims are bound (`pods`).

A class that is not there counts as one that provides at once: a person's repository names classes
that only the real cluster has.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from clusters.objects import Kind, Object, ObjectKey, key_of, kind_of, labels_of
from clusters.simulation.controllers.decision import (
    NOTHING,
    Create,
    Merge,
    Outcome,
    Remove,
    SetStatus,
    View,
    Write,
    after,
    selects,
    set_status,
)
from clusters.simulation.controllers.pods import POD, claims_of
from clusters.simulation.controllers.timing import seconds_for
from clusters.simulation.server.admission.protection import FINALIZERS
from clusters.simulation.server.quantities import amount_of

CLAIM = Kind("", "PersistentVolumeClaim")
VOLUME = Kind("", "PersistentVolume")
STORAGE_CLASS = Kind("storage.k8s.io", "StorageClass")
_BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
_BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
_DEFAULT = "storageclass.kubernetes.io/is-default-class"


def reconcile_claim(claim: Object, view: View, now: datetime) -> Outcome:
    """The class, the volume and the binding, each once it is due."""
    status = claim.get("status") or {}
    if claim["metadata"].get("deletionTimestamp"):
        return NOTHING if _is_used(claim, view) else _unprotected(claim)
    if status.get("phase") == "Bound":
        return NOTHING
    name = claim["spec"].get("storageClassName")
    default = _default_class(view) if name is None else None
    if default:
        return Outcome((Merge(key_of(claim), {"spec": {"storageClassName": default}}),))
    found = _fitting(claim, view)
    if found:
        return Outcome(_bind(claim, found))
    pending = set_status(claim, status | {"phase": "Pending"})
    due = None if name == "" or claim["spec"].get("volumeName") else _due(claim, view)
    if due is None or now < due:
        return Outcome(pending, due)
    volume = _volume(claim, view)
    return Outcome((Create(volume), *_bind(claim, volume)))


def reconcile_volume(volume: Object, view: View, now: datetime) -> Outcome:
    """A volume that no claim has is available, or goes if it is to."""
    if volume["metadata"].get("deletionTimestamp"):
        bound = (volume.get("status") or {}).get("phase") == "Bound"
        return NOTHING if bound else _unprotected(volume)
    if volume["spec"].get("claimRef"):
        return NOTHING
    return Outcome(set_status(volume, {"phase": "Available"}))


def forget_claim(claim: Object, view: View) -> Outcome:
    """A claim is gone: so is its volume, unless it is to be retained."""
    name = claim["spec"].get("volumeName", "")
    volume = view.peek(ObjectKey(*VOLUME, "", name)) if name else None
    if volume is None or not _is_claimed_by(volume, claim):
        return NOTHING
    released = set_status(volume, {"phase": "Released"})
    if volume["metadata"].get("deletionTimestamp"):
        return Outcome((*released, *_unprotected(volume).writes))
    if volume["spec"].get("persistentVolumeReclaimPolicy") == "Retain":
        return Outcome(released)
    return Outcome((*released, Remove(key_of(volume))))


def _is_used(claim: Object, view: View) -> bool:
    """Whether a pod on some node has the claim, whatever it does there."""
    pods = view.peek_all(POD, claim["metadata"]["namespace"])
    name = claim["metadata"]["name"]
    return any(pod["spec"].get("nodeName") and name in claims_of(pod) for pod in pods)


def _unprotected(obj: Object) -> Outcome:
    """Without the finalizer that kept it while it was in use."""
    finalizers = obj["metadata"].get("finalizers") or []
    rest = [name for name in finalizers if name != FINALIZERS[kind_of(obj)]]
    if rest == finalizers:
        return NOTHING
    return Outcome((Merge(key_of(obj), {"metadata": {"finalizers": rest}}),))


def _default_class(view: View) -> str | None:
    """The newest StorageClass that says that it is the default."""
    found = [
        obj
        for obj in view.peek_all(STORAGE_CLASS)
        if (obj["metadata"].get("annotations") or {}).get(_DEFAULT) == "true"
    ]
    newest = max(found, key=view.since, default=None)
    return newest["metadata"]["name"] if newest else None


def _class_of(claim: Object, view: View) -> Object:
    name = claim["spec"].get("storageClassName")
    return (view.peek(ObjectKey(*STORAGE_CLASS, "", name)) if name else None) or {}


def _due(claim: Object, view: View) -> datetime | None:
    """When a volume is made for the claim; `None` while it waits for a pod."""
    begun = view.since(claim)
    if _class_of(claim, view).get("volumeBindingMode") == "WaitForFirstConsumer":
        pods = view.peek_all(POD, claim["metadata"]["namespace"])
        name = claim["metadata"]["name"]
        users = [p for p in pods if p["spec"].get("nodeName") and name in claims_of(p)]
        if not users:
            return None
        begun = max(begun, min(map(view.since, users)))
    seconds = seconds_for(view.seed, claim["metadata"]["name"], view.timing.volume)
    return after(begun, seconds)


def _fitting(claim: Object, view: View) -> Object | None:
    """The smallest volume that is there for the claim."""
    found = [v for v in view.peek_all(VOLUME) if _fits(v, claim)]
    return min(found, key=lambda v: (_size(v), v["metadata"]["name"]), default=None)


def _fits(volume: Object, claim: Object) -> bool:
    spec, wanted = volume["spec"], claim["spec"]
    if volume["metadata"].get("deletionTimestamp"):
        return False
    if spec.get("claimRef") and not _is_claimed_by(volume, claim):
        return False
    name = wanted.get("volumeName")
    if name or spec.get("claimRef"):
        return bool(name in (None, "", volume["metadata"]["name"]))
    return (
        (spec.get("storageClassName") or "") == (wanted.get("storageClassName") or "")
        and set(wanted.get("accessModes") or ()) <= set(spec.get("accessModes") or ())
        and selects(wanted.get("selector"), labels_of(volume))
        and _size(volume) >= _amount((wanted.get("resources") or {}).get("requests"))
    )


def _is_claimed_by(volume: Object, claim: Object) -> bool:
    """Whether a volume is the claim's, or is kept for one of its name."""
    reference, metadata = volume["spec"].get("claimRef") or {}, claim["metadata"]
    same = all(reference.get(field) == metadata[field] for field in ("namespace", "name"))
    return same and reference.get("uid") in (None, "", metadata["uid"])


def _size(volume: Object) -> Decimal:
    return _amount(volume["spec"].get("capacity"))


def _amount(quantities: Any) -> Decimal:
    return amount_of(str((quantities or {}).get("storage", "0")))


def _reference(claim: Object) -> Object:
    metadata = {name: claim["metadata"][name] for name in ("name", "namespace", "uid")}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **metadata}


def _bind(claim: Object, volume: Object) -> tuple[Write, ...]:
    name = volume["metadata"]["name"]
    bound = {
        "phase": "Bound",
        "accessModes": volume["spec"].get("accessModes") or [],
        "capacity": volume["spec"].get("capacity") or {},
    }
    key = ObjectKey(*VOLUME, "", name)
    return (
        Merge(key, {"spec": {"claimRef": _reference(claim)}}),
        SetStatus(key, {"phase": "Bound"}),
        Merge(
            key_of(claim),
            {"metadata": {"annotations": _annotations(claim)}, "spec": {"volumeName": name}},
        ),
        SetStatus(key_of(claim), bound),
    )


def _annotations(claim: Object) -> dict[str, str]:
    """What a binding leaves on a claim."""
    chosen = {} if claim["spec"].get("volumeName") else {_BOUND_BY_CONTROLLER: "yes"}
    return {_BIND_COMPLETED: "yes", **chosen}


def _volume(claim: Object, view: View) -> Object:
    """A volume made for a claim."""
    spec, name = claim["spec"], f"pvc-{claim['metadata']['uid']}"
    made: Object = {
        "claimRef": _reference(claim),
        "accessModes": spec.get("accessModes") or ["ReadWriteOnce"],
        "capacity": (spec.get("resources") or {}).get("requests") or {},
        "persistentVolumeReclaimPolicy": _class_of(claim, view).get("reclaimPolicy", "Delete"),
        "storageClassName": spec.get("storageClassName", "standard"),
        "hostPath": {"path": f"/var/lib/sim/{name}"},
    }
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": made,
    }
