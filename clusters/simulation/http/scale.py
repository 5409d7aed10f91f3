"""The `scale` subresource: an `autoscaling/v1` Scale in the place of the workload.

Reads and writes `spec.replicas`, which is where every built-in kind keeps it; a custom kind with
other paths is read there too.
"""

from __future__ import annotations

from typing import Any

from clusters.objects import Object
from clusters.simulation.server.rejections import BadRequestError


def scale_of(obj: Object) -> Object:
    """The Scale of a workload."""
    metadata = obj["metadata"]
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    selector = spec.get("selector") or {}
    labels = selector.get("matchLabels", selector)
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        # Go leaves a wish for none out, but not the fact that there is none.
        "spec": {"replicas": spec["replicas"]} if spec.get("replicas") else {},
        "status": {
            "replicas": status.get("replicas", 0),
            "selector": ",".join(f"{key}={value}" for key, value in labels.items()),
        },
    }


def replicas_patch(scale: Any) -> Object:
    """The merge patch of the workload that a Scale asks for. Errors: `BadRequestError`."""
    spec = scale.get("spec") if isinstance(scale, dict) else None
    replicas = spec.get("replicas", 0) if isinstance(spec, dict) else None
    if not isinstance(replicas, int) or isinstance(replicas, bool) or replicas < 0:
        raise BadRequestError("spec.replicas of a Scale is a number that is not negative")
    patch: Object = {"spec": {"replicas": replicas}}
    version = (scale.get("metadata") or {}).get("resourceVersion")
    if version:
        patch["metadata"] = {"resourceVersion": version}
    return patch
