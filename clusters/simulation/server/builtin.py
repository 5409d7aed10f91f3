"""The kinds that Kubernetes 1.37 serves out of the box, as one table shared by all servers.

A row is `group/version  Kind  plural  flags  short names`. Flags: `n` namespaced, `s` has a
status subresource, `c` has a scale subresource, `a` in the category "all", `g` counts spec
changes in metadata.generation. Versions of one kind stand together, the preferred one first.

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
v1  Namespace                 namespaces               s     ns
v1  ConfigMap                 configmaps               n     cm
v1  Secret                    secrets                  n
v1  Service                   services                 nsa   svc
v1  ServiceAccount            serviceaccounts          n     sa
v1  Pod                       pods                     nsag  po
v1  PodTemplate               podtemplates             n
v1  PersistentVolumeClaim     persistentvolumeclaims   ns    pvc
v1  PersistentVolume          persistentvolumes        s     pv
v1  Node                      nodes                    s     no
v1  Event                     events                   n     ev
v1  Endpoints                 endpoints                n     ep
v1  LimitRange                limitranges              n     limits
v1  ResourceQuota             resourcequotas           ns    quota
v1  ReplicationController     replicationcontrollers   nscag rc
apps/v1  Deployment           deployments              nscag deploy
apps/v1  StatefulSet          statefulsets             nscag sts
apps/v1  DaemonSet            daemonsets               nsag  ds
apps/v1  ReplicaSet           replicasets              nscag rs
apps/v1  ControllerRevision   controllerrevisions      n
batch/v1  Job                 jobs                     nsag
batch/v1  CronJob             cronjobs                 nsag  cj
autoscaling/v2  HorizontalPodAutoscaler  horizontalpodautoscalers  nsag  hpa
autoscaling/v1  HorizontalPodAutoscaler  horizontalpodautoscalers  nsag  hpa
policy/v1  PodDisruptionBudget  poddisruptionbudgets   nsg   pdb
networking.k8s.io/v1  Ingress        ingresses         nsg   ing
networking.k8s.io/v1  IngressClass   ingressclasses    g
networking.k8s.io/v1  NetworkPolicy  networkpolicies   ng    netpol
networking.k8s.io/v1  IPAddress      ipaddresses       -     ip
networking.k8s.io/v1  ServiceCIDR    servicecidrs      s
rbac.authorization.k8s.io/v1  Role                roles                n
rbac.authorization.k8s.io/v1  RoleBinding         rolebindings         n
rbac.authorization.k8s.io/v1  ClusterRole         clusterroles         -
rbac.authorization.k8s.io/v1  ClusterRoleBinding  clusterrolebindings  -
storage.k8s.io/v1  StorageClass           storageclasses            -  sc
storage.k8s.io/v1  VolumeAttachment       volumeattachments         s
storage.k8s.io/v1  VolumeAttributesClass  volumeattributesclasses   -  vac
storage.k8s.io/v1  CSIDriver              csidrivers                -
storage.k8s.io/v1  CSINode                csinodes                  -
storage.k8s.io/v1  CSIStorageCapacity     csistoragecapacities      n
scheduling.k8s.io/v1  PriorityClass  priorityclasses   -     pc
node.k8s.io/v1  RuntimeClass         runtimeclasses    -
coordination.k8s.io/v1  Lease        leases            n
discovery.k8s.io/v1  EndpointSlice   endpointslices    n
events.k8s.io/v1  Event              events            n     ev
certificates.k8s.io/v1  CertificateSigningRequest  certificatesigningrequests  s  csr
flowcontrol.apiserver.k8s.io/v1  FlowSchema  flowschemas  sg
flowcontrol.apiserver.k8s.io/v1  PriorityLevelConfiguration  prioritylevelconfigurations  sg
resource.k8s.io/v1  DeviceClass            deviceclasses           -g
resource.k8s.io/v1  ResourceClaim          resourceclaims          ns
resource.k8s.io/v1  ResourceClaimTemplate  resourceclaimtemplates  n
resource.k8s.io/v1  ResourceSlice          resourceslices          g
ADMISSION/v1  MutatingWebhookConfiguration      mutatingwebhookconfigurations      g
ADMISSION/v1  ValidatingWebhookConfiguration    validatingwebhookconfigurations    g
ADMISSION/v1  ValidatingAdmissionPolicy         validatingadmissionpolicies        sg
ADMISSION/v1  ValidatingAdmissionPolicyBinding  validatingadmissionpolicybindings  g
ADMISSION/v1  MutatingAdmissionPolicy           mutatingadmissionpolicies          g
ADMISSION/v1  MutatingAdmissionPolicyBinding    mutatingadmissionpolicybindings    g
apiextensions.k8s.io/v1    CustomResourceDefinition  customresourcedefinitions  sg  crd,crds
apiregistration.k8s.io/v1  APIService                apiservices  s
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

    @property
    def kind(self) -> Kind:
        """Group and kind."""
        return self.resource.kind


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
            verbs=VERBS,
            short_names=tuple(short[0].split(",")) if short else (),
            versions=(*known.resource.versions, version) if known else (version,),
        )
        table[kind] = KindTraits(
            resource=resource,
            has_status="s" in flags,
            has_scale="c" in flags,
            counts_generation="g" in flags,
            categories=("all",) if "a" in flags else (),
            storage_version=preferred,
            singular=kind_name.lower(),
        )
    return table


BUILT_IN: dict[Kind, KindTraits] = _read(_ROWS)
"""Every built-in kind. One table for the whole process; nothing writes to it."""
