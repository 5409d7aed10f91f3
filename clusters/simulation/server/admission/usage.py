"""What one object uses of a quota: a function from the object to amounts by resource name.

::

    every kind             count/<plural>[.<group>], but events count for nothing
    ConfigMap, Secret, …   also configmaps, secrets, resourcequotas, replicationcontrollers
    Pod                    pods, [requests.|limits.]cpu, memory, ephemeral-storage, hugepages-…,
                           requests.<extended resource>; none once it has ended
    Service                services, services.nodeports, services.loadbalancers
    PersistentVolumeClaim  persistentvolumeclaims, requests.storage, both also by storage class

A pod uses what its containers ask for together, or what its greediest init container asks for if
that is more; what is set for the whole pod goes before both.

Scopes say which pods (or claims) a quota counts at all; other kinds match no scope.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any

from clusters.objects import Kind, Object
from clusters.simulation.server.builtin import KindTraits
from clusters.simulation.server.quantities import Quantity, read_quantity
from clusters.simulation.server.selectors import matches_label_selector

Usage = dict[str, Quantity]

POD = Kind("", "Pod")
SERVICE = Kind("", "Service")
CLAIM = Kind("", "PersistentVolumeClaim")
_UNCOUNTED = (Kind("", "Event"), Kind("events.k8s.io", "Event"))
_ALIASES = ("configmaps", "secrets", "resourcequotas", "replicationcontrollers")
_ONE = Quantity(Decimal(1))
_COMPUTE = ("cpu", "memory", "ephemeral-storage")
_POD_LEVEL = ("cpu", "memory")
_BY_CLASS = ".storageclass.storage.k8s.io/"


def usage_of(traits: KindTraits, obj: Object) -> Usage:
    """Everything that the object could be charged for."""
    plural, group = traits.resource.plural, traits.kind.group
    if traits.kind in _UNCOUNTED:
        return {}
    used = {f"count/{plural}.{group}" if group else f"count/{plural}": _ONE}
    if not group and plural in _ALIASES:
        used[plural] = _ONE
    measure = _MEASURES.get(traits.kind)
    return used | measure(obj) if measure else used


def in_scope(quota: Object, kind: Kind, obj: Object) -> bool:
    """Whether every scope of a quota holds for the object."""
    spec = quota.get("spec") or {}
    terms: list[Object] = [{"scopeName": n, "operator": "Exists"} for n in spec.get("scopes") or ()]
    terms += (spec.get("scopeSelector") or {}).get("matchExpressions") or ()
    return all(_term_holds(term, kind, obj) for term in terms)


def lacking(names: Iterable[str], pod: Object) -> str:
    """Which of a quota's compute resources a pod's containers leave open, as the server says it.

    `limits.cpu for: app; limits.memory for: app,sidecar`; empty if nothing is.
    """
    spec = pod["spec"]
    if any((spec.get("resources") or {}).get(field) for field in ("requests", "limits")):
        return ""
    asked = [name for name in sorted(names) if name.rpartition(".")[2] in ("cpu", "memory")]
    parts = []
    for name in asked:
        without = sorted(c["name"] for c in containers(spec) if not _states(c, name))
        if without:
            parts.append(f"{name} for: {','.join(without)}")
    return "; ".join(parts)


def containers(spec: Object) -> list[Object]:
    """All containers of a pod, init containers last."""
    return [*(spec.get("containers") or ()), *(spec.get("initContainers") or ())]


def pod_total(spec: Object, field: str) -> Usage:
    """What a pod's containers have together in `requests` or `limits`, without its overhead."""
    total: Usage = {}
    for container in spec.get("containers") or ():
        _add(total, _amounts(container, field))
    lasting: Usage = {}
    peak: Usage = {}
    for container in spec.get("initContainers") or ():
        amounts = _amounts(container, field)
        if container.get("restartPolicy") == "Always":
            _add(total, amounts)
            _add(lasting, amounts)
            amounts = dict(lasting)
        else:
            _add(amounts, lasting)
        _raise(peak, amounts)
    _raise(total, peak)
    whole = _amounts(spec, field)
    return total | {name: amount for name, amount in whole.items() if _is_pod_level(name)}


def is_terminating(pod: Object) -> bool:
    """Whether a pod's time is limited from the start, which two scopes ask for."""
    return (pod.get("spec") or {}).get("activeDeadlineSeconds") is not None


def _is_pod_level(name: str) -> bool:
    return name in _POD_LEVEL or name.startswith("hugepages-")


def _amounts(holder: Mapping[str, Any], field: str) -> Usage:
    found = (holder.get("resources") or {}).get(field) or {}
    return {name: read_quantity(str(text)) for name, text in found.items()}


def _add(total: Usage, more: Usage) -> None:
    for name, amount in more.items():
        total[name] = total.get(name, Quantity()).plus(amount)


def _raise(total: Usage, least: Usage) -> None:
    for name, amount in least.items():
        if name not in total or total[name].value < amount.value:
            total[name] = amount


def _states(container: Object, name: str) -> bool:
    """Whether a container says how much it takes of `cpu`, `requests.cpu`, `limits.memory` …"""
    side, _, resource = name.rpartition(".")
    return resource in _amounts(container, side or "requests")


def _pod(pod: Object) -> Usage:
    phase = (pod.get("status") or {}).get("phase")
    leaving = pod["metadata"].get("deletionTimestamp")
    overdue = leaving and not pod["metadata"].get("deletionGracePeriodSeconds")
    if phase in ("Succeeded", "Failed") or overdue:
        return {}
    spec = pod["spec"]
    requests, limits = pod_total(spec, "requests"), pod_total(spec, "limits")
    overhead = {name: read_quantity(str(v)) for name, v in (spec.get("overhead") or {}).items()}
    _add(requests, overhead)
    _add(limits, {name: amount for name, amount in overhead.items() if name in limits})
    used = {"pods": _ONE}
    for name, amount in requests.items():
        if name in _COMPUTE or name.startswith("hugepages-"):
            used |= {name: amount, f"requests.{name}": amount}
        elif "/" in name and "kubernetes.io/" not in name:
            used[f"requests.{name}"] = amount
    return used | {f"limits.{n}": amount for n, amount in limits.items() if n in _COMPUTE}


def _service(service: Object) -> Usage:
    spec = service.get("spec") or {}
    ports, kind = spec.get("ports") or (), spec.get("type")
    allocated = kind in ("NodePort", "LoadBalancer")
    if kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is False:
        ports = [port for port in ports if port.get("nodePort")]
    return {
        "services": _ONE,
        "services.nodeports": Quantity(Decimal(len(ports) if allocated else 0)),
        "services.loadbalancers": _ONE if kind == "LoadBalancer" else Quantity(),
    }


def _claim(claim: Object) -> Usage:
    spec = claim.get("spec") or {}
    used = {"persistentvolumeclaims": _ONE}
    storage = _amounts(spec, "requests").get("storage")
    if storage is not None:
        allocated = ((claim.get("status") or {}).get("allocatedResources") or {}).get("storage")
        grown = read_quantity(str(allocated)) if allocated else storage
        used["requests.storage"] = max(storage, grown, key=lambda q: q.value).rounded_up()
    annotations = claim["metadata"].get("annotations") or {}
    named = annotations.get("volume.beta.kubernetes.io/storage-class")
    class_name = named if named is not None else spec.get("storageClassName")
    if class_name:
        used |= {f"{class_name}{_BY_CLASS}{name}": amount for name, amount in used.items()}
    return used


_MEASURES: dict[Kind, Callable[[Object], Usage]] = {POD: _pod, SERVICE: _service, CLAIM: _claim}


def _term_holds(term: Object, kind: Kind, obj: Object) -> bool:
    name = term.get("scopeName")
    if kind == CLAIM and name == "VolumeAttributesClass":
        return _selects(term, _attributes_classes(obj))
    if kind != POD:
        return False
    match name:
        case "Terminating":
            return is_terminating(obj)
        case "NotTerminating":
            return not is_terminating(obj)
        case "BestEffort":
            return _is_best_effort(obj)
        case "NotBestEffort":
            return not _is_best_effort(obj)
        case "PriorityClass":
            return _selects(term, [obj["spec"].get("priorityClassName") or ""])
        case "CrossNamespacePodAffinity":
            return _looks_abroad(obj)
    return False


def _selects(term: Object, values: Iterable[str]) -> bool:
    """Whether a scope's term selects one of the values, of which an empty one is none."""
    expression = {**term, "key": "value"}
    sets: list[dict[str, str]] = [{"value": value} for value in values if value] or [{}]
    return any(matches_label_selector({"matchExpressions": [expression]}, s) for s in sets)


def _attributes_classes(claim: Object) -> list[str]:
    status = claim.get("status") or {}
    return [
        str(name)
        for name in (
            (claim.get("spec") or {}).get("volumeAttributesClassName"),
            status.get("currentVolumeAttributesClassName"),
            (status.get("modifyVolumeStatus") or {}).get("targetVolumeAttributesClassName"),
        )
        if name
    ]


def _is_best_effort(pod: Object) -> bool:
    holders = [pod["spec"], *containers(pod["spec"])]
    amounts = (_amounts(holder, field) for holder in holders for field in ("requests", "limits"))
    return not any(found.get(name, Quantity()).value for found in amounts for name in _POD_LEVEL)


def _looks_abroad(pod: Object) -> bool:
    """Whether a pod's affinity names other namespaces."""
    affinity = pod["spec"].get("affinity") or {}
    for side in ("podAffinity", "podAntiAffinity"):
        rules = affinity.get(side) or {}
        terms = list(rules.get("requiredDuringSchedulingIgnoredDuringExecution") or ())
        preferred = rules.get("preferredDuringSchedulingIgnoredDuringExecution") or ()
        terms += [item.get("podAffinityTerm") or {} for item in preferred]
        if any(t.get("namespaces") or t.get("namespaceSelector") is not None for t in terms):
            return True
    return False
