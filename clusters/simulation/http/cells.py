"""The cells of `kubectl get` that take more than reading one field."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from clusters.objects import Object

_NONE = "<none>"
_UNKNOWN = "<unknown>"
_STEP = re.compile(
    r"\.([A-Za-z0-9_-]+)|\[(\d+)\]|\[\?\(@\.([A-Za-z0-9_]+)==[\"']([^\"']*)[\"']\)\]"
)


def json_path(obj: Any, path: str) -> Any:
    """The value at a printer column's path: fields, indexes and `[?(@.type=="Ready")]`."""
    value = obj
    for field, index, key, wanted in _STEP.findall(path):
        if field:
            value = value.get(field) if isinstance(value, dict) else None
        elif not isinstance(value, list):
            return None
        elif index:
            value = value[int(index)] if int(index) < len(value) else None
        else:
            value = next((item for item in value if item.get(key) == wanted), None)
    return value


def _status(obj: Object) -> dict[str, Any]:
    return obj.get("status") or {}


def _pod_spec(obj: Object) -> dict[str, Any]:
    spec = obj.get("spec") or {}
    spec = (spec.get("jobTemplate") or {}).get("spec") or spec
    return (spec.get("template") or {}).get("spec") or spec


def container_names(obj: Object) -> str:
    """`web,sidecar`."""
    return ",".join(item.get("name", "") for item in _pod_spec(obj).get("containers", ()))


def images(obj: Object) -> str:
    """`nginx:1.27,envoy:1.30`."""
    return ",".join(item.get("image", "") for item in _pod_spec(obj).get("containers", ()))


def selector(obj: Object) -> str:
    """A workload's label selector."""
    return selector_text((obj.get("spec") or {}).get("selector"))


def selector_text(value: dict[str, Any] | None) -> str:
    """A LabelSelector in kubectl's words."""
    if not value:
        return _NONE
    parts = [f"{key}={item}" for key, item in (value.get("matchLabels") or {}).items()]
    for entry in value.get("matchExpressions") or ():
        values = ",".join(entry.get("values") or ())
        operator = str(entry.get("operator", "")).lower()
        parts.append(f"{entry.get('key')} {operator} ({values})".removesuffix(" ()"))
    return ",".join(parts) or _NONE


def plain_selector(obj: Object) -> str:
    """A Service's selector, a plain map."""
    pairs = (obj.get("spec") or {}).get("selector") or {}
    return ",".join(f"{key}={value}" for key, value in pairs.items()) or _NONE


def node_selector(obj: Object) -> str:
    """A DaemonSet's node selector."""
    pairs = _pod_spec(obj).get("nodeSelector") or {}
    return ",".join(f"{key}={value}" for key, value in pairs.items()) or _NONE


def data_count(obj: Object) -> str:
    """How many keys a ConfigMap or Secret has."""
    return str(len(obj.get("data") or ()) + len(obj.get("binaryData") or ()))


def ready_of_replicas(obj: Object) -> str:
    """`2/3`."""
    wanted = (obj.get("spec") or {}).get("replicas", 1)
    return f"{_status(obj).get('readyReplicas', 0)}/{wanted}"


def external_address(obj: Object) -> str:
    """A load balancer's addresses, `<pending>` until it has one."""
    spec = obj.get("spec") or {}
    if spec.get("type") == "ExternalName":
        return str(spec.get("externalName") or _NONE)
    found = _load_balancer(obj)
    if spec.get("type") == "LoadBalancer":
        return found or "<pending>"
    return ",".join(spec.get("externalIPs") or ()) or _NONE


def _load_balancer(obj: Object) -> str:
    entries = (_status(obj).get("loadBalancer") or {}).get("ingress") or ()
    return ",".join(entry.get("ip") or entry.get("hostname") or "" for entry in entries)


def service_ports(obj: Object) -> str:
    """`80:30001/TCP,443/TCP`."""
    parts = []
    for port in (obj.get("spec") or {}).get("ports") or ():
        node_port = f":{port['nodePort']}" if port.get("nodePort") else ""
        parts.append(f"{port.get('port')}{node_port}/{port.get('protocol', 'TCP')}")
    return ",".join(parts) or _NONE


def pod_ready(obj: Object) -> str:
    """Ready containers of all."""
    statuses = _status(obj).get("containerStatuses") or ()
    total = len((obj.get("spec") or {}).get("containers", ()))
    return f"{sum(1 for item in statuses if item.get('ready'))}/{total}"


def pod_status(obj: Object) -> str:
    """The phase, or the reason why a container does not run."""
    if obj["metadata"].get("deletionTimestamp"):
        return "Terminating"
    status = _status(obj)
    for item in status.get("containerStatuses") or ():
        for state in ("waiting", "terminated"):
            reason = ((item.get("state") or {}).get(state) or {}).get("reason")
            if reason:
                return str(reason)
    return str(status.get("reason") or status.get("phase") or "Unknown")


def pod_restarts(obj: Object) -> str:
    """Restarts of all containers."""
    statuses = _status(obj).get("containerStatuses") or ()
    return str(sum(item.get("restartCount", 0) for item in statuses))


def node_status(obj: Object) -> str:
    """`Ready`, `NotReady`, with `SchedulingDisabled` if cordoned."""
    ready = json_path(obj, '.status.conditions[?(@.type=="Ready")].status')
    word = {"True": "Ready", "False": "NotReady"}.get(str(ready), "Unknown")
    cordoned = (obj.get("spec") or {}).get("unschedulable")
    return f"{word},SchedulingDisabled" if cordoned else word


def node_roles(obj: Object) -> str:
    """Roles from the node's labels."""
    prefix = "node-role.kubernetes.io/"
    labels = obj["metadata"].get("labels") or {}
    roles = sorted(key.removeprefix(prefix) for key in labels if key.startswith(prefix))
    return ",".join(roles) or _NONE


def access_modes(obj: Object) -> str:
    """`RWO,ROX`."""
    words = {
        "ReadWriteOnce": "RWO",
        "ReadOnlyMany": "ROX",
        "ReadWriteMany": "RWX",
        "ReadWriteOncePod": "RWOP",
    }
    modes = (obj.get("spec") or {}).get("accessModes") or ()
    return ",".join(words.get(mode, mode) for mode in modes)


def claim(obj: Object) -> str:
    """The claim that a volume is bound to."""
    reference = (obj.get("spec") or {}).get("claimRef")
    return f"{reference.get('namespace')}/{reference.get('name')}" if reference else ""


def event_object(obj: Object) -> str:
    """`pod/web-1`."""
    involved = obj.get("involvedObject") or {}
    return f"{str(involved.get('kind', '')).lower()}/{involved.get('name', '')}"


def job_status(obj: Object) -> str:
    """`Complete`, `Failed`, `Suspended` or `Running`."""
    for condition in _status(obj).get("conditions") or ():
        if condition.get("status") == "True" and condition.get("type") in ("Complete", "Failed"):
            return str(condition["type"])
    return "Suspended" if (obj.get("spec") or {}).get("suspend") else "Running"


def job_completions(obj: Object) -> str:
    """`1/1`."""
    spec = obj.get("spec") or {}
    wanted = spec.get("completions")
    done, width = _status(obj).get("succeeded", 0), spec.get("parallelism", 1)
    if wanted is not None:
        return f"{done}/{wanted}"
    return f"{done}/1 of {width}" if width > 1 else f"{done}/1"


def job_span(obj: Object) -> tuple[str, str]:
    """When a Job began and ended, each empty if it did not yet."""
    status = _status(obj)
    return status.get("startTime") or "", status.get("completionTime") or ""


def suspended(obj: Object) -> str:
    """A CronJob's `suspend`, in Go's words."""
    return str(bool((obj.get("spec") or {}).get("suspend")))


def ingress_hosts(obj: Object) -> str:
    """Hosts of all rules."""
    rules = (obj.get("spec") or {}).get("rules") or ()
    return ",".join(rule["host"] for rule in rules if rule.get("host")) or "*"


def ingress_address(obj: Object) -> str:
    """Addresses of an Ingress."""
    return _load_balancer(obj)


def scale_target(obj: Object) -> str:
    """`Deployment/web`."""
    reference = (obj.get("spec") or {}).get("scaleTargetRef") or {}
    return f"{reference.get('kind')}/{reference.get('name')}"


def role_reference(obj: Object) -> str:
    """`ClusterRole/admin`."""
    reference = obj.get("roleRef") or {}
    return f"{reference.get('kind')}/{reference.get('name')}"


def controller(obj: Object) -> str:
    """`statefulset.apps/db`, who controls the object."""
    for owner in obj["metadata"].get("ownerReferences") or ():
        if owner.get("controller"):
            group = owner["apiVersion"].rpartition("/")[0]
            kind = owner["kind"].lower() + (f".{group}" if group else "")
            return f"{kind}/{owner['name']}"
    return _NONE


def subjects(kind: str) -> Callable[[Object], str]:
    """A binding's subjects of one kind."""

    def cell(obj: Object) -> str:
        found = [s for s in obj.get("subjects") or () if s.get("kind") == kind]
        place = kind == "ServiceAccount"
        return ", ".join(f"{s.get('namespace')}/{s['name']}" if place else s["name"] for s in found)

    return cell


def readiness_gates(obj: Object) -> str:
    """How many of a pod's readiness gates are open."""
    gates = (obj.get("spec") or {}).get("readinessGates")
    if not gates:
        return _NONE
    true = {c["type"] for c in _status(obj).get("conditions") or () if c.get("status") == "True"}
    return f"{sum(gate.get('conditionType') in true for gate in gates)}/{len(gates)}"


def internal_address(obj: Object) -> str:
    """A node's address inside the cluster."""
    return _node_address(obj, "InternalIP")


def external_node_address(obj: Object) -> str:
    """A node's address outside the cluster."""
    return _node_address(obj, "ExternalIP")


def _node_address(obj: Object, kind: str) -> str:
    found = (a["address"] for a in _status(obj).get("addresses") or () if a.get("type") == kind)
    return str(next(found, _NONE))


def endpoint_addresses(obj: Object) -> str:
    """The first three of `10.0.0.1:80`."""
    found = []
    for subset in obj.get("subsets") or ():
        ends = [f":{port['port']}" for port in subset.get("ports") or ()] or [""]
        found += [a["ip"] + end for end in ends for a in subset.get("addresses") or ()]
    return _first_three(found) or _NONE


def slice_ports(obj: Object) -> str:
    """The first three ports of an EndpointSlice."""
    ports = [str(p.get("port") or p.get("name") or "*") for p in obj.get("ports") or ()]
    return _first_three(ports) or "<unset>"


def slice_addresses(obj: Object) -> str:
    """The first three addresses of an EndpointSlice."""
    found = [a for end in obj.get("endpoints") or () for a in end.get("addresses") or ()]
    return _first_three(found) or "<unset>"


def _first_three(values: list[str]) -> str:
    more = f" + {len(values) - 3} more..." if len(values) > 3 else ""
    return ",".join(values[:3]) + more


def quota_requests(obj: Object) -> str:
    """`pods: 1/10, requests.cpu: 1/4`."""
    return _quota(obj, limits=False)


def quota_limits(obj: Object) -> str:
    """`limits.cpu: 1/4`."""
    return _quota(obj, limits=True)


def _quota(obj: Object, *, limits: bool) -> str:
    hard, used = _status(obj).get("hard") or {}, _status(obj).get("used") or {}
    names = [name for name in sorted(hard) if name.startswith("limits.") is limits]
    return ", ".join(f"{name}: {used.get(name, 0)}/{hard[name]}" for name in names)


def scale_metrics(obj: Object) -> str:
    """`cpu: 50%/80%` for the first two metrics of an autoscaler, `<none>` without any."""
    specs, statuses = (obj.get("spec") or {}).get("metrics"), _status(obj).get("currentMetrics")
    if specs is None:  # in autoscaling/v1 there is one, in a field of its own
        target = (obj.get("spec") or {}).get("targetCPUUtilizationPercentage")
        current = _status(obj).get("currentCPUUtilizationPercentage")
        return _NONE if target is None else f"cpu: {_percent(current)}/{_percent(target)}"
    found = [
        _metric(spec, statuses[place] if statuses and len(statuses) > place else {})
        for place, spec in enumerate(specs)
    ]
    more = f" + {len(found) - 2} more..." if len(found) > 2 else ""
    return ", ".join(found[:2]) + more or _NONE


def _metric(spec: Object, status: Object) -> str:
    part = next((value for key, value in spec.items() if key != "type"), None) or {}
    now = next((value for key, value in status.items() if key != "type"), None) or {}
    target, current = part.get("target") or {}, now.get("current") or {}
    label = f"{part['name']}: " if "name" in part else ""
    if "averageUtilization" in target:
        shown = _percent(current.get("averageUtilization"))
        return f"{label}{shown}/{_percent(target['averageUtilization'])}"
    key = "averageValue" if "averageValue" in target else "value"
    average = (
        " (avg)" if key == "averageValue" and spec.get("type") in ("Object", "External") else ""
    )
    return f"{label}{current.get(key, _UNKNOWN)}/{target.get(key)}{average}"


def _percent(value: Any) -> str:
    return _UNKNOWN if value is None else f"{value}%"
