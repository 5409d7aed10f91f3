"""Storage object in use protection: a new claim or volume gets a finalizer.

The controllers take it away from one that is to go as soon as no pod, or no claim, has it.
"""

from __future__ import annotations

from clusters.objects import Kind, Object
from clusters.simulation.server.admission.attributes import Attributes
from clusters.simulation.server.state import State

FINALIZERS = {
    Kind("", "PersistentVolumeClaim"): "kubernetes.io/pvc-protection",
    Kind("", "PersistentVolume"): "kubernetes.io/pv-protection",
}


def protect(state: State, attributes: Attributes) -> Object:
    """The claim or volume with its finalizer."""
    obj = attributes.object
    assert obj is not None
    finalizers = obj["metadata"].get("finalizers") or []
    wanted = FINALIZERS[attributes.key.kind_key]
    if not attributes.creates or wanted in finalizers:
        return obj
    return {**obj, "metadata": {**obj["metadata"], "finalizers": [*finalizers, wanted]}}
