"""What `kubectl get` prints: columns and cells for the kinds that people look at.

A column is a title, a kind of value, a priority (0: always, 1: with `-o wide`) and a function
from object to cell. Custom kinds bring columns of their own (`additionalPrinterColumns`); what
has none prints its name and age.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from clusters.objects import Kind, Object
from clusters.simulation.cluster import partial_metadata
from clusters.simulation.http import cells
from clusters.simulation.http.ages import age_of

Cell = Callable[[Object], Any]
_NONE = "<none>"
_MOMENT, _SPAN = "moment", "span"
"""Types of columns whose cell is a time, or two of them: shown as how long ago, and how long."""


class Column(NamedTuple):
    """One column of a kind's table."""

    title: str
    cell: Cell
    type: str = "string"
    priority: int = 0


def table_of(
    kind: Kind,
    items: list[Object],
    *,
    columns: list[dict[str, Any]],
    metadata: dict[str, str],
    include: str,
    now: datetime,
) -> Object:
    """A `Table` of objects of one kind.

    `columns` are a custom kind's printer columns; `include` is `None`, `Metadata` or `Object`.
    """
    shown = [*_columns(kind), *(_custom(column, now) for column in columns)]
    titles = {column.title for column in shown}
    if not titles & {"Age", "Last Seen"}:
        shown.append(_AGE)
    if "Name" not in titles:
        shown.insert(0, _NAME)
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "columnDefinitions": [_definition(column) for column in shown],
        "rows": [_row(obj, shown, include, now) for obj in items],
    }


def _columns(kind: Kind) -> tuple[Column, ...]:
    return _COLUMNS.get(kind, ())


def _definition(column: Column) -> dict[str, Any]:
    return {
        "name": column.title,
        "type": "string" if column.type in (_MOMENT, _SPAN) else column.type,
        "format": "name" if column.title == "Name" else "",
        "description": column.title,
        "priority": column.priority,
    }


def _row(obj: Object, columns: list[Column], include: str, now: datetime) -> dict[str, Any]:
    row: dict[str, Any] = {"cells": [_shown(column, column.cell(obj), now) for column in columns]}
    if include == "Object":
        row["object"] = obj
    elif include != "None":
        row["object"] = partial_metadata(obj)
    return row


def _shown(column: Column, value: Any, now: datetime) -> Any:
    if column.title == "Age":
        return age_of(value, now)
    if column.type == _MOMENT and value and value != _NONE:
        return age_of(value, now)
    if column.type == _SPAN:
        begin, end = value
        return age_of(begin, datetime.fromisoformat(end) if end else now) if begin else ""
    return value


def _custom(column: dict[str, Any], now: datetime) -> Column:
    path, kind = str(column.get("jsonPath", "")), str(column.get("type", "string"))

    def cell(obj: Object) -> Any:
        value = cells.json_path(obj, path)
        is_age = kind == "date" and column.get("name") != "Age"
        return age_of(value, now) if is_age and value is not None else value

    title = str(column.get("name", ""))
    return Column(title, cell, "string" if kind == "date" else kind, column.get("priority", 0))


def _at(path: str, default: Any = _NONE) -> Cell:
    names = path.split(".")

    def cell(obj: Object) -> Any:
        value: Any = obj
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        return default if value is None or value == "" else value

    return cell


def _number(title: str, path: str, priority: int = 0) -> Column:
    return Column(title, _at(path, 0), "integer", priority)


def _node_info(title: str, name: str) -> Column:
    return Column(title, _at(f"status.nodeInfo.{name}", "<unknown>"), priority=1)


_NAME = Column("Name", lambda obj: obj["metadata"]["name"])
_AGE = Column("Age", lambda obj: obj["metadata"].get("creationTimestamp"))
_CONTAINERS = (
    Column("Containers", cells.container_names, priority=1),
    Column("Images", cells.images, priority=1),
    Column("Selector", cells.selector, priority=1),
)
_ROLE_BINDING = (
    Column("Role", cells.role_reference),
    _AGE,
    Column("Users", cells.subjects("User"), priority=1),
    Column("Groups", cells.subjects("Group"), priority=1),
    Column("ServiceAccounts", cells.subjects("ServiceAccount"), priority=1),
)
_COLUMNS: dict[Kind, tuple[Column, ...]] = {
    Kind("", "Namespace"): (Column("Status", _at("status.phase")),),
    Kind("", "ConfigMap"): (Column("Data", cells.data_count, "string"),),
    Kind("", "Secret"): (
        Column("Type", _at("type")),
        Column("Data", cells.data_count, "string"),
    ),
    Kind("", "Service"): (
        Column("Type", _at("spec.type")),
        Column("Cluster-IP", _at("spec.clusterIP")),
        Column("External-IP", cells.external_address),
        Column("Port(s)", cells.service_ports),
        _AGE,
        Column("Selector", cells.plain_selector, priority=1),
    ),
    Kind("", "Pod"): (
        Column("Ready", cells.pod_ready),
        Column("Status", cells.pod_status),
        Column("Restarts", cells.pod_restarts, "string"),
        _AGE,
        Column("IP", _at("status.podIP"), priority=1),
        Column("Node", _at("spec.nodeName"), priority=1),
        Column("Nominated Node", _at("status.nominatedNodeName"), priority=1),
        Column("Readiness Gates", cells.readiness_gates, priority=1),
    ),
    Kind("", "Node"): (
        Column("Status", cells.node_status),
        Column("Roles", cells.node_roles),
        _AGE,
        Column("Version", _at("status.nodeInfo.kubeletVersion")),
        Column("Internal-IP", cells.internal_address, priority=1),
        Column("External-IP", cells.external_node_address, priority=1),
        Column("OS-Image", _at("status.nodeInfo.osImage", "<unknown>"), priority=1),
        Column("Kernel-Version", _at("status.nodeInfo.kernelVersion", "<unknown>"), priority=1),
        Column(
            "Container-Runtime",
            _at("status.nodeInfo.containerRuntimeVersion", "<unknown>"),
            priority=1,
        ),
    ),
    Kind("", "PersistentVolumeClaim"): (
        Column("Status", _at("status.phase")),
        Column("Volume", _at("spec.volumeName", "")),
        Column("Capacity", _at("status.capacity.storage", "")),
        Column("Access Modes", cells.access_modes),
        Column("StorageClass", _at("spec.storageClassName", "")),
        Column("VolumeAttributesClass", _at("spec.volumeAttributesClassName", "<unset>")),
        _AGE,
        Column("VolumeMode", _at("spec.volumeMode", "<unset>"), priority=1),
    ),
    Kind("", "PersistentVolume"): (
        Column("Capacity", _at("spec.capacity.storage", "")),
        Column("Access Modes", cells.access_modes),
        Column("Reclaim Policy", _at("spec.persistentVolumeReclaimPolicy")),
        Column("Status", _at("status.phase")),
        Column("Claim", cells.claim, "string"),
        Column("StorageClass", _at("spec.storageClassName", "")),
        Column("VolumeAttributesClass", _at("spec.volumeAttributesClassName", "<unset>")),
        Column("Reason", _at("status.reason", "")),
        _AGE,
        Column("VolumeMode", _at("spec.volumeMode", "<unset>"), priority=1),
    ),
    Kind("", "Endpoints"): (Column("Endpoints", cells.endpoint_addresses),),
    Kind("", "ResourceQuota"): (
        Column("Request", cells.quota_requests),
        Column("Limit", cells.quota_limits),
    ),
    Kind("discovery.k8s.io", "EndpointSlice"): (
        Column("AddressType", _at("addressType")),
        Column("Ports", cells.slice_ports),
        Column("Endpoints", cells.slice_addresses),
    ),
    Kind("", "Event"): (
        Column("Last Seen", _at("lastTimestamp", ""), _MOMENT),
        Column("Type", _at("type", "")),
        Column("Reason", _at("reason", "")),
        Column("Object", cells.event_object),
        Column("Message", _at("message", "")),
        _NAME._replace(priority=1),
    ),
    Kind("", "ServiceAccount"): (),
    Kind("apps", "Deployment"): (
        Column("Ready", cells.ready_of_replicas),
        _number("Up-to-date", "status.updatedReplicas"),
        _number("Available", "status.availableReplicas"),
        _AGE,
        *_CONTAINERS,
    ),
    Kind("apps", "StatefulSet"): (
        Column("Ready", cells.ready_of_replicas),
        _AGE,
        *_CONTAINERS[:2],
    ),
    Kind("apps", "DaemonSet"): (
        _number("Desired", "status.desiredNumberScheduled"),
        _number("Current", "status.currentNumberScheduled"),
        _number("Ready", "status.numberReady"),
        _number("Up-to-date", "status.updatedNumberScheduled"),
        _number("Available", "status.numberAvailable"),
        Column("Node Selector", cells.node_selector),
        _AGE,
        *_CONTAINERS,
    ),
    Kind("apps", "ReplicaSet"): (
        _number("Desired", "spec.replicas"),
        _number("Current", "status.replicas"),
        _number("Ready", "status.readyReplicas"),
        _AGE,
        *_CONTAINERS,
    ),
    Kind("apps", "ControllerRevision"): (
        Column("Controller", cells.controller),
        _number("Revision", "revision"),
    ),
    Kind("batch", "Job"): (
        Column("Status", cells.job_status),
        Column("Completions", cells.job_completions),
        Column("Duration", cells.job_span, _SPAN),
        _AGE,
        *_CONTAINERS,
    ),
    Kind("batch", "CronJob"): (
        Column("Schedule", _at("spec.schedule")),
        Column("Timezone", _at("spec.timeZone")),
        Column("Suspend", cells.suspended),
        Column("Active", lambda obj: len((obj.get("status") or {}).get("active", ())), "integer"),
        Column("Last Schedule", _at("status.lastScheduleTime"), _MOMENT),
        _AGE,
        *_CONTAINERS,
    ),
    Kind("networking.k8s.io", "Ingress"): (
        Column("Class", _at("spec.ingressClassName")),
        Column("Hosts", cells.ingress_hosts),
        Column("Address", cells.ingress_address),
        Column("Ports", lambda obj: "80, 443" if obj["spec"].get("tls") else "80"),
    ),
    Kind("networking.k8s.io", "IngressClass"): (
        Column("Controller", _at("spec.controller")),
        Column("Parameters", _at("spec.parameters.name")),
    ),
    Kind("networking.k8s.io", "NetworkPolicy"): (
        Column("Pod-Selector", lambda obj: cells.selector_text(obj["spec"].get("podSelector"))),
    ),
    Kind("autoscaling", "HorizontalPodAutoscaler"): (
        Column("Reference", cells.scale_target),
        Column("Targets", cells.scale_metrics),
        Column("MinPods", _at("spec.minReplicas"), "string"),
        Column("MaxPods", _at("spec.maxReplicas"), "string"),
        _number("Replicas", "status.currentReplicas"),
    ),
    Kind("policy", "PodDisruptionBudget"): (
        Column("Min Available", _at("spec.minAvailable", "N/A")),
        Column("Max Unavailable", _at("spec.maxUnavailable", "N/A")),
        _number("Allowed Disruptions", "status.disruptionsAllowed"),
    ),
    Kind("rbac.authorization.k8s.io", "RoleBinding"): _ROLE_BINDING,
    Kind("rbac.authorization.k8s.io", "ClusterRoleBinding"): _ROLE_BINDING,
    Kind("storage.k8s.io", "StorageClass"): (
        Column("Provisioner", _at("provisioner")),
        Column("ReclaimPolicy", _at("reclaimPolicy")),
        Column("VolumeBindingMode", _at("volumeBindingMode")),
        Column("AllowVolumeExpansion", _at("allowVolumeExpansion", False), "boolean"),
    ),
    Kind("scheduling.k8s.io", "PriorityClass"): (
        Column("Value", _at("value", 0), "integer"),
        Column("Global-Default", _at("globalDefault", False), "boolean"),
    ),
    Kind("coordination.k8s.io", "Lease"): (Column("Holder", _at("spec.holderIdentity")),),
    Kind("apiextensions.k8s.io", "CustomResourceDefinition"): (
        Column("Created At", lambda obj: obj["metadata"].get("creationTimestamp")),
    ),
}
