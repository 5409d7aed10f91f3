"""What makes an object wrong, beyond its schema: names, labels, and the rules of some kinds.

`validate` gives causes, all of them at once, as Kubernetes does. It sees the object after
defaults. Field paths and words follow the real server's, since people search for them.

Never shows a Secret's values. Never checks quantities, CEL rules or patterns.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Iterable
from typing import Any

from clusters.objects import Kind, Object
from clusters.simulation.schedules import read_schedule
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
    duplicate,
    hidden,
    required,
    unsupported,
    wrong,
)
from clusters.simulation.server.selectors import matches_label_selector

_PATH_NAMED = "rbac.authorization.k8s.io"
_MAX_ANNOTATIONS = 256 * 1024
_ANY_FINALIZER = Kind("policy", "PodDisruptionBudget")
"""The one built-in kind that Kubernetes does not ask for a finalizer's prefix; no custom one is."""
_STANDARD_FINALIZERS = ("kubernetes", "orphan", "foregroundDeletion")
_DATA_KEY = re.compile(r"^[-._a-zA-Z0-9]+$")
_DATA_KEY_WORDS = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',"
    "  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)


def validate(kind: Kind, obj: Object) -> list[Cause]:
    """Everything wrong with an object; empty if nothing is."""
    causes = [*_metadata(kind, obj)]
    rules = _RULES.get(kind)
    if rules is not None:
        causes.extend(rules(obj))
    return causes


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
        if not named and kind in BUILT_IN and kind != _ANY_FINALIZER:
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


def _workload(obj: Object) -> Iterable[Cause]:
    spec = obj.get("spec", {})
    template = spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    selector = spec.get("selector")
    if not selector or not (selector.get("matchLabels") or selector.get("matchExpressions")):
        yield wrong("spec.selector", selector or {}, "empty selector is invalid for a workload")
    elif not matches_label_selector(selector, labels):
        yield wrong(
            "spec.template.metadata.labels", labels, "`selector` does not match template `labels`"
        )
    yield from label_causes(labels, "spec.template.metadata.labels")
    yield from _pod_spec(template.get("spec") or {}, "spec.template.spec", ("Always",))
    if isinstance(spec.get("replicas"), int) and spec["replicas"] < 0:
        yield wrong("spec.replicas", spec["replicas"], "must be greater than or equal to 0")


def _job(obj: Object) -> Iterable[Cause]:
    template = obj.get("spec", {}).get("template") or {}
    return _pod_spec(template.get("spec") or {}, "spec.template.spec", ("OnFailure", "Never"))


def _cron_job(obj: Object) -> Iterable[Cause]:
    spec = obj.get("spec", {})
    for field, schedule, zone in (
        ("schedule", spec.get("schedule", "* * * * *"), ""),
        ("timeZone", "* * * * *", spec.get("timeZone", "")),
    ):
        try:
            read_schedule(schedule, zone)
        except ValueError as error:
            yield wrong(f"spec.{field}", spec[field], str(error))
    path = "spec.jobTemplate.spec.template.spec"
    template = (spec.get("jobTemplate") or {}).get("spec", {}).get("template") or {}
    yield from _pod_spec(template.get("spec") or {}, path, ("OnFailure", "Never"))


def _pod(obj: Object) -> Iterable[Cause]:
    return _pod_spec(obj.get("spec") or {}, "spec", ("Always", "OnFailure", "Never"))


def _pod_spec(spec: dict[str, Any], path: str, policies: tuple[str, ...]) -> Iterable[Cause]:
    containers = spec.get("containers") or []
    if not containers:
        yield required(f"{path}.containers")
    if spec.get("restartPolicy") not in policies:
        yield unsupported(f"{path}.restartPolicy", spec.get("restartPolicy") or "", policies)
    volumes = {volume.get("name") for volume in spec.get("volumes") or ()}
    seen: set[str] = set()
    for group in ("initContainers", "containers"):
        for index, container in enumerate(spec.get(group) or ()):
            yield from _container(container, f"{path}.{group}[{index}]", volumes, seen)


def _container(
    container: dict[str, Any], path: str, volumes: set[Any], seen: set[str]
) -> Iterable[Cause]:
    name = container.get("name") or ""
    if name and not is_label(name):
        yield wrong(f"{path}.name", name, LABEL_WORDS)
    if name in seen:
        yield duplicate(f"{path}.name", name)
    seen.add(name)
    if not container.get("image"):
        yield required(f"{path}.image")
    for index, port in enumerate(container.get("ports") or ()):
        yield from _port(port.get("containerPort"), f"{path}.ports[{index}].containerPort")
    for index, mount in enumerate(container.get("volumeMounts") or ()):
        if mount.get("name") not in volumes:
            where = f"{path}.volumeMounts[{index}].name"
            yield Cause(where, "FieldValueNotFound", f'Not found: "{mount.get("name")}"')


def _port(value: Any, path: str) -> Iterable[Cause]:
    if isinstance(value, int) and not 1 <= value <= 65535:
        yield wrong(path, value, "must be between 1 and 65535, inclusive")


def _service(obj: Object) -> Iterable[Cause]:
    spec = obj.get("spec", {})
    types = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
    if spec.get("type") not in types:
        yield unsupported("spec.type", spec.get("type"), types)
    ports = spec.get("ports") or ()
    headless = spec.get("clusterIP") == "None"
    if not ports and not headless and spec.get("type") != "ExternalName":
        yield required("spec.ports")
    if spec.get("type") == "ExternalName" and not spec.get("externalName"):
        yield required("spec.externalName")
    names = [port.get("name") or "" for port in ports]
    for index, port in enumerate(ports):
        yield from _port(port.get("port"), f"spec.ports[{index}].port")
        if len(ports) > 1 and not names[index]:
            yield required(f"spec.ports[{index}].name")
        if names[index] and names[index] in names[:index]:
            yield duplicate(f"spec.ports[{index}].name", names[index])


def _secret(obj: Object) -> Iterable[Cause]:
    for key, value in (obj.get("data") or {}).items():
        try:
            base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError, TypeError):
            yield hidden(f"data[{key}]", "is not base64 (the value is not shown)")
    yield from _data_keys(obj)


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


def _ingress(obj: Object) -> Iterable[Cause]:
    spec = obj.get("spec") or {}
    if not spec.get("rules") and not spec.get("defaultBackend"):
        yield wrong("spec", {}, "either `defaultBackend` or `rules` must be specified")


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
_RULES: dict[Kind, Callable[[Object], Iterable[Cause]]] = {
    Kind("", "Pod"): _pod,
    Kind("", "Service"): _service,
    Kind("", "Secret"): _secret,
    Kind("", "ConfigMap"): _data_keys,
    Kind("apps", "Deployment"): _workload,
    Kind("apps", "StatefulSet"): _workload,
    Kind("apps", "DaemonSet"): _workload,
    Kind("apps", "ReplicaSet"): _workload,
    Kind("batch", "Job"): _job,
    Kind("batch", "CronJob"): _cron_job,
    Kind("networking.k8s.io", "Ingress"): _ingress,
    Kind("apiextensions.k8s.io", "CustomResourceDefinition"): _custom_resource,
    Kind("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"): _webhooks,
    Kind("admissionregistration.k8s.io", "MutatingWebhookConfiguration"): _webhooks,
}
