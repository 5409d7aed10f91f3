"""PersistentVolumeClaim: bound to a volume of its own after a moment; the volume goes with it.

Any storage class will do: a person's repository names classes that only the real cluster has.
"""

from __future__ import annotations

from datetime import datetime

from clusters.objects import Object, ObjectKey, key_of
from clusters.simulation.controllers.decision import (
    NOTHING,
    Create,
    Merge,
    Outcome,
    Remove,
    SetStatus,
    View,
    after,
    set_status,
)
from clusters.simulation.controllers.timing import seconds_for


def reconcile_claim(claim: Object, view: View, now: datetime) -> Outcome:
    """The volume and the binding, once they are due."""
    status = claim.get("status") or {}
    if claim["metadata"].get("deletionTimestamp") or status.get("phase") == "Bound":
        return NOTHING
    due = after(
        view.since(claim),
        seconds_for(view.seed, claim["metadata"]["name"], view.timing.volume),
    )
    if now < due:
        return Outcome(set_status(claim, status | {"phase": "Pending"}), due)
    volume = _volume_name(claim)
    bound = {
        "phase": "Bound",
        "accessModes": claim["spec"].get("accessModes") or ["ReadWriteOnce"],
        "capacity": (claim["spec"].get("resources") or {}).get("requests") or {},
    }
    persistent = _volume(claim, volume, bound)
    return Outcome(
        (
            Create(persistent),
            SetStatus(key_of(persistent), {"phase": "Bound"}),
            Merge(key_of(claim), {"spec": {"volumeName": volume}}),
            SetStatus(key_of(claim), bound),
        )
    )


def forget_claim(claim: Object, view: View) -> Outcome:
    """A claim is gone: its volume is deleted, as dynamic provisioning does by default."""
    volume = ObjectKey("", "PersistentVolume", "", _volume_name(claim))
    return Outcome((Remove(volume),)) if view.peek(volume) else NOTHING


def _volume_name(claim: Object) -> str:
    return f"pvc-{claim['metadata']['uid']}"


def _volume(claim: Object, name: str, bound: Object) -> Object:
    metadata = claim["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "accessModes": bound["accessModes"],
            "capacity": bound["capacity"],
            "claimRef": {"apiVersion": "v1", "kind": "PersistentVolumeClaim"}
            | {field: metadata[field] for field in ("name", "namespace", "uid")},
            "persistentVolumeReclaimPolicy": "Delete",
            "storageClassName": claim["spec"].get("storageClassName", "standard"),
            "hostPath": {"path": f"/var/lib/sim/{name}"},
        },
    }
