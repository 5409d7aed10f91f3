"""The revisions of a Deployment: its ReplicaSets, numbered and annotated as Kubernetes does it.

A ReplicaSet carries its Deployment's annotations (what `kubectl rollout undo` brings back), its
revision, the revisions that it was before it came back, and the numbers as of its last scaling.

Never decides how many replicas a ReplicaSet has, except a first one.
"""

from __future__ import annotations

from clusters.objects import Object
from clusters.simulation.controllers.decision import owner_reference
from clusters.simulation.controllers.rollover import Limits
from clusters.simulation.controllers.workloads import template_hash

REVISION = "deployment.kubernetes.io/revision"
HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED = "deployment.kubernetes.io/desired-replicas"
MOST = "deployment.kubernetes.io/max-replicas"
HASH_LABEL = "pod-template-hash"
_OWN = (
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MOST,
    "deprecated.deployment.rollback.to",
)


def annotations_of(obj: Object) -> dict[str, str]:
    """An object's annotations."""
    return obj["metadata"].get("annotations") or {}


def revision_of(obj: Object) -> int:
    """The revision that a Deployment or ReplicaSet says it is; 0 if it says none."""
    return int(annotations_of(obj).get(REVISION, 0))


def number_of(replica_set: Object, name: str) -> int | None:
    """One of the numbers `DESIRED` and `MOST`, `None` if it is not there."""
    text = annotations_of(replica_set).get(name, "")
    return int(text) if text.isdecimal() else None


def sizes(limits: Limits) -> dict[str, str]:
    """The annotations of a ReplicaSet that is scaled."""
    return {DESIRED: str(limits.desired), MOST: str(limits.desired + limits.surge)}


def first_of(sets: list[Object], deployment: Object) -> Object | None:
    """The ReplicaSet of a Deployment's present template."""
    digest = template_hash(deployment)
    return next((s for s in sets if s["metadata"]["labels"].get(HASH_LABEL) == digest), None)


def new_replica_set(deployment: Object, old: list[Object], replicas: int, limits: Limits) -> Object:
    """The ReplicaSet for a template that there is none for."""
    spec, template, digest = (
        deployment["spec"],
        deployment["spec"]["template"],
        template_hash(deployment),
    )
    metadata = template.get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), HASH_LABEL: digest}
    selector = dict(spec["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: digest}
    revision = max(map(revision_of, old), default=0) + 1
    made: Object = {
        "replicas": replicas,
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
            "annotations": {**_copied(deployment), REVISION: str(revision), **sizes(limits)},
            "ownerReferences": [owner_reference(deployment)],
        },
        "spec": made,
    }


def brought_up_to_date(deployment: Object, new: Object, old: list[Object]) -> Object:
    """The merge patch that makes an existing ReplicaSet the newest; empty if it is."""
    before, wanted = annotations_of(new), dict(annotations_of(new))
    wanted |= _copied(deployment)
    highest = max(map(revision_of, old), default=0)
    if revision_of(new) <= highest:
        past = [wanted[name] for name in (HISTORY, REVISION) if wanted.get(name)]
        if past:
            wanted[HISTORY] = ",".join(past)
        wanted[REVISION] = str(highest + 1)
    changed = {name: value for name, value in wanted.items() if before.get(name) != value}
    patch: Object = {"metadata": {"annotations": changed}} if changed else {}
    seconds = deployment["spec"].get("minReadySeconds", 0)
    if new["spec"].get("minReadySeconds", 0) != seconds:
        patch["spec"] = {"minReadySeconds": seconds}
    return patch


def _copied(deployment: Object) -> dict[str, str]:
    return {k: v for k, v in annotations_of(deployment).items() if k not in _OWN}
