"""Fields that never change once an object exists: one table, kind → rule.

A rule compares the stored and the new object and gives the causes. What it refuses becomes
`ImmutableError`: only deleting and recreating the object helps.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from clusters.objects import Kind, Object
from clusters.simulation.server.quantities import read_quantity
from clusters.simulation.server.rejections import Cause, forbidden, hidden, wrong

Rule = Callable[[Object, Object], list[Cause]]
_IMMUTABLE = "field is immutable"
_POD_MUTABLE_CONTAINER = ("image", "resources", "resizePolicy")


def immutable_changes(kind: Kind, old: Object, new: Object) -> list[Cause]:
    """What the update from `old` to `new` changes that never changes; empty if nothing."""
    rule = _RULES.get(kind)
    return rule(old, new) if rule else []


def metadata_changes(live: Object, sent: Object) -> list[Cause]:
    """What a client would change of which object it is, and of whether it goes."""
    old, new = live["metadata"], sent["metadata"]
    causes = []
    if new.get("uid") and new["uid"] != old["uid"]:
        causes.append(wrong("metadata.uid", new["uid"], _IMMUTABLE))
    if old.get("deletionTimestamp"):
        added = sorted({*(new.get("finalizers") or ())} - {*(old.get("finalizers") or ())})
        if added:
            words = "no new finalizers can be added if the object is being deleted, found new "
            causes.append(forbidden("metadata.finalizers", f"{words}finalizers {added}"))
    elif new.get("deletionTimestamp") is not None:  # of what goes already, it is not looked at
        causes.append(wrong("metadata.deletionTimestamp", new["deletionTimestamp"], _IMMUTABLE))
    return causes


def phase_causes(live: Object, sent: Object) -> list[Cause]:
    """What is wrong in a Namespace whose status is written with a time at which it goes."""
    if live["metadata"].get("deletionTimestamp") or not sent["metadata"].get("deletionTimestamp"):
        return []
    phase = (live.get("status") or {}).get("phase", "")
    words = "may only be 'Terminating' if `deletionTimestamp` is not empty"
    return [wrong("status.Phase", phase, words)]


def _at(obj: Object, path: str) -> Any:
    value: Any = obj
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _fields(*paths: str) -> Rule:
    def rule(old: Object, new: Object) -> list[Cause]:
        return [
            wrong(path, _at(new, path), _IMMUTABLE)
            for path in paths
            if _at(old, path) != _at(new, path)
        ]

    return rule


def _job(old: Object, new: Object) -> list[Cause]:
    causes = _fields(
        "spec.selector", "spec.completionMode", "spec.podFailurePolicy", "spec.backoffLimitPerIndex"
    )(old, new)
    if _at(old, "spec.template") != _at(new, "spec.template") and not _at(old, "spec.suspend"):
        causes.append(hidden("spec.template", _IMMUTABLE))
    if _at(old, "spec.completions") != _at(new, "spec.completions"):
        causes.append(wrong("spec.completions", _at(new, "spec.completions"), _IMMUTABLE))
    return causes


def _service(old: Object, new: Object) -> list[Cause]:
    before, after = _at(old, "spec.clusterIP"), _at(new, "spec.clusterIP")
    if "ExternalName" in (_at(old, "spec.type"), _at(new, "spec.type")):
        return []
    if before and before != after:
        return [wrong("spec.clusterIPs[0]", after or "", "may not change once set")]
    return []


def _claim(old: Object, new: Object) -> list[Cause]:
    before, after = dict(old.get("spec", {})), dict(new.get("spec", {}))
    if not before.get("volumeName"):
        before["volumeName"] = after.get("volumeName")
    if before.get("storageClassName") is None:  # still to be chosen, by the cluster or by a person
        before["storageClassName"] = after.get("storageClassName")
    if _at(new, "status.phase") == "Bound":
        for spec in (before, after):
            spec.pop("volumeAttributesClassName", None)
            spec["resources"] = {**(spec.get("resources") or {}), "requests": None}
    causes = []
    if _given(before) != _given(after):
        words = "spec is immutable after creation except resources.requests and "
        causes.append(forbidden("spec", words + "volumeAttributesClassName for bound claims"))
    least, most = (_size(obj, "spec.resources.requests") for obj in (new, old))
    if least < most and least <= _size(new, "status.capacity"):
        field = "spec.resources.requests.storage"
        causes.append(forbidden(field, "field can not be less than status.capacity"))
    if _at(old, "spec.volumeMode") != _at(new, "spec.volumeMode"):
        causes.append(wrong("volumeMode", _at(new, "spec.volumeMode"), _IMMUTABLE))
    return causes


def _given(spec: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in spec.items() if value is not None}


def _size(obj: Object, path: str) -> Decimal:
    return read_quantity(str((_at(obj, path) or {}).get("storage", "0"))).value


def _frozen_data(old: Object, new: Object) -> list[Cause]:
    """A Secret or ConfigMap with `immutable: true`; values are never shown."""
    if not old.get("immutable"):
        return []
    names = ("data", "binaryData", "immutable")
    return [
        forbidden(name, "field is immutable when `immutable` is set")
        for name in names
        if old.get(name) != new.get(name)
    ]


def _secret(old: Object, new: Object) -> list[Cause]:
    causes = _frozen_data(old, new)
    if old.get("type") != new.get("type"):
        causes.append(wrong("type", new.get("type"), _IMMUTABLE))
    return causes


def _role_ref(old: Object, new: Object) -> list[Cause]:
    if old.get("roleRef") == new.get("roleRef"):
        return []
    return [wrong("roleRef", new.get("roleRef"), "cannot change roleRef")]


def _pod(old: Object, new: Object) -> list[Cause]:
    if _without_mutable(old.get("spec", {})) == _without_mutable(new.get("spec", {})):
        return []
    words = (
        "pod updates may not change fields other than `spec.containers[*].image`, "
        "`spec.initContainers[*].image`, `spec.activeDeadlineSeconds`, `spec.tolerations` "
        "(only additions to existing tolerations), `spec.terminationGracePeriodSeconds`"
    )
    return [forbidden("spec", words)]


def _without_mutable(spec: dict[str, Any]) -> dict[str, Any]:
    ignored = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName")
    result = {key: value for key, value in spec.items() if key not in ignored}
    for name in ("containers", "initContainers"):
        result[name] = [
            {key: value for key, value in item.items() if key not in _POD_MUTABLE_CONTAINER}
            for item in spec.get(name, ())
        ]
    return result


def _custom_resource(old: Object, new: Object) -> list[Cause]:
    return _fields("spec.group", "spec.scope", "spec.names.kind", "spec.names.plural")(old, new)


def _priority_class(old: Object, new: Object) -> list[Cause]:
    causes = _fields("preemptionPolicy")(old, new)
    if old.get("value") != new.get("value"):
        causes.append(forbidden("value", "may not be changed in an update."))
    return causes


_RULES: dict[Kind, Rule] = {
    Kind("", "Service"): _service,
    Kind("", "PersistentVolumeClaim"): _claim,
    Kind("", "Secret"): _secret,
    Kind("", "ConfigMap"): _frozen_data,
    Kind("", "Pod"): _pod,
    Kind("apps", "Deployment"): _fields("spec.selector"),
    Kind("apps", "DaemonSet"): _fields("spec.selector"),
    Kind("apps", "ReplicaSet"): _fields("spec.selector"),
    Kind("apps", "StatefulSet"): _fields(
        "spec.selector", "spec.volumeClaimTemplates", "spec.serviceName", "spec.podManagementPolicy"
    ),
    Kind("batch", "Job"): _job,
    Kind("rbac.authorization.k8s.io", "RoleBinding"): _role_ref,
    Kind("rbac.authorization.k8s.io", "ClusterRoleBinding"): _role_ref,
    Kind("storage.k8s.io", "StorageClass"): _fields(
        "provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"
    ),
    Kind("scheduling.k8s.io", "PriorityClass"): _priority_class,
    Kind("networking.k8s.io", "IngressClass"): _fields("spec.controller"),
    Kind("apiextensions.k8s.io", "CustomResourceDefinition"): _custom_resource,
}
