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
    if not any(column.title == "Age" for column in shown):
        shown.append(Column("Age", lambda obj: obj["metadata"].get("creationTimestamp")))
    shown.insert(0, Column("Name", lambda obj: obj["metadata"]["name"]))
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
        "type": column.type,
        "format": "name" if column.title == "Name" else "",
        "description": column.title,
        "priority": column.priority,
    }


def _row(obj: Object, columns: list[Column], include: str, now: datetime) -> dict[str, Any]:
    values = []
    for column in columns:
        value = column.cell(obj)
        values.append(age_of(value, now) if column.title == "Age" else value)
    row: dict[str, Any] = {"cells": values}
    if include == "Object":
        row["object"] = obj
    elif include != "None":
        row["object"] = partial_metadata(obj)
    return row


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


_CONTAINERS = (
    Column("Containers", cells.container_names, priority=1),
    Column("Images", cells.images, priority=1),
    Column("Selector", cells.selector, priority=1),
)
_ROLE_BINDING = (Column("Role", cells.role_reference),)
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
        Column("Age", lambda obj: obj["metadata"].get("creationTimestamp")),
        Column("Selector", cells.plain_selector, priority=1),
    ),
    Kind("", "Pod"): (
        Column("Ready", cells.pod_ready),
        Column("Status", cells.pod_status),
        Column("Restarts", cells.pod_restarts, "string"),
        Column("Age", lambda obj: obj["metadata"].get("creationTimestamp")),
        Column("IP", _at("status.podIP"), priority=1),
        Column("Node", _at("spec.nodeName"), priority=1),
    ),
    Kind("", "Node"): (
        Column("Status", cells.node_status),
        Column("Roles", cells.node_roles),
        Column("Age", lambda obj: obj["metadata"].get("creationTimestamp")),
        Column("Version", _at("status.nodeInfo.kubeletVersion")),
    ),
    Kind("", "PersistentVolumeClaim"): (
        Column("Status", _at("status.phase")),
        Column("Volume", _at("spec.volumeName", "")),
        Column("Capacity", _at("status.capacity.storage", "")),
        Column("Access Modes", cells.access_modes),
        Column("StorageClass", _at("spec.storageClassName", "")),
    ),
    Kind("", "PersistentVolume"): (
        Column("Capacity", _at("spec.capacity.storage", "")),
        Column("Access Modes", cells.access_modes),
        Column("Reclaim Policy", _at("spec.persistentVolumeReclaimPolicy")),
        Column("Status", _at("status.phase")),
        Column("Claim", cells.claim, "string"),
        Column("StorageClass", _at("spec.storageClassName", "")),
    ),
    Kind("", "Event"): (
        Column("Last Seen", _at("lastTimestamp", "")),
        Column("Type", _at("type", "")),
        Column("Reason", _at("reason", "")),
        Column("Object", cells.event_object),
        Column("Message", _at("message", "")),
    ),
    Kind("", "ServiceAccount"): (),
    Kind("apps", "Deployment"): (
        Column("Ready", cells.ready_of_replicas),
        _number("Up-to-date", "status.updatedReplicas"),
        _number("Available", "status.availableReplicas"),
        Column("Age", lambda obj: obj["metadata"].get("creationTimestamp")),
        *_CONTAINERS,
    ),
    Kind("apps", "StatefulSet"): (
        Column("Ready", cells.ready_of_replicas),
        Column("Age", lambda obj: obj["metadata"].get("creationTimestamp")),
        *_CONTAINERS[:2],
    ),
    Kind("apps", "DaemonSet"): (
        _number("Desired", "status.desiredNumberScheduled"),
        _number("Current", "status.currentNumberScheduled"),
        _number("Ready", "status.numberReady"),
        _number("Up-to-date", "status.updatedNumberScheduled"),
        _number("Available", "status.numberAvailable"),
        Column("Node Selector", cells.node_selector),
        Column("Age", lambda obj: obj["metadata"].get("creationTimestamp")),
        *_CONTAINERS,
    ),
    Kind("apps", "ReplicaSet"): (
        _number("Desired", "spec.replicas"),
        _number("Current", "status.replicas"),
        _number("Ready", "status.readyReplicas"),
        Column("Age", lambda obj: obj["metadata"].get("creationTimestamp")),
        *_CONTAINERS,
    ),
    Kind("batch", "Job"): (
        Column("Status", cells.job_status),
        Column("Completions", cells.job_completions),
        Column("Age", lambda obj: obj["metadata"].get("creationTimestamp")),
        *_CONTAINERS,
    ),
    Kind("batch", "CronJob"): (
        Column("Schedule", _at("spec.schedule")),
        Column("Timezone", _at("spec.timeZone")),
        Column("Suspend", cells.suspended),
        Column("Active", lambda obj: len((obj.get("status") or {}).get("active", ())), "integer"),
        Column("Last Schedule", _at("status.lastScheduleTime")),
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
