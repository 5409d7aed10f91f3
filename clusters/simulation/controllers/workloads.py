"""What the workload controllers share: pods from templates, revisions, availability.

A template's hash names its revision, as in Kubernetes: equal templates give equal names, so a
`git revert` finds the old ReplicaSet. Names of pods are the first free ones in an order that
depends on the owner's name alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from clusters.objects import Object, ObjectKey, canonical_bytes
from clusters.simulation.controllers.decision import (
    View,
    after,
    condition_of,
    owner_reference,
    read_stamp,
)
from clusters.simulation.controllers.pods import is_ready
from clusters.simulation.controllers.scheduling import NODE, node_for
from clusters.simulation.controllers.timing import short_hash


def template_hash(workload: Object) -> str:
    """The revision of a workload's pod template."""
    return short_hash(canonical_bytes(workload["spec"]["template"]))


def replicas_of(workload: Object) -> int:
    """`spec.replicas`, 1 if it is not set."""
    replicas = workload["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)


def share_of(value: Any, total: int, *, round_up: bool) -> int:
    """`25%` or `3` of a total, as a number of pods."""
    if isinstance(value, str) and value.endswith("%"):
        part = total * int(value[:-1]) / 100
        return math.ceil(part) if round_up else math.floor(part)
    return int(value)


def pod_of(owner: Object, name: str, view: View, labels: dict[str, str], node: str = "") -> Object:
    """A pod from the owner's template, on `node` or on the one that the hash of its name gives."""
    template = owner["spec"]["template"]
    metadata = template.get("metadata") or {}
    spec = dict(template.get("spec") or {})
    chosen = node or node_for(spec, view.peek_all(NODE), name)
    if chosen:
        spec["nodeName"] = chosen
    made: Object = {
        "name": name,
        "namespace": owner["metadata"]["namespace"],
        "labels": {**(metadata.get("labels") or {}), **labels},
        "ownerReferences": [owner_reference(owner)],
    }
    if metadata.get("annotations"):
        made["annotations"] = dict(metadata["annotations"])
    return {"apiVersion": "v1", "kind": "Pod", "metadata": made, "spec": spec}


def free_names(owner: Object, view: View, prefix: str = "") -> Iterator[str]:
    """Names for new pods of an owner, those in use left out; endless.

    They begin with `prefix`, or with the owner's name.
    """
    prefix, namespace = prefix or owner["metadata"]["name"], owner["metadata"]["namespace"]
    number = 0
    while True:
        name = f"{prefix}-{short_hash(f'{prefix}/{number}', 5)}"
        if view.peek(ObjectKey("", "Pod", namespace, name)) is None:
            yield name
        number += 1


def available_at(pod: Object, min_ready_seconds: int) -> datetime | None:
    """When a pod counts (or will count) as available; `None` if it is not even ready."""
    if not is_ready(pod):
        return None
    ready = condition_of(pod["status"], "Ready") or {}
    return after(read_stamp(ready["lastTransitionTime"]), min_ready_seconds)


def count_available(pods: list[Object], seconds: int, now: datetime) -> tuple[int, datetime | None]:
    """How many pods are available, and when the next one will be."""
    moments = [moment for moment in (available_at(p, seconds) for p in pods) if moment]
    later = [moment for moment in moments if moment > now]
    return len(moments) - len(later), min(later, default=None)
