"""Defaults of the kinds that administrators and controllers write: volumes, drivers, policies.

As in `defaults`, which holds the kinds that people apply: functions that complete a private copy
in place and never overwrite a field that is set.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clusters.objects import Kind, Object
from clusters.simulation.server.pod_defaults import default_pod_template


def _pod_template(obj: Object) -> None:
    default_pod_template(obj["template"])


def _volume(obj: Object) -> None:
    spec = obj["spec"]
    spec.setdefault("volumeMode", "Filesystem")
    spec.setdefault("persistentVolumeReclaimPolicy", "Retain")
    if "hostPath" in spec:
        spec["hostPath"].setdefault("type", "")
    obj["status"].setdefault("phase", "Pending")


def _node(obj: Object) -> None:
    spec = obj["spec"]
    if spec.get("podCIDR"):
        spec.setdefault("podCIDRs", [spec["podCIDR"]])


def _endpoints(obj: Object) -> None:
    for subset in obj.get("subsets") or ():
        for port in subset.get("ports") or ():
            port.setdefault("protocol", "TCP")


def _endpoint_slice(obj: Object) -> None:
    for port in obj.get("ports") or ():
        port.setdefault("name", "")
        port.setdefault("protocol", "TCP")


def _ingress_class(obj: Object) -> None:
    parameters = obj["spec"].get("parameters")
    if parameters is not None:
        parameters["scope"] = parameters.get("scope") or "Cluster"


def _driver(obj: Object) -> None:
    spec = obj["spec"]
    spec.setdefault("attachRequired", True)
    spec.setdefault("fsGroupPolicy", "ReadWriteOnceWithFSType")
    for name in _OFF:
        spec.setdefault(name, False)
    spec.setdefault("volumeLifecycleModes", ["Persistent"])


_OFF = (
    "podInfoOnMount",
    "preventPodSchedulingIfMissing",
    "requiresRepublish",
    "seLinuxMount",
    "storageCapacity",
)


def _flow_schema(obj: Object) -> None:
    obj["spec"]["matchingPrecedence"] = obj["spec"].get("matchingPrecedence") or 1000


def _priority_level(obj: Object) -> None:
    limited = obj["spec"].get("limited")
    if limited is None:
        return
    limited.setdefault("lendablePercent", 0)
    if limited.get("nominalConcurrencyShares") is None:
        limited["nominalConcurrencyShares"] = 30
    queuing = limited["limitResponse"].get("queuing")
    for name, value in _QUEUES.items() if queuing is not None else ():
        queuing[name] = queuing.get(name) or value


_QUEUES = {"handSize": 8, "queueLengthLimit": 50, "queues": 64}


def _claim(obj: Object) -> None:
    _devices(obj["spec"])


def _claim_template(obj: Object) -> None:
    _devices(obj["spec"]["spec"])


def _devices(spec: dict[str, Any]) -> None:
    for request in (spec.get("devices") or {}).get("requests") or ():
        for wish in (request.get("exactly"), *(request.get("firstAvailable") or ())):
            if wish is not None and wish.setdefault("allocationMode", "ExactCount") == "ExactCount":
                wish.setdefault("count", 1)


def _policy(obj: Object) -> None:
    obj["spec"].setdefault("failurePolicy", "Fail")
    _match(obj["spec"].get("matchConstraints"))


def _policy_binding(obj: Object) -> None:
    _match(obj["spec"].get("matchResources"))


def _match(constraints: dict[str, Any] | None) -> None:
    if constraints is None:
        return
    constraints.setdefault("matchPolicy", "Equivalent")
    constraints.setdefault("namespaceSelector", {})
    constraints.setdefault("objectSelector", {})
    for group in ("resourceRules", "excludeResourceRules"):
        for rule in constraints.get(group) or ():
            rule.setdefault("scope", "*")


_ADMISSION = "admissionregistration.k8s.io"
_FLOW = "flowcontrol.apiserver.k8s.io"
ADMINISTERED: dict[Kind, Callable[[Object], None]] = {
    Kind("", "PodTemplate"): _pod_template,
    Kind("", "PersistentVolume"): _volume,
    Kind("", "Node"): _node,
    Kind("", "Endpoints"): _endpoints,
    Kind("discovery.k8s.io", "EndpointSlice"): _endpoint_slice,
    Kind("networking.k8s.io", "IngressClass"): _ingress_class,
    Kind("storage.k8s.io", "CSIDriver"): _driver,
    Kind(_FLOW, "FlowSchema"): _flow_schema,
    Kind(_FLOW, "PriorityLevelConfiguration"): _priority_level,
    Kind("resource.k8s.io", "ResourceClaim"): _claim,
    Kind("resource.k8s.io", "ResourceClaimTemplate"): _claim_template,
    Kind(_ADMISSION, "ValidatingAdmissionPolicy"): _policy,
    Kind(_ADMISSION, "ValidatingAdmissionPolicyBinding"): _policy_binding,
    Kind(_ADMISSION, "MutatingAdmissionPolicy"): _policy,
    Kind(_ADMISSION, "MutatingAdmissionPolicyBinding"): _policy_binding,
}
"""Kind → function that completes an object of it."""
