"""The spec of a pod, alone or in a template: containers, volumes, scheduling, DNS."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from clusters.objects import Object
from clusters.simulation.server.names import (
    label_causes,
    qualified_causes,
    selector_causes,
    value_causes,
)
from clusters.simulation.server.rejections import (
    Cause,
    duplicate,
    forbidden,
    required,
    unsupported,
    wrong,
)
from clusters.simulation.server.rules.checks import (
    address_causes,
    choice_or_empty,
    label_name_causes,
    subdomain_causes,
)
from clusters.simulation.server.rules.containers import (
    container_causes,
    identity_causes,
    reference_causes,
)

Part = dict[str, Any]
_DNS = ("ClusterFirstWithHostNet", "ClusterFirst", "Default", "None")
_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_VOLUMES_OF_MODES = ("configMap", "secret", "projected", "downwardAPI")
_NODE_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt")


def pod_causes(obj: Object) -> Iterable[Cause]:
    """Of a Pod."""
    return pod_spec_causes(obj.get("spec") or {}, "spec")


def template_causes(template: Part, path: str, claims: Iterable[str] = ()) -> Iterable[Cause]:
    """Of a pod template; `claims` names the volumes that its StatefulSet adds."""
    metadata = template.get("metadata") or {}
    yield from label_causes(metadata.get("labels") or {}, f"{path}.labels")
    for key in metadata.get("annotations") or {}:
        yield from qualified_causes(key.lower(), f"{path}.annotations")
    yield from pod_spec_causes(template.get("spec") or {}, f"{path}.spec", claims)


def pod_spec_causes(spec: Part, path: str, claims: Iterable[str] = ()) -> Iterable[Cause]:
    """Of a pod's spec."""
    volumes = spec.get("volumes") or ()
    names = frozenset([*(volume.get("name") or "" for volume in volumes), *claims])
    yield from _volumes(volumes, f"{path}.volumes")
    yield from container_causes(spec, path, names)
    policies = ("Always", "OnFailure", "Never")
    yield from choice_or_empty(spec.get("restartPolicy"), f"{path}.restartPolicy", policies)
    yield from choice_or_empty(spec.get("dnsPolicy"), f"{path}.dnsPolicy", _DNS)
    config = spec.get("dnsConfig") or {}
    if spec.get("dnsPolicy") == "None" and not config:
        words = "must provide `dnsConfig` when `dnsPolicy` is None"
        yield required(f"{path}.dnsConfig", words)
    elif spec.get("dnsPolicy") == "None" and not config.get("nameservers"):
        words = "must provide at least one DNS nameserver when `dnsPolicy` is None"
        yield required(f"{path}.dnsConfig.nameservers", words)
    yield from label_causes(spec.get("nodeSelector") or {}, f"{path}.nodeSelector")
    yield from identity_causes(spec.get("securityContext") or {}, f"{path}.securityContext")
    yield from reference_causes(spec, path)
    yield from _tolerations(spec.get("tolerations") or (), f"{path}.tolerations")
    yield from _spread(spec.get("topologySpreadConstraints") or (), path)
    for index, alias in enumerate(spec.get("hostAliases") or ()):
        where = f"{path}.hostAliases[{index}]"
        yield from address_causes(alias.get("ip"), f"{where}.ip")
        for place, name in enumerate(alias.get("hostnames") or ()):
            yield from subdomain_causes(name, f"{where}.hostnames[{place}]")
    yield from _affinity(spec.get("affinity") or {}, f"{path}.affinity")
    deadline = spec.get("activeDeadlineSeconds")
    if isinstance(deadline, int) and not 1 <= deadline < 2**31:
        words = f"must be between 1 and {2**31 - 1}, inclusive"
        yield wrong(f"{path}.activeDeadlineSeconds", deadline, words)


def _volumes(volumes: Iterable[Part], path: str) -> Iterable[Cause]:
    seen: set[str] = set()
    for index, volume in enumerate(volumes):
        where, name = f"{path}[{index}]", volume.get("name") or ""
        if not name:
            yield required(f"{where}.name")
        else:
            yield from label_name_causes(name, f"{where}.name")
        if name in seen:
            yield duplicate(f"{where}.name", name)
        seen.add(name)
        sources = [source for source in _SOURCES if volume.get(source) is not None]
        if not sources and len(volume) < 2:
            yield required(where, "must specify a volume type")
        for source in sources[1:]:
            yield forbidden(f"{where}.{source}", "may not specify more than 1 volume type")
        for source in sources[:1]:
            yield from _source(source, volume[source], f"{where}.{source}")


_SOURCES = (
    "emptyDir",
    "hostPath",
    "gitRepo",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "secret",
    "nfs",
    "iscsi",
    "glusterfs",
    "flocker",
    "persistentVolumeClaim",
    "rbd",
    "cephfs",
    "quobyte",
    "downwardAPI",
    "fc",
    "configMap",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "storageos",
    "projected",
    "scaleIO",
    "csi",
    "ephemeral",
    "image",
)
"""The kinds of volumes, in the order in which a server looks for them."""
_NAMED = {
    "secret": "secretName",
    "configMap": "name",
    "persistentVolumeClaim": "claimName",
    "hostPath": "path",
    "csi": "driver",
}


def _source(kind: str, source: Part, path: str) -> Iterable[Cause]:
    name = _NAMED.get(kind, "")
    if name and not source.get(name):
        yield required(f"{path}.{name}")
    mode = source.get("defaultMode")
    if kind in _VOLUMES_OF_MODES and isinstance(mode, int) and not 0 <= mode <= 0o777:
        words = "must be a number between 0 and 0777 (octal), both inclusive"
        yield wrong(f"{path}.defaultMode", mode, words)
    for index, item in enumerate(source.get("items") or ()) if kind != "downwardAPI" else ():
        for field in ("key", "path"):
            if not item.get(field):
                yield required(f"{path}.items[{index}].{field}")


def _tolerations(tolerations: Iterable[Part], path: str) -> Iterable[Cause]:
    for index, item in enumerate(tolerations):
        where, operator = f"{path}[{index}]", item.get("operator") or ""
        if item.get("key"):
            yield from qualified_causes(item["key"], f"{where}.key")
        elif operator != "Exists":
            words = "operator must be Exists when `key` is empty"
            yield wrong(f"{where}.operator", operator, words)
        if item.get("tolerationSeconds") is not None and item.get("effect") != "NoExecute":
            words = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            yield wrong(f"{where}.effect", item.get("effect") or "", words)
        value = item.get("value") or ""
        if operator in ("", "Equal"):
            yield from value_causes(value, f"{where}.operator")
        elif operator != "Exists":
            yield unsupported(f"{where}.operator", operator, ("Equal", "Exists"))
        elif value:
            words = "value must be empty when `operator` is 'Exists'"
            yield wrong(f"{where}.operator", value, words)
        yield from choice_or_empty(item.get("effect") or None, f"{where}.effect", _EFFECTS)


def _spread(constraints: Iterable[Part], path: str) -> Iterable[Cause]:
    seen: set[tuple[Any, Any]] = set()
    for index, item in enumerate(constraints):
        where = f"{path}.topologySpreadConstraints[{index}]"
        if item.get("maxSkew", 0) <= 0:
            yield wrong(f"{where}.maxSkew", item.get("maxSkew"), "must be greater than zero")
        if not item.get("topologyKey"):
            yield required(f"{where}.topologyKey", "can not be empty")
        choices = ("DoNotSchedule", "ScheduleAnyway")
        deed = item.get("whenUnsatisfiable") or ""
        yield from choice_or_empty(deed, f"{where}.whenUnsatisfiable", choices)
        key = (item.get("topologyKey"), deed)
        if key in seen:
            yield duplicate(f"{where}.{{topologyKey, whenUnsatisfiable}}", key)
        seen.add(key)
        yield from selector_causes(item.get("labelSelector"), f"{where}.labelSelector")


def _affinity(affinity: Part, path: str) -> Iterable[Cause]:
    for name in ("podAffinity", "podAntiAffinity"):
        terms = affinity.get(name) or {}
        must, may = (f"{kind}DuringSchedulingIgnoredDuringExecution" for kind in _DEMANDS)
        for index, term in enumerate(terms.get(must) or ()):
            yield from _pod_term(term, f"{path}.{name}.{must}[{index}]")
        for index, term in enumerate(terms.get(may) or ()):
            where = f"{path}.{name}.{may}[{index}]"
            yield from _weight(term, where)
            yield from _pod_term(term.get("podAffinityTerm") or {}, f"{where}.podAffinityTerm")
    node = affinity.get("nodeAffinity") or {}
    must, may = (f"{kind}DuringSchedulingIgnoredDuringExecution" for kind in _DEMANDS)
    if node.get(must) is not None:
        terms = node[must].get("nodeSelectorTerms") or ()
        where = f"{path}.nodeAffinity.{must}.nodeSelectorTerms"
        if not terms:
            yield required(where, "must have at least one node selector term")
        for index, term in enumerate(terms):
            yield from _node_term(term, f"{where}[{index}]")
    for index, term in enumerate(node.get(may) or ()):
        where = f"{path}.nodeAffinity.{may}[{index}]"
        yield from _weight(term, where)
        yield from _node_term(term.get("preference") or {}, f"{where}.preference")


_DEMANDS = ("required", "preferred")


def _weight(term: Part, path: str) -> Iterable[Cause]:
    if not 1 <= term.get("weight", 0) <= 100:
        yield wrong(f"{path}.weight", term.get("weight"), "must be in the range 1-100")


def _pod_term(term: Part, path: str) -> Iterable[Cause]:
    yield from selector_causes(term.get("labelSelector"), f"{path}.labelSelector")
    if not term.get("topologyKey"):
        yield required(f"{path}.topologyKey", "can not be empty")


def _node_term(term: Part, path: str) -> Iterable[Cause]:
    for index, item in enumerate(term.get("matchExpressions") or ()):
        where = f"{path}.matchExpressions[{index}]"
        yield from qualified_causes(item.get("key") or "", f"{where}.key")
        operator, values = item.get("operator"), item.get("values") or ()
        if operator not in _NODE_OPERATORS:
            yield wrong(f"{where}.operator", operator, "not a valid selector operator")
        elif operator in ("In", "NotIn") and not values:
            words = "must be specified when `operator` is 'In' or 'NotIn'"
            yield required(f"{where}.values", words)
        elif operator in ("Exists", "DoesNotExist") and values:
            words = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            yield forbidden(f"{where}.values", words)
