"""Does an object work? A table from kind to rule, after kstatus. Pure.

    assess(live)             by the object's own status
    assess(live, pods)       for workloads also by their pods: a crash loop shows at once
    wants_pods(live)         is the object's own status not enough?
    status_matters(kind)     can its health change without a change of its spec?

`None` (no such object) is Missing. An object being deleted progresses. Kinds that Kubernetes
itself serves and that have no rule work by being there; custom resources are judged by their
conditions. What it never does: call a cluster, wait, or take Unknown for success.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from agents.health import resources, workloads
from agents.health.assessment import Assessment, progressing
from agents.health.workloads import pod_selector
from agents.protocol import Health
from clusters.objects import Kind, Object, kind_of

__all__ = ["Assessment", "assess", "pod_selector", "status_matters", "wants_pods"]

Rule = Callable[[Object], Assessment]

RULES: dict[Kind, Rule] = {
    Kind("apps", "Deployment"): workloads.deployment,
    Kind("apps", "StatefulSet"): workloads.stateful_set,
    Kind("apps", "DaemonSet"): workloads.daemon_set,
    Kind("apps", "ReplicaSet"): workloads.replica_set,
    Kind("", "ReplicationController"): workloads.replica_set,
    Kind("", "Pod"): workloads.pod,
    Kind("batch", "Job"): workloads.job,
    Kind("batch", "CronJob"): workloads.cron_job,
    Kind("", "PersistentVolumeClaim"): resources.volume_claim,
    Kind("", "PersistentVolume"): resources.volume,
    Kind("", "Service"): resources.service,
    Kind("", "Namespace"): resources.namespace,
    Kind("policy", "PodDisruptionBudget"): resources.disruption_budget,
    Kind("autoscaling", "HorizontalPodAutoscaler"): resources.autoscaler,
    Kind("apiextensions.k8s.io", "CustomResourceDefinition"): resources.crd,
    Kind("apiregistration.k8s.io", "APIService"): resources.api_service,
}
_BY_PODS = frozenset(
    {
        Kind("apps", "Deployment"),
        Kind("apps", "StatefulSet"),
        Kind("apps", "DaemonSet"),
        Kind("apps", "ReplicaSet"),
    }
)
_PRESENT_GROUPS = frozenset(
    {
        "",
        "admissionregistration.k8s.io",
        "apps",
        "batch",
        "coordination.k8s.io",
        "discovery.k8s.io",
        "networking.k8s.io",
        "node.k8s.io",
        "policy",
        "rbac.authorization.k8s.io",
        "scheduling.k8s.io",
        "storage.k8s.io",
    }
)


def assess(live: Object | None, pods: Iterable[Object] = ()) -> Assessment:
    """The health of one object; `pods` are those that its selector finds, if it is a workload."""
    if live is None:
        return Assessment(Health.MISSING, "is not there")
    if live["metadata"].get("deletionTimestamp"):
        held = ", ".join(live["metadata"].get("finalizers") or [])
        return progressing("is being deleted" + (f", held by {held}" if held else ""))
    kind = kind_of(live)
    own = _rule(kind)(live)
    return workloads.judge_pods(own, pods) if kind in _BY_PODS else own


def wants_pods(live: Object) -> bool:
    """Would the pods of this object say more than its own status does?"""
    return kind_of(live) in _BY_PODS and assess(live).health is Health.PROGRESSING


def status_matters(kind: Kind) -> bool:
    """Can the health of this kind change while its spec stays?"""
    return _rule(kind) is not resources.present


def _rule(kind: Kind) -> Rule:
    fallback = resources.present if kind.group in _PRESENT_GROUPS else resources.custom
    return RULES.get(kind, fallback)
