"""The claims of a StatefulSet's pods: made from templates, kept or let go by the retention policy.

::

    persistentVolumeClaimRetentionPolicy   whenDeleted: Delete ──► the set owns the claim
                                           whenScaled: Delete  ──► a pod that is scaled away owns it

What an owner's going takes along is the garbage collector's business.
"""

from __future__ import annotations

from collections.abc import Iterator

from clusters.objects import Object, ObjectKey, key_of
from clusters.simulation.controllers.decision import (
    Create,
    Merge,
    View,
    Write,
    owner_reference,
)


def claim_writes(stateful_set: Object, pod: Object, view: View) -> Iterator[Write]:
    """The claims of a pod that stays: those to make, and those to give to the set or to nobody."""
    owners = [owner_reference(stateful_set)] if _policy(stateful_set, "whenDeleted") else []
    for wanted in _claims(stateful_set, pod["metadata"]["name"]):
        live = view.peek(key_of(wanted))
        if live is None:
            if owners:
                wanted["metadata"]["ownerReferences"] = owners
            yield Create(wanted)
        else:
            yield from _own(stateful_set, pod, live, owners)


def release_writes(stateful_set: Object, pod: Object, view: View) -> Iterator[Write]:
    """The claims of a pod that is scaled away: they go with it if the policy says so."""
    set_owns = _policy(stateful_set, "whenDeleted")
    owners = [owner_reference(stateful_set)] if set_owns else []
    if _policy(stateful_set, "whenScaled"):
        owners = [owner_reference(pod)]
    for wanted in _claims(stateful_set, pod["metadata"]["name"]):
        live = view.peek(key_of(wanted))
        if live is not None:
            yield from _own(stateful_set, pod, live, owners)


def pod_volumes(stateful_set: Object, pod: Object) -> list[Object]:
    """A pod's volumes, with those that its claims stand for."""
    templates = stateful_set["spec"].get("volumeClaimTemplates") or ()
    names = [template["metadata"]["name"] for template in templates]
    claimed = [
        {
            "name": name,
            "persistentVolumeClaim": {"claimName": f"{name}-{pod['metadata']['name']}"},
        }
        for name in names
    ]
    return [*claimed, *(v for v in pod["spec"].get("volumes") or () if v["name"] not in names)]


def _policy(stateful_set: Object, when: str) -> bool:
    """Whether claims are to be deleted then."""
    policy = stateful_set["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    return bool(policy.get(when) == "Delete")


def _own(stateful_set: Object, pod: Object, claim: Object, owners: list[Object]) -> Iterator[Write]:
    """Give a claim these owners in the place of the set and the pod; others stay."""
    before = claim["metadata"].get("ownerReferences") or []
    ours = {stateful_set["metadata"]["uid"], pod["metadata"].get("uid")}
    others = [reference for reference in before if reference["uid"] not in ours]
    if any(reference.get("controller") for reference in others):
        owners = []
    if before != [*others, *owners]:
        yield Merge(key_of(claim), {"metadata": {"ownerReferences": [*others, *owners]}})


def _claims(stateful_set: Object, pod_name: str) -> list[Object]:
    templates = stateful_set["spec"].get("volumeClaimTemplates") or ()
    return [_claim(stateful_set, template, pod_name) for template in templates]


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
