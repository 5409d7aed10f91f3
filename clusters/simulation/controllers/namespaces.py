"""Namespace: what a new one has without being asked, and what holds one that is to go.

A new namespace gets the account `default` and the cluster's CA. One that is deleted goes at once,
with all that is in it, unless finalizers hold something: then its conditions say what, as
`kubectl describe namespace` shows it, until the last of it is released.

Never removes anything: that is the server's business (`server.deletion`).
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from clusters.objects import Object, ObjectKey
from clusters.simulation.controllers.decision import (
    Create,
    Outcome,
    View,
    condition,
    set_status,
)

_WELL = {
    "NamespaceDeletionDiscoveryFailure": (
        "ResourcesDiscovered",
        "All resources successfully discovered",
    ),
    "NamespaceDeletionGroupVersionParsingFailure": (
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ),
    "NamespaceDeletionContentFailure": (
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ),
    "NamespaceContentRemaining": ("ContentRemoved", "All content successfully removed"),
    "NamespaceFinalizersRemaining": (
        "ContentHasNoFinalizers",
        "All content-preserving finalizers finished",
    ),
}


def reconcile_namespace(namespace: Object, view: View, now: datetime) -> Outcome:
    """What is missing in it, or what still holds it."""
    if namespace["metadata"].get("deletionTimestamp"):
        return _held(namespace, view, now)
    name = namespace["metadata"]["name"]
    return Outcome(
        tuple(
            Create(obj)
            for obj in _belongings(name)
            if view.peek(ObjectKey("", obj["kind"], name, obj["metadata"]["name"])) is None
        )
    )


def _belongings(name: str) -> tuple[Object, ...]:
    return (
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": name},
        },
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "kube-root-ca.crt", "namespace": name},
            "data": {"ca.crt": "a simulated cluster has no CA\n"},
        },
    )


def _held(namespace: Object, view: View, now: datetime) -> Outcome:
    kinds: Counter[str] = Counter()
    finalizers: Counter[str] = Counter()
    for resource, obj in view.content(namespace["metadata"]["name"]):
        kinds[resource] += 1
        finalizers.update(obj["metadata"].get("finalizers") or ())
    troubles = {
        "NamespaceContentRemaining": (
            "SomeResourcesRemain",
            "Some resources are remaining: ",
            [f"{name} has {number} resource instances" for name, number in kinds.items()],
        ),
        "NamespaceFinalizersRemaining": (
            "SomeFinalizersRemain",
            "Some content in the namespace has finalizers remaining: ",
            [f"{name} in {number} resource instances" for name, number in finalizers.items()],
        ),
    }
    old, conditions = namespace.get("status") or {}, []
    for type_, well in _WELL.items():
        reason, text, items = troubles.get(type_, ("", "", []))
        why = (reason, text + ", ".join(sorted(items))) if items else well
        conditions.append(condition(old, type_, str(bool(items)), now, *why))
    return Outcome(set_status(namespace, old | {"conditions": conditions}))
