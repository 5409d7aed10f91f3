"""What the API server fills in for the built-in kinds and for custom kinds with defaults.

One table: kind → function that completes a private copy in place. A live object therefore has
more fields than what was applied, which is what drift detection has to cope with. A Service's
addresses are handed out by `addresses`, since they differ from object to object.

Never overwrites a field that is set, and never records an owner: defaults belong to nobody.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from clusters.objects import Kind, Object
from clusters.simulation.server.administration import ADMINISTERED
from clusters.simulation.server.copies import clone
from clusters.simulation.server.pod_defaults import default_pod, default_pod_template
from clusters.simulation.server.schema import Node


def set_defaults(kind: Kind, obj: Object) -> None:
    """Complete an object of a built-in kind in place; `obj` is the caller's own copy."""
    complete = _DEFAULTS.get(kind)
    if complete is not None:
        complete(obj)


def set_schema_defaults(value: Any, node: Node) -> None:
    """Fill in the `default`s that a custom kind's schema declares, in place."""
    if isinstance(value, dict):
        for name, inner in node.fields.items():
            if inner.default is not None and name not in value:
                value[name] = clone(inner.default)
        for name, item in value.items():
            set_schema_defaults(item, node.child(name) or Node(node.shape))
    elif isinstance(value, list):
        for item in value:
            set_schema_defaults(item, node.item())


def _namespace(obj: Object) -> None:
    name = obj["metadata"]["name"]
    obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = name
    obj.setdefault("status", {}).setdefault("phase", "Active")


def _secret(obj: Object) -> None:
    obj.setdefault("type", "Opaque")
    plain = obj.pop("stringData", None) or {}
    if plain:
        encoded = {key: base64.b64encode(text.encode()).decode() for key, text in plain.items()}
        obj["data"] = {**obj.get("data", {}), **encoded}


def _service(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("type", "ClusterIP")
    spec.setdefault("sessionAffinity", "None")
    if spec["sessionAffinity"] == "ClientIP":
        config = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        config.setdefault("timeoutSeconds", 10800)
    else:
        spec.pop("sessionAffinityConfig", None)
    for port in spec.get("ports", ()):
        port.setdefault("protocol", "TCP")
        port["targetPort"] = port.get("targetPort") or port["port"]
    if spec["type"] != "ExternalName":
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec["type"] in ("NodePort", "LoadBalancer") or (
        spec["type"] == "ClusterIP" and spec.get("externalIPs")
    ):
        spec.setdefault("externalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)
        for ingress in obj["status"]["loadBalancer"].get("ingress", ()):
            if ingress.get("ip"):
                ingress.setdefault("ipMode", "VIP")


def _pod(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    default_pod(spec)
    obj.setdefault("status", {}).setdefault("phase", "Pending")


def _deployment(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("progressDeadlineSeconds", 600)
    strategy = spec.setdefault("strategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxSurge", "25%")
        rolling.setdefault("maxUnavailable", "25%")
    default_pod_template(spec["template"])


def _stateful_set(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    spec.setdefault("revisionHistoryLimit", 10)
    spec.setdefault("podManagementPolicy", "OrderedReady")
    retention = spec.setdefault("persistentVolumeClaimRetentionPolicy", {})
    retention.setdefault("whenDeleted", "Retain")
    retention.setdefault("whenScaled", "Retain")
    strategy = spec["updateStrategy"]
    if "type" not in strategy:
        strategy["type"] = "RollingUpdate"
        strategy.setdefault("rollingUpdate", {})
    if strategy["type"] == "RollingUpdate" and "rollingUpdate" in strategy:
        strategy["rollingUpdate"].setdefault("partition", 0)
        strategy["rollingUpdate"].setdefault("maxUnavailable", 1)
    default_pod_template(spec["template"])
    for claim in spec.get("volumeClaimTemplates", ()):
        claim.setdefault("apiVersion", "v1")
        claim.setdefault("kind", "PersistentVolumeClaim")
        _claim(claim)


def _daemon_set(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("revisionHistoryLimit", 10)
    strategy = spec.setdefault("updateStrategy", {})
    if strategy.setdefault("type", "RollingUpdate") == "RollingUpdate":
        rolling = strategy.setdefault("rollingUpdate", {})
        rolling.setdefault("maxUnavailable", 1)
    for name in ("maxSurge", "maxUnavailable"):  # a strategy that is not followed has them too
        strategy.get("rollingUpdate", {}).setdefault(name, 0)
    default_pod_template(spec["template"])


def _replica_set(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("replicas", 1)
    default_pod_template(spec.get("template"))


def _replication_controller(obj: Object) -> None:
    _replica_set(obj)
    spec = obj["spec"]
    labels = (spec.get("template") or {}).get("metadata", {}).get("labels")
    if labels:
        spec.setdefault("selector", dict(labels))
        obj["metadata"].setdefault("labels", dict(labels))


def _job(obj: Object) -> None:
    spec = obj["spec"]
    _job_spec(spec)
    labels = spec["template"]["metadata"].get("labels")
    if labels:
        obj["metadata"].setdefault("labels", dict(labels))


def _job_spec(spec: dict[str, Any]) -> None:
    if "completions" not in spec and "parallelism" not in spec:
        spec["completions"] = 1
    spec.setdefault("parallelism", 1)
    spec.setdefault("backoffLimit", 2**31 - 1 if "backoffLimitPerIndex" in spec else 6)
    spec.setdefault("completionMode", "NonIndexed")
    spec.setdefault("suspend", False)
    spec.setdefault("manualSelector", False)
    failures = spec.get("podFailurePolicy")
    spec.setdefault("podReplacementPolicy", "Failed" if failures else "TerminatingOrFailed")
    for rule in (failures or {}).get("rules") or ():
        for pattern in rule.get("onPodConditions") or ():
            pattern["status"] = pattern.get("status") or "True"
    default_pod_template(spec["template"])


def _cron_job(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("concurrencyPolicy", "Allow")
    spec.setdefault("suspend", False)
    spec.setdefault("successfulJobsHistoryLimit", 3)
    spec.setdefault("failedJobsHistoryLimit", 1)
    default_pod_template(spec["jobTemplate"]["spec"]["template"])


def _claim(obj: Object) -> None:
    obj.setdefault("spec", {}).setdefault("volumeMode", "Filesystem")
    obj.setdefault("status", {}).setdefault("phase", "Pending")


def _limit_range(obj: Object) -> None:
    for item in (obj.get("spec") or {}).get("limits", ()):
        if item.get("type") != "Container":
            continue
        limits = {**item.get("max", {}), **item.get("default", {})}
        requests = {**item.get("min", {}), **limits, **item.get("defaultRequest", {})}
        item.update({k: v for k, v in (("default", limits), ("defaultRequest", requests)) if v})


def _autoscaler(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("minReplicas", 1)
    if not spec.get("metrics"):
        target = {"type": "Utilization", "averageUtilization": 80}
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": target}}]
    if "behavior" in spec:
        for name, rules in _SCALING_RULES.items():
            spec["behavior"][name] = {**clone(rules), **spec["behavior"].get(name, {})}


def _pace(kind: str, value: int) -> dict[str, Any]:
    return {"type": kind, "value": value, "periodSeconds": 15}


_SCALING_RULES: dict[str, dict[str, Any]] = {
    "scaleUp": {
        "stabilizationWindowSeconds": 0,
        "selectPolicy": "Max",
        "policies": [_pace("Pods", 4), _pace("Percent", 100)],
    },
    "scaleDown": {"selectPolicy": "Max", "policies": [_pace("Percent", 100)]},
}


def _network_policy(obj: Object) -> None:
    spec = obj["spec"]
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    for rule in (*spec.get("ingress", ()), *spec.get("egress", ())):
        for port in rule.get("ports", ()):
            port.setdefault("protocol", "TCP")


def _binding(obj: Object) -> None:
    obj["roleRef"]["apiGroup"] = obj["roleRef"]["apiGroup"] or "rbac.authorization.k8s.io"
    for subject in obj.get("subjects", ()):
        if subject.get("kind") in ("User", "Group"):
            subject.setdefault("apiGroup", "rbac.authorization.k8s.io")


def _storage_class(obj: Object) -> None:
    obj.setdefault("reclaimPolicy", "Delete")
    obj.setdefault("volumeBindingMode", "Immediate")


def _priority_class(obj: Object) -> None:
    obj.setdefault("preemptionPolicy", "PreemptLowerPriority")


def _validating_webhooks(obj: Object) -> None:
    for webhook in obj.get("webhooks", ()):
        webhook.setdefault("failurePolicy", "Fail")
        webhook.setdefault("matchPolicy", "Equivalent")
        webhook.setdefault("namespaceSelector", {})
        webhook.setdefault("objectSelector", {})
        webhook.setdefault("timeoutSeconds", 10)
        for rule in webhook.get("rules", ()):
            rule.setdefault("scope", "*")
        service = (webhook.get("clientConfig") or {}).get("service")
        if service is not None:
            service.setdefault("port", 443)


def _mutating_webhooks(obj: Object) -> None:
    _validating_webhooks(obj)
    for webhook in obj.get("webhooks", ()):
        webhook.setdefault("reinvocationPolicy", "Never")


def _custom_resource(obj: Object) -> None:
    spec = obj.setdefault("spec", {})
    spec.setdefault("conversion", {"strategy": "None"})
    names = spec.setdefault("names", {})
    kind = str(names.get("kind", ""))
    names.setdefault("singular", kind.lower())
    names.setdefault("listKind", f"{kind}List")


def _api_service(obj: Object) -> None:
    service = obj.get("spec", {}).get("service")
    if service is not None:
        service.setdefault("port", 443)


_RBAC = "rbac.authorization.k8s.io"
_ADMISSION = "admissionregistration.k8s.io"
_DEFAULTS: dict[Kind, Callable[[Object], None]] = {
    **ADMINISTERED,
    Kind("", "Namespace"): _namespace,
    Kind("", "Secret"): _secret,
    Kind("", "Service"): _service,
    Kind("", "Pod"): _pod,
    Kind("", "ReplicationController"): _replication_controller,
    Kind("", "PersistentVolumeClaim"): _claim,
    Kind("", "LimitRange"): _limit_range,
    Kind("apps", "Deployment"): _deployment,
    Kind("apps", "StatefulSet"): _stateful_set,
    Kind("apps", "DaemonSet"): _daemon_set,
    Kind("apps", "ReplicaSet"): _replica_set,
    Kind("batch", "Job"): _job,
    Kind("batch", "CronJob"): _cron_job,
    Kind("autoscaling", "HorizontalPodAutoscaler"): _autoscaler,
    Kind("networking.k8s.io", "NetworkPolicy"): _network_policy,
    Kind(_RBAC, "RoleBinding"): _binding,
    Kind(_RBAC, "ClusterRoleBinding"): _binding,
    Kind("storage.k8s.io", "StorageClass"): _storage_class,
    Kind("scheduling.k8s.io", "PriorityClass"): _priority_class,
    Kind(_ADMISSION, "ValidatingWebhookConfiguration"): _validating_webhooks,
    Kind(_ADMISSION, "MutatingWebhookConfiguration"): _mutating_webhooks,
    Kind("apiextensions.k8s.io", "CustomResourceDefinition"): _custom_resource,
    Kind("apiregistration.k8s.io", "APIService"): _api_service,
}
