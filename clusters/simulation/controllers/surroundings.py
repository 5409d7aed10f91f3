"""What a cluster has without being asked: its nodes.

Also the kinds whose status others wait for: an APIService is available when the Service behind it
has endpoints, a PodDisruptionBudget counts its pods.
"""

from __future__ import annotations

from datetime import datetime

from clusters.objects import Object, ObjectKey, labels_of
from clusters.simulation.controllers.decision import (
    Outcome,
    View,
    condition,
    selects,
    set_status,
)
from clusters.simulation.controllers.pods import POD, is_ready
from clusters.simulation.controllers.workloads import share_of


def node_object(name: str) -> Object:
    """A node as its kubelet registers it."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/arch": "amd64",
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
            },
        },
        "spec": {},
    }


def reconcile_node(node: Object, view: View, now: datetime) -> Outcome:
    """A node is ready from the start."""
    room = {"cpu": "64", "memory": "256Gi", "pods": "1000", "ephemeral-storage": "1Ti"}
    ready = condition(node.get("status") or {}, "Ready", "True", now, "KubeletReady")
    return Outcome(
        set_status(
            node,
            {
                "capacity": room,
                "allocatable": room,
                "conditions": [ready],
                "addresses": [{"type": "Hostname", "address": node["metadata"]["name"]}],
                "nodeInfo": {"kubeletVersion": "v1.37.0", "operatingSystem": "linux"},
            },
        )
    )


def reconcile_api_service(api_service: Object, view: View, now: datetime) -> Outcome:
    """Available if it is local or its Service has endpoints."""
    behind = api_service["spec"].get("service")
    reason, well = "Local", True
    if behind:
        key = ObjectKey("", "Endpoints", behind.get("namespace", ""), behind.get("name", ""))
        endpoints = view.peek(key) or {}
        well = any(subset.get("addresses") for subset in endpoints.get("subsets") or ())
        reason = "Passed" if well else "MissingEndpoints"
    old = api_service.get("status") or {}
    available = condition(old, "Available", str(well), now, reason)
    return Outcome(set_status(api_service, {"conditions": [available]}))


def reconcile_budget(budget: Object, view: View, now: datetime) -> Outcome:
    """How many pods of a PodDisruptionBudget may go."""
    namespace = budget["metadata"]["namespace"]
    selector = budget["spec"].get("selector")
    found = view.peek_all(POD, namespace)
    pods = [pod for pod in found if selector is not None and selects(selector, labels_of(pod))]
    healthy, expected = sum(map(is_ready, pods)), len(pods)
    desired = _desired_healthy(budget["spec"], expected)
    allowed = max(0, healthy - desired) if expected else 0
    reason = "SufficientPods" if allowed else "InsufficientPods"
    old = budget.get("status") or {}
    status = {
        "observedGeneration": budget["metadata"].get("generation", 1),
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "disruptionsAllowed": allowed,
        "expectedPods": expected,
        "conditions": [condition(old, "DisruptionAllowed", str(allowed > 0), now, reason)],
    }
    return Outcome(set_status(budget, status))


def _desired_healthy(spec: Object, expected: int) -> int:
    if "maxUnavailable" in spec:
        return max(0, expected - share_of(spec["maxUnavailable"], expected, round_up=True))
    return share_of(spec.get("minAvailable", 1), expected, round_up=True)
