"""The APIs that a Kubernetes release serves out of the box, from 1.25 on, and which are namespaced.

Helm's `.Capabilities.APIVersions` gets both `apps/v1` and `apps/v1/Deployment`, as a live cluster
gives them; `helm template` alone knows only the first. Custom kinds are not here: a cluster
declares them (`spec.apiVersions`), and a rendered CustomResourceDefinition says its own scope.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable

from clusters.objects.identity import Kind, Object, kind_of, split_api_version

NEWEST = "1.37.0"
"""What a cluster that declares no version is rendered for."""

# group/version, the first release that serves it, namespaced kinds | cluster-wide kinds.
_ROWS = """
v1 0 ConfigMap,Endpoints,Event,LimitRange,PersistentVolumeClaim,Pod,PodTemplate,ReplicationController,ResourceQuota,Secret,Service,ServiceAccount|Namespace,Node,PersistentVolume
admissionregistration.k8s.io/v1 0 |MutatingWebhookConfiguration,ValidatingWebhookConfiguration
admissionregistration.k8s.io/v1 30 |ValidatingAdmissionPolicy,ValidatingAdmissionPolicyBinding
admissionregistration.k8s.io/v1 36 |MutatingAdmissionPolicy,MutatingAdmissionPolicyBinding
apiextensions.k8s.io/v1 0 |CustomResourceDefinition
apiregistration.k8s.io/v1 0 |APIService
apps/v1 0 ControllerRevision,DaemonSet,Deployment,ReplicaSet,StatefulSet|
authentication.k8s.io/v1 0 |TokenReview
authentication.k8s.io/v1 28 |SelfSubjectReview
authorization.k8s.io/v1 0 LocalSubjectAccessReview|SelfSubjectAccessReview,SelfSubjectRulesReview,SubjectAccessReview
autoscaling/v1 0 HorizontalPodAutoscaler|
autoscaling/v2 0 HorizontalPodAutoscaler|
batch/v1 0 CronJob,Job|
certificates.k8s.io/v1 0 |CertificateSigningRequest
coordination.k8s.io/v1 0 Lease|
discovery.k8s.io/v1 0 EndpointSlice|
events.k8s.io/v1 0 Event|
flowcontrol.apiserver.k8s.io/v1 29 |FlowSchema,PriorityLevelConfiguration
networking.k8s.io/v1 0 Ingress,NetworkPolicy|IngressClass
networking.k8s.io/v1 33 |IPAddress,ServiceCIDR
node.k8s.io/v1 0 |RuntimeClass
policy/v1 0 PodDisruptionBudget|
rbac.authorization.k8s.io/v1 0 Role,RoleBinding|ClusterRole,ClusterRoleBinding
resource.k8s.io/v1 34 ResourceClaim,ResourceClaimTemplate|DeviceClass,ResourceSlice
scheduling.k8s.io/v1 0 |PriorityClass
storage.k8s.io/v1 0 CSIStorageCapacity|CSIDriver,CSINode,StorageClass,VolumeAttachment
storage.k8s.io/v1 34 |VolumeAttributesClass
"""  # noqa: E501


@functools.cache
def built_in_apis(version: str = NEWEST) -> tuple[str, ...]:
    """`group/version` and `group/version/Kind` of a release (`1.30`, `v1.37.1`), sorted."""
    minor = _minor(version)
    found: set[str] = set()
    for api_version, since, namespaced, cluster_wide in _rows():
        if since <= minor:
            found.add(api_version)
            found.update(f"{api_version}/{kind}" for kind in (*namespaced, *cluster_wide))
    return tuple(sorted(found))


def namespaced_kinds(objects: Iterable[Object] = ()) -> dict[Kind, bool]:
    """Is a kind namespaced? Built-in kinds, and those that CRDs among `objects` define."""
    found = dict(_scopes())
    for obj in objects:
        if kind_of(obj) == Kind("apiextensions.k8s.io", "CustomResourceDefinition"):
            spec = obj.get("spec")
            if isinstance(spec, dict) and isinstance(spec.get("names"), dict):
                kind = Kind(str(spec.get("group")), str(spec["names"].get("kind")))
                found[kind] = spec.get("scope") == "Namespaced"
    return found


@functools.cache
def _scopes() -> dict[Kind, bool]:
    found: dict[Kind, bool] = {}
    for api_version, _, namespaced, cluster_wide in _rows():
        group = split_api_version(api_version)[0]
        found |= {Kind(group, kind): True for kind in namespaced}
        found |= {Kind(group, kind): False for kind in cluster_wide}
    return found


@functools.cache
def _rows() -> tuple[tuple[str, int, list[str], list[str]], ...]:
    rows = []
    for line in _ROWS.strip().splitlines():
        api_version, since, kinds = line.split(" ")
        namespaced, cluster_wide = kinds.split("|")
        rows.append(
            (
                api_version,
                int(since),
                [kind for kind in namespaced.split(",") if kind],
                [kind for kind in cluster_wide.split(",") if kind],
            )
        )
    return tuple(rows)


def _minor(version: str) -> int:
    """The second number; the newest release's if there is none."""
    parts = version.removeprefix("v").split(".")
    digits = "".join(c for c in parts[1] if c.isdigit()) if len(parts) > 1 else ""
    return int(digits) if digits else _minor(NEWEST)
