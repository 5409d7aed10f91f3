"""The cells of `kubectl get` that take more than reading one field."""

from __future__ import annotations

import re
from typing import Any

from clusters.objects import Object

_NONE = "<none>"
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
    done = _status(obj).get("succeeded", 0)
    return f"{done}/{wanted}" if wanted is not None else f"{done}/1 of {spec.get('parallelism', 1)}"


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
