"""Service: its endpoints follow the pods that it selects, and a load balancer gets an address.

Both forms of endpoints are written, as Kubernetes does: an EndpointSlice, which the Service
controls, and the older Endpoints of the Service's own name. A pod that is not ready is listed as
such. A Service without a selector is left to whoever made it so.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from clusters.objects import Kind, Object, ObjectKey, key_of, labels_of
from clusters.simulation.controllers.decision import (
    NOTHING,
    Create,
    Merge,
    Outcome,
    Remove,
    View,
    Write,
    after,
    merge_patch,
    owner_reference,
    set_status,
)
from clusters.simulation.controllers.pods import POD, is_ready, phase_of
from clusters.simulation.controllers.timing import seconds_for, short_hash

SERVICE = Kind("", "Service")


def reconcile_service(service: Object, view: View, now: datetime) -> Outcome:
    """Endpoints to make or change, and the address of a load balancer."""
    if service["metadata"].get("deletionTimestamp"):
        return NOTHING
    address = _address(service, view, now)
    selector = service["spec"].get("selector")
    if not selector or service["spec"].get("type") == "ExternalName":
        return address
    pods = [pod for pod in _selected(service, view) if phase_of(pod) == "Running"]
    writes = (*_write(_slice(service, pods), view), *_write(_endpoints(service, pods), view))
    return Outcome((*writes, *address.writes), address.again_at)


def forget_service(service: Object, view: View) -> Outcome:
    """A Service is gone: so are its Endpoints, which nothing owns."""
    metadata = service["metadata"]
    endpoints = ObjectKey("", "Endpoints", metadata["namespace"], metadata["name"])
    return Outcome((Remove(endpoints),)) if view.peek(endpoints) else NOTHING


def matches(service: Object, labels: dict[str, str]) -> bool:
    """Whether a Service selects pods with these labels."""
    selector: dict[str, str] = (service.get("spec") or {}).get("selector") or {}
    return bool(selector) and selector.items() <= labels.items()


def reconcile_ingress(ingress: Object, view: View, now: datetime) -> Outcome:
    """The address of an Ingress, as if an ingress controller were there."""
    return _load_balancer(ingress, view, now)


def _address(service: Object, view: View, now: datetime) -> Outcome:
    if service["spec"].get("type") != "LoadBalancer":
        return NOTHING
    return _load_balancer(service, view, now)


def _load_balancer(obj: Object, view: View, now: datetime) -> Outcome:
    name = f"{obj['metadata'].get('namespace')}/{obj['metadata']['name']}"
    due = after(view.since(obj), seconds_for(view.seed, name, view.timing.load_balancer))
    status = obj.get("status") or {}
    if (status.get("loadBalancer") or {}).get("ingress"):
        return NOTHING
    if now < due:
        return Outcome((), due)
    number = int(seconds_for(view.seed, name, (1.0, 255.0)))
    balancer = {"ingress": [{"ip": f"203.0.113.{number}"}]}
    return Outcome(set_status(obj, status | {"loadBalancer": balancer}))


def _selected(service: Object, view: View) -> list[Object]:
    pods = view.peek_all(POD, service["metadata"]["namespace"])
    found = [pod for pod in pods if matches(service, labels_of(pod))]
    return sorted(found, key=lambda pod: str(pod["metadata"]["name"]))


def _write(wanted: Object, view: View) -> tuple[Write, ...]:
    """Make the object, or change what differs from it."""
    key = key_of(wanted)
    live = view.peek(key)
    if live is None:
        return (Create(wanted),)
    names = ("endpoints", "ports") if key.kind == "EndpointSlice" else ("subsets",)
    before = {name: live[name] for name in names if name in live}
    patch = merge_patch(before, {name: wanted[name] for name in names if name in wanted})
    return (Merge(key, patch),) if patch else ()


def _slice(service: Object, pods: list[Object]) -> Object:
    metadata = service["metadata"]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"{metadata['name']}-{short_hash(metadata['name'], 5)}",
            "namespace": metadata["namespace"],
            "labels": {
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                "kubernetes.io/service-name": metadata["name"],
            },
            "ownerReferences": [owner_reference(service)],
        },
        "addressType": "IPv4",
        "endpoints": [_endpoint(pod) for pod in pods],
        # Readers of slices, kubectl among them, count on a name, even an empty one.
        "ports": [{"name": "", **_port(port, pods)} for port in service["spec"].get("ports") or ()],
    }


def _endpoint(pod: Object) -> Object:
    ready = is_ready(pod)
    return {
        "addresses": [pod["status"]["podIP"]],
        "conditions": {"ready": ready, "serving": ready, "terminating": False},
        "nodeName": pod["spec"]["nodeName"],
        "targetRef": _reference(pod),
    }


def _endpoints(service: Object, pods: list[Object]) -> Object:
    ports = [_port(port, pods) for port in service["spec"].get("ports") or ()]
    groups = {
        "addresses": [_subset_address(pod) for pod in pods if is_ready(pod)],
        "notReadyAddresses": [_subset_address(pod) for pod in pods if not is_ready(pod)],
    }
    filled: Object = {name: group for name, group in groups.items() if group}
    wanted: Object = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {name: service["metadata"][name] for name in ("name", "namespace")},
    }
    return wanted | {"subsets": [filled | {"ports": ports}]} if filled else wanted


def _subset_address(pod: Object) -> Object:
    return {
        "ip": pod["status"]["podIP"],
        "nodeName": pod["spec"]["nodeName"],
        "targetRef": _reference(pod),
    }


def _reference(pod: Object) -> Object:
    metadata = pod["metadata"]
    return {"kind": "Pod"} | {name: metadata[name] for name in ("name", "namespace", "uid")}


def _port(port: Object, pods: list[Object]) -> Object:
    """A Service's port as its pods serve it: a name is looked up in the first pod."""
    target: Any = port.get("targetPort", port["port"])
    if isinstance(target, str):
        containers = pods[0]["spec"].get("containers") or () if pods else ()
        named = (p for c in containers for p in c.get("ports") or () if p.get("name") == target)
        target = next((p["containerPort"] for p in named), port["port"])
    entry: Object = {"port": target, "protocol": port.get("protocol", "TCP")}
    return entry | ({"name": port["name"]} if "name" in port else {})
