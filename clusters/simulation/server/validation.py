"""What makes an object wrong, beyond its schema: names, labels, and what its kind asks for.

`validate` gives causes, all of them at once, as Kubernetes does. It sees the object after
defaults. Field paths and words follow the real server's, since people search for them. The
rules of the kinds are in `rules`; what a custom kind's schema asks of values is in `custom_values`.

Never shows a Secret's values. Never evaluates CEL rules.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable

from clusters.objects import Kind, Object
from clusters.simulation.server.builtin import BUILT_IN
from clusters.simulation.server.names import (
    LABEL_WORDS,
    SUBDOMAIN_WORDS,
    is_label,
    is_subdomain,
    label_causes,
    qualified_causes,
)
from clusters.simulation.server.rejections import (
    Cause,
    hidden,
    required,
    unsupported,
    wrong,
)
from clusters.simulation.server.rules import (
    access,
    limits,
    networking,
    pods,
    storage,
    workloads,
)

_PATH_NAMED = "rbac.authorization.k8s.io"
_MAX_ANNOTATIONS = 256 * 1024
_METADATA_LAST = Kind("policy", "PodDisruptionBudget")
_ANY_FINALIZER = (_METADATA_LAST, Kind("coordination.k8s.io", "Lease"))
"""The built-in kinds that Kubernetes does not ask for a finalizer's prefix; no custom one is."""
_STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
_DATA_KEY = re.compile(r"^[-._a-zA-Z0-9]+$")
_DATA_KEY_WORDS = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',"
    "  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)


def validate(kind: Kind, obj: Object, *, made: bool = True) -> list[Cause]:
    """Everything wrong with an object that is `made`, or changed; empty if nothing is."""
    rules = _RULES.get(kind)
    causes = list(rules(obj)) if rules is not None else []
    if not causes or kind != _METADATA_LAST:  # of this kind, metadata is looked at last
        causes = [*metadata_causes(kind, obj), *causes]
    settled = () if made else _SETTLED.get(kind, ())
    return [cause for cause in causes if not cause.field.startswith(settled)] if settled else causes


def allocation_causes(kind: Kind, obj: Object, live: Object | None) -> list[Cause]:
    """What cannot be handed out of what an object asks for; nothing else is looked at then."""
    return list(networking.allocation_causes(obj, live)) if kind == Kind("", "Service") else []


def metadata_causes(kind: Kind, obj: Object) -> list[Cause]:
    """What is wrong with an object's metadata, which also a write of its status checks."""
    return list(_metadata(kind, obj))


_SETTLED = {
    Kind("batch", "Job"): ("spec.template.metadata.labels[",),
    Kind("apps", "StatefulSet"): ("spec.volumeClaimTemplates[",),
    Kind("scheduling.k8s.io", "PriorityClass"): ("value", "preemptionPolicy"),
}
"""Fields that cannot change later, and so are not looked at again."""


def _metadata(kind: Kind, obj: Object) -> Iterable[Cause]:
    metadata = obj["metadata"]
    name = metadata.get("name") or ""
    if not name:
        yield required("metadata.name", "name or generateName is required")
    elif cause := _name(kind, name):
        yield cause
    yield from label_causes(metadata.get("labels") or {}, "metadata.labels")
    yield from _annotation_causes(metadata.get("annotations") or {})
    yield from _finalizer_causes(kind, metadata.get("finalizers") or ())
    for index, owner in enumerate(metadata.get("ownerReferences") or ()):
        for name in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(name):
                yield required(f"metadata.ownerReferences[{index}].{name}", "must not be empty")


def _finalizer_causes(kind: Kind, finalizers: Iterable[str]) -> Iterable[Cause]:
    for index, finalizer in enumerate(finalizers):
        yield from qualified_causes(finalizer, "metadata.finalizers")
        named = "/" in finalizer or finalizer in _STANDARD_FINALIZERS
        if not named and kind in BUILT_IN and kind not in _ANY_FINALIZER:
            words = "name is neither a standard finalizer name nor is it fully qualified"
            yield wrong(f"metadata.finalizers[{index}]", finalizer, words)


def _name(kind: Kind, name: str) -> Cause | None:
    if kind.group == _PATH_NAMED:
        bad = name in (".", "..") or "/" in name or "%" in name
        return wrong("metadata.name", name, "may not contain '/' or '%'") if bad else None
    if kind in (Kind("", "Namespace"), Kind("", "Service")):
        return None if is_label(name) else wrong("metadata.name", name, LABEL_WORDS)
    return None if is_subdomain(name) else wrong("metadata.name", name, SUBDOMAIN_WORDS)


def _annotation_causes(annotations: dict[str, str]) -> Iterable[Cause]:
    size = 0
    for key, value in annotations.items():
        size += len(key) + len(value)
        yield from qualified_causes(key.lower(), "metadata.annotations")
    if size > _MAX_ANNOTATIONS:
        words = f"Too long: may not be more than {_MAX_ANNOTATIONS} bytes"
        yield Cause("metadata.annotations", "FieldValueTooLong", words)


def _secret(obj: Object) -> Iterable[Cause]:
    for key, value in (obj.get("data") or {}).items():
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError, TypeError):
            yield hidden(f"data[{key}]", "is not base64 (the value is not shown)")
    yield from _data_keys(obj)
    yield from access.secret_causes(obj)


def _data_keys(obj: Object) -> Iterable[Cause]:
    for name in ("data", "binaryData"):
        for key in obj.get(name) or {}:
            if key == "." or key.startswith(".."):
                yield wrong(f"{name}[{key}]", key, "must not be '.', and must not start with '..'")
            elif len(key) > 253 or not _DATA_KEY.match(key):
                yield wrong(f"{name}[{key}]", key, _DATA_KEY_WORDS)
    for key in {*(obj.get("data") or ())} & {*(obj.get("binaryData") or ())}:
        yield wrong(f"data[{key}]", key, "duplicate of key present in binaryData")


def _custom_resource(obj: Object) -> Iterable[Cause]:
    spec = obj.get("spec", {})
    names = spec.get("names") or {}
    expected = f"{names.get('plural')}.{spec.get('group')}"
    if obj["metadata"].get("name") != expected:
        yield wrong(
            "metadata.name",
            obj["metadata"].get("name"),
            f'must be spec.names.plural+"."+spec.group: "{expected}"',
        )
    if spec.get("scope") not in ("Cluster", "Namespaced"):
        yield unsupported("spec.scope", spec.get("scope"), ("Cluster", "Namespaced"))
    stored = [version for version in spec.get("versions") or () if version.get("storage")]
    if len(stored) != 1:
        yield wrong("spec.versions", len(stored), "must have exactly one version marked as storage")
    for index, version in enumerate(spec.get("versions") or ()):
        if not (version.get("schema") or {}).get("openAPIV3Schema"):
            yield required(f"spec.versions[{index}].schema.openAPIV3Schema", "schemas are required")


def _webhooks(obj: Object) -> Iterable[Cause]:
    """Of a webhook configuration: new ones may have no effects beside their answer."""
    for index, webhook in enumerate(obj.get("webhooks") or ()):
        path, config = f"webhooks[{index}]", webhook.get("clientConfig") or {}
        if len(str(webhook.get("name") or "").split(".")) < 3:
            words = "should be a domain with at least three segments separated by dots"
            yield wrong(f"{path}.name", webhook.get("name") or "", words)
        if webhook.get("sideEffects") not in (None, *_NO_EFFECTS):
            yield unsupported(f"{path}.sideEffects", webhook["sideEffects"], _NO_EFFECTS)
        if not 1 <= int(webhook.get("timeoutSeconds", 10)) <= 30:
            words = "the timeout value must be between 1 and 30 seconds"
            yield wrong(f"{path}.timeoutSeconds", webhook["timeoutSeconds"], words)
        if bool(config.get("url")) == bool(config.get("service")):
            yield required(f"{path}.clientConfig", "exactly one of url or service is required")


_NO_EFFECTS = ("None", "NoneOnDryRun")
_RBAC = "rbac.authorization.k8s.io"
_RULES: dict[Kind, Callable[[Object], Iterable[Cause]]] = {
    Kind("", "Pod"): pods.pod_causes,
    Kind("", "Service"): networking.service_causes,
    Kind("", "Secret"): _secret,
    Kind("", "ConfigMap"): _data_keys,
    Kind("", "PersistentVolumeClaim"): storage.claim_causes,
    Kind("", "LimitRange"): limits.limit_range_causes,
    Kind("apps", "Deployment"): workloads.deployment_causes,
    Kind("apps", "StatefulSet"): workloads.stateful_set_causes,
    Kind("apps", "DaemonSet"): workloads.daemon_set_causes,
    Kind("apps", "ReplicaSet"): workloads.replica_set_causes,
    Kind("batch", "Job"): workloads.job_causes,
    Kind("batch", "CronJob"): workloads.cron_job_causes,
    Kind("autoscaling", "HorizontalPodAutoscaler"): limits.autoscaler_causes,
    Kind("policy", "PodDisruptionBudget"): limits.budget_causes,
    Kind("coordination.k8s.io", "Lease"): limits.lease_causes,
    Kind("scheduling.k8s.io", "PriorityClass"): limits.priority_class_causes,
    Kind("networking.k8s.io", "Ingress"): networking.ingress_causes,
    Kind("networking.k8s.io", "NetworkPolicy"): networking.network_policy_causes,
    Kind("storage.k8s.io", "StorageClass"): storage.storage_class_causes,
    Kind(_RBAC, "Role"): access.role_causes,
    Kind(_RBAC, "ClusterRole"): access.cluster_role_causes,
    Kind(_RBAC, "RoleBinding"): access.role_binding_causes,
    Kind(_RBAC, "ClusterRoleBinding"): access.cluster_role_binding_causes,
    Kind("apiextensions.k8s.io", "CustomResourceDefinition"): _custom_resource,
    Kind("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): _webhooks,
    Kind("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): _webhooks,
}
