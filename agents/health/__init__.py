"""Does an object work? A table from kind to rule, after kstatus. Pure.

    assess(live)             by the object's own status
    assess(live, pods)       for workloads also by their pods: a crash loop shows at once
    assess(live, check=…)    by the rule that its bundle declares for the kind
    has_pods(kind)           is it a workload?
    wants_pods(live)         is the object's own status not enough?
    status_matters(kind)     can its health change without a change of its spec?
    overdue(found, …)        what progresses for too long is Degraded

Every kind that Kubernetes itself serves is in the table; custom resources are judged by their
conditions. `None` (no such object) is Missing. An object being deleted progresses. What it never
does: call a cluster, wait, or take Unknown for success.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from agents.health import resources, workloads
from agents.health.assessment import Assessment, degraded, progressing
from agents.health.declared import declared
from agents.health.workloads import pod_selector
from agents.protocol import Health, HealthCheck
from clusters.objects import Kind, Object, kind_of

__all__ = [
    "Assessment",
    "assess",
    "has_pods",
    "overdue",
    "pod_selector",
    "status_matters",
    "wants_pods",
]

Rule = Callable[[Object], Assessment]

_PRESENT = """
core ConfigMap Endpoints Event LimitRange PodTemplate ResourceQuota Secret ServiceAccount
admissionregistration.k8s.io MutatingWebhookConfiguration ValidatingWebhookConfiguration
admissionregistration.k8s.io ValidatingAdmissionPolicy ValidatingAdmissionPolicyBinding
admissionregistration.k8s.io MutatingAdmissionPolicy MutatingAdmissionPolicyBinding
apps ControllerRevision
authentication.k8s.io TokenReview SelfSubjectReview
authorization.k8s.io LocalSubjectAccessReview SelfSubjectAccessReview
authorization.k8s.io SelfSubjectRulesReview SubjectAccessReview
coordination.k8s.io Lease
discovery.k8s.io EndpointSlice
events.k8s.io Event
flowcontrol.apiserver.k8s.io PriorityLevelConfiguration
networking.k8s.io Ingress IngressClass IPAddress NetworkPolicy
node.k8s.io RuntimeClass
rbac.authorization.k8s.io ClusterRole ClusterRoleBinding Role RoleBinding
resource.k8s.io DeviceClass ResourceClaim ResourceClaimTemplate ResourceSlice
scheduling.k8s.io PriorityClass
storage.k8s.io CSIDriver CSINode CSIStorageCapacity StorageClass VolumeAttributesClass
"""
"""Kinds that work by being there: nobody reports on them, or not for whoever applied them."""

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
    Kind("certificates.k8s.io", "CertificateSigningRequest"): resources.signing_request,
    Kind("flowcontrol.apiserver.k8s.io", "FlowSchema"): resources.flow_schema,
    Kind("networking.k8s.io", "ServiceCIDR"): resources.custom,
    Kind("", "Node"): resources.custom,
    Kind("storage.k8s.io", "VolumeAttachment"): resources.volume_attachment,
} | {
    Kind("" if group == "core" else group, kind): resources.present
    for group, *kinds in (line.split() for line in _PRESENT.splitlines() if line)
    for kind in kinds
}
_BY_PODS = frozenset(
    {
        Kind("apps", "Deployment"),
        Kind("apps", "StatefulSet"),
        Kind("apps", "DaemonSet"),
        Kind("apps", "ReplicaSet"),
    }
)


def assess(
    live: Object | None, pods: Iterable[Object] = (), check: HealthCheck | None = None
) -> Assessment:
    """The health of one object; `pods` are those that its selector finds, if it is a workload."""
    if live is None:
        return Assessment(Health.MISSING, "is not there")
    if live["metadata"].get("deletionTimestamp"):
        held = ", ".join(live["metadata"].get("finalizers") or [])
        return progressing("is being deleted" + (f", held by {held}" if held else ""))
    if check is not None:
        return declared(check, live)
    kind = kind_of(live)
    own = _rule(kind)(live)
    return workloads.judge_pods(own, pods) if has_pods(kind) else own


def has_pods(kind: Kind) -> bool:
    """Is this a workload whose pods may say more than it does itself?"""
    return kind in _BY_PODS


def wants_pods(live: Object) -> bool:
    """Would the pods of this object say more than its own status does?"""
    return has_pods(kind_of(live)) and assess(live).health is Health.PROGRESSING


def status_matters(kind: Kind) -> bool:
    """Can the health of this kind change while its spec stays?"""
    return _rule(kind) is not resources.present


def overdue(found: Assessment, since: datetime, now: datetime, limit_seconds: float) -> Assessment:
    """What has been progressing since then, for longer than the limit, does not come by itself."""
    if found.health is not Health.PROGRESSING or (now - since).total_seconds() <= limit_seconds:
        return found
    return degraded(f"{found.message} (for more than {limit_seconds:g} s)")


def _rule(kind: Kind) -> Rule:
    return RULES.get(kind, resources.custom)
