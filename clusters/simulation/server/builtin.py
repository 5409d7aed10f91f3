"""The kinds that Kubernetes 1.37 serves out of the box, as one table shared by all servers.

A row is `group/version  Kind  plural  flags  short names`. Flags: `n` namespaced, `s` has a
status subresource, `c` has a scale subresource, `a` in the category "all", `x` in
"api-extensions", `g` counts spec changes in metadata.generation, `d` a delete answers with the
object, `u` an update may create.
Versions of one kind stand together, the preferred one first.

Never lists kinds that store nothing (reviews, bindings, evictions): nothing reads them back.
"""

from __future__ import annotations

from dataclasses import dataclass

from clusters.cluster import Resource
from clusters.objects import Kind, split_api_version

VERBS = frozenset(
    ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
)

_ADMISSION = "admissionregistration.k8s.io"
_ROWS = """
v1  Namespace                 namespaces               sd     ns
v1  ConfigMap                 configmaps               n     cm
v1  Secret                    secrets                  n
v1  Service                   services                 nsadu   svc
v1  ServiceAccount            serviceaccounts          nd     sa
v1  Pod                       pods                     nsagd  po
v1  PodTemplate               podtemplates             ngd
v1  PersistentVolumeClaim     persistentvolumeclaims   nsd    pvc
v1  PersistentVolume          persistentvolumes        sd     pv
v1  Node                      nodes                    s     no
v1  Event                     events                   nu     ev
v1  Endpoints                 endpoints                nu     ep
v1  LimitRange                limitranges              nu     limits
v1  ResourceQuota             resourcequotas           nsd    quota
v1  ReplicationController     replicationcontrollers   nscag rc
apps/v1  Deployment           deployments              nscag deploy
apps/v1  StatefulSet          statefulsets             nscag sts
apps/v1  DaemonSet            daemonsets               nsag  ds
apps/v1  ReplicaSet           replicasets              nscag rs
apps/v1  ControllerRevision   controllerrevisions      n
batch/v1  Job                 jobs                     nsag
batch/v1  CronJob             cronjobs                 nsag  cj
autoscaling/v2  HorizontalPodAutoscaler  horizontalpodautoscalers  nsag hpa
autoscaling/v1  HorizontalPodAutoscaler  horizontalpodautoscalers  nsag hpa
policy/v1  PodDisruptionBudget  poddisruptionbudgets   nsg   pdb
networking.k8s.io/v1  Ingress        ingresses         nsg   ing
networking.k8s.io/v1  IngressClass   ingressclasses    g
networking.k8s.io/v1  NetworkPolicy  networkpolicies   ng    netpol
networking.k8s.io/v1  IPAddress      ipaddresses       -     ip
networking.k8s.io/v1  ServiceCIDR    servicecidrs      s
rbac.authorization.k8s.io/v1  Role                roles                nu
rbac.authorization.k8s.io/v1  RoleBinding         rolebindings         nu
rbac.authorization.k8s.io/v1  ClusterRole         clusterroles         u
rbac.authorization.k8s.io/v1  ClusterRoleBinding  clusterrolebindings  u
storage.k8s.io/v1  StorageClass           storageclasses            d  sc
storage.k8s.io/v1  VolumeAttachment       volumeattachments         sd
storage.k8s.io/v1  VolumeAttributesClass  volumeattributesclasses   d  vac
storage.k8s.io/v1  CSIDriver              csidrivers                d
storage.k8s.io/v1  CSINode                csinodes                  d
storage.k8s.io/v1  CSIStorageCapacity     csistoragecapacities      n
scheduling.k8s.io/v1  PriorityClass  priorityclasses   g     pc
node.k8s.io/v1  RuntimeClass         runtimeclasses    u
coordination.k8s.io/v1  Lease        leases            nu
discovery.k8s.io/v1  EndpointSlice   endpointslices    ng
events.k8s.io/v1  Event              events            nu     ev
certificates.k8s.io/v1  CertificateSigningRequest  certificatesigningrequests  s  csr
flowcontrol.apiserver.k8s.io/v1  FlowSchema  flowschemas  sg
flowcontrol.apiserver.k8s.io/v1  PriorityLevelConfiguration  prioritylevelconfigurations  sg
resource.k8s.io/v1  DeviceClass            deviceclasses           gd
resource.k8s.io/v1  ResourceClaim          resourceclaims          nsd
resource.k8s.io/v1  ResourceClaimTemplate  resourceclaimtemplates  nd
resource.k8s.io/v1  ResourceSlice          resourceslices          gd
ADMISSION/v1  MutatingWebhookConfiguration      mutatingwebhookconfigurations      gx
ADMISSION/v1  ValidatingWebhookConfiguration    validatingwebhookconfigurations    gx
ADMISSION/v1  ValidatingAdmissionPolicy         validatingadmissionpolicies        sgx
ADMISSION/v1  ValidatingAdmissionPolicyBinding  validatingadmissionpolicybindings  gx
ADMISSION/v1  MutatingAdmissionPolicy           mutatingadmissionpolicies          gx
ADMISSION/v1  MutatingAdmissionPolicyBinding    mutatingadmissionpolicybindings    gx
apiextensions.k8s.io/v1  CustomResourceDefinition  customresourcedefinitions  sgx  crd,crds
apiregistration.k8s.io/v1  APIService                apiservices  sx
"""


@dataclass(frozen=True, slots=True)
class KindTraits:
    """One kind as served, and how the server treats its objects."""

    resource: Resource
    has_status: bool
    has_scale: bool
    counts_generation: bool
    categories: tuple[str, ...] = ()
    storage_version: str = ""
    """The version that objects are kept in; reads in another are converted."""
    singular: str = ""
    custom: bool = False
    answers_deleted: bool = False
    """Whether a delete that is complete answers with the object, not with a Status."""
    created_by_update: bool = False
    """Whether a PUT of what is not there makes it."""

    replica_paths: tuple[str, ...] = ()
    """Where a custom kind keeps the numbers that its scale shows."""

    @property
    def kind(self) -> Kind:
        """Group and kind."""
        return self.resource.kind


_NAMESPACE = Kind("", "Namespace")
_CATEGORIES = {"a": "all", "x": "api-extensions"}


def _read(rows: str) -> dict[Kind, KindTraits]:
    table: dict[Kind, KindTraits] = {}
    for row in rows.split("\n"):
        if not row.strip():
            continue
        api_version, kind_name, plural, flags, *short = row.split()
        group, version = split_api_version(api_version.replace("ADMISSION", _ADMISSION))
        kind = Kind(group, kind_name)
        known = table.get(kind)
        preferred = known.resource.version if known else version
        resource = Resource(
            kind=kind,
            version=preferred,
            plural=plural,
            namespaced="n" in flags,
            verbs=VERBS - {"deletecollection"} if kind == _NAMESPACE else VERBS,
            short_names=tuple(short[0].split(",")) if short else (),
            versions=(*known.resource.versions, version) if known else (version,),
        )
        table[kind] = KindTraits(
            resource=resource,
            has_status="s" in flags,
            has_scale="c" in flags,
            counts_generation="g" in flags,
            categories=tuple(name for flag, name in _CATEGORIES.items() if flag in flags),
            storage_version=preferred,
            singular=kind_name.lower(),
            answers_deleted="d" in flags,
            created_by_update="u" in flags,
        )
    return table


BUILT_IN: dict[Kind, KindTraits] = _read(_ROWS)
"""Every built-in kind. One table for the whole process; nothing writes to it."""
_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")
_EVENT = (*(f"involvedObject.{name}" for name in _INVOLVED), "reason", "type")
SELECTABLE: dict[Kind, tuple[str, ...]] = {
    Kind("", "Pod"): (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.nominatedNodeName",
    ),
    Kind("", "Event"): (*_EVENT, "reportingComponent", "source"),
    Kind("events.k8s.io", "Event"): _EVENT,
    Kind("", "Namespace"): ("status.phase",),
    Kind("", "Node"): ("spec.unschedulable",),
    Kind("", "ReplicationController"): ("status.replicas",),
    Kind("", "Secret"): ("type",),
    Kind("", "Service"): ("spec.clusterIP", "spec.type"),
    Kind("apps", "ReplicaSet"): ("status.replicas",),
    Kind("batch", "Job"): ("status.successful",),
    Kind("certificates.k8s.io", "CertificateSigningRequest"): ("spec.signerName",),
    Kind("resource.k8s.io", "ResourceSlice"): ("spec.nodeName", "spec.driver"),
}
"""The fields of built-in kinds by which field selectors can ask, beside name and namespace."""
