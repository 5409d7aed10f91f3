"""Containers of a pod: names, ports, environment, probes, resources, mounts, security."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

from clusters.simulation.server.names import is_qualified
from clusters.simulation.server.quantities import read_quantity
from clusters.simulation.server.rejections import (
    Cause,
    duplicate,
    forbidden,
    required,
    wrong,
)
from clusters.simulation.server.rules.checks import (
    PROTOCOLS,
    choice_or_empty,
    label_name_causes,
    negative_causes,
    port_causes,
    port_name_causes,
    port_or_name_causes,
    subdomain_causes,
)

Part = dict[str, Any]
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_COUNTS = (
    "initialDelaySeconds",
    "timeoutSeconds",
    "periodSeconds",
    "successThreshold",
    "failureThreshold",
)
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")
_RESOURCES = ("cpu", "memory", "ephemeral-storage")
_ENV_NAME = re.compile(r"^[ -<>-~]+$")
_ENV_WORDS = (
    "a valid environment variable name must consist only of printable ASCII characters other "
    "than '='"
)
_MAX_ID = 2**31 - 1


def container_causes(spec: Part, path: str, volumes: frozenset[str]) -> Iterator[Cause]:
    """All that is wrong with the containers of a pod's spec, which can mount `volumes`."""
    containers = spec.get("containers") or []
    if not containers:
        yield required(f"{path}.containers")
    seen: set[str] = set()
    for group in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(group) or ()):
            where = f"{path}.{group}[{index}]"
            yield from _common(container, where, volumes)
            name = container.get("name") or ""
            if name in seen:
                yield duplicate(f"{where}.name", name)
            seen.add(name)
            if group == "containers" or container.get("restartPolicy") == "Always":
                yield from _hooks(container, where)
            else:
                yield from _unhooked(container, where)
    yield from _host_ports(containers, f"{path}.containers", hosted=bool(spec.get("hostNetwork")))


def _common(container: Part, path: str, volumes: frozenset[str]) -> Iterable[Cause]:
    name = container.get("name") or ""
    if name:
        yield from label_name_causes(name, f"{path}.name")
    else:
        yield required(f"{path}.name")
    if not container.get("image"):
        yield required(f"{path}.image")
    policies = ("Always", "IfNotPresent", "Never")
    yield from choice_or_empty(
        container.get("imagePullPolicy"), f"{path}.imagePullPolicy", policies
    )
    choices = ("File", "FallbackToLogsOnError")
    field = f"{path}.terminationMessagePolicy"
    yield from choice_or_empty(container.get("terminationMessagePolicy"), field, choices)
    yield from _ports(container.get("ports") or (), f"{path}.ports")
    yield from _environment(container, path)
    yield from _mounts(container.get("volumeMounts") or (), f"{path}.volumeMounts", volumes)
    yield from resource_causes(container.get("resources") or {}, f"{path}.resources")
    security = container.get("securityContext") or {}
    yield from identity_causes(security, f"{path}.securityContext")
    if security.get("privileged") and security.get("allowPrivilegeEscalation") is False:
        words = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
        yield wrong(f"{path}.securityContext", "", words)


def _ports(ports: Iterable[Part], path: str) -> Iterable[Cause]:
    names: set[str] = set()
    for index, port in enumerate(ports):
        where, name = f"{path}[{index}]", port.get("name") or ""
        if name:
            bad = list(port_name_causes(name, f"{where}.name"))
            yield from bad
            if not bad and name in names:
                yield duplicate(f"{where}.name", name)
            names.add(name)
        if not port.get("containerPort"):
            yield required(f"{where}.containerPort")
        else:
            yield from port_causes(port["containerPort"], f"{where}.containerPort")
        if port.get("hostPort"):
            yield from port_causes(port["hostPort"], f"{where}.hostPort")
        yield from choice_or_empty(port.get("protocol"), f"{where}.protocol", PROTOCOLS)


def _host_ports(containers: Iterable[Part], path: str, *, hosted: bool) -> Iterable[Cause]:
    """On a node, a protocol, address and port are one container's."""
    taken: set[tuple[Any, ...]] = set()
    for index, container in enumerate(containers):
        for place, port in enumerate(container.get("ports") or ()):
            number, where = port.get("hostPort"), f"{path}[{index}].ports[{place}]"
            if not number:
                continue
            if hosted and number != port.get("containerPort"):
                words = "must match `containerPort` when `hostNetwork` is true"
                yield wrong(f"{where}.hostPort", number, words)
            key = (port.get("protocol"), port.get("hostIP"), number)
            if key in taken:
                yield duplicate(f"{where}.hostPort", key)
            taken.add(key)


def _environment(container: Part, path: str) -> Iterable[Cause]:
    for index, entry in enumerate(container.get("env") or ()):
        where, name = f"{path}.env[{index}]", entry.get("name") or ""
        if not name:
            yield required(f"{where}.name")
        elif not _ENV_NAME.match(name):
            yield wrong(f"{where}.name", name, _ENV_WORDS)
        origin = entry.get("valueFrom")
        if origin is not None:
            yield from _value_from(entry, origin, f"{where}.valueFrom")
    for index, entry in enumerate(container.get("envFrom") or ()):
        where = f"{path}.envFrom[{index}]"
        found = [name for name in ("configMapRef", "secretRef") if entry.get(name) is not None]
        if len(found) != 1:
            words = "must specify one of: `configMapRef` or `secretRef`"
            yield wrong(where, "", "may not have more than one field specified" if found else words)
        for name in found:
            if not entry[name].get("name"):
                yield required(f"{where}.{name}.name")


def _value_from(entry: Part, origin: Part, path: str) -> Iterable[Cause]:
    found = [name for name in _SOURCES if origin.get(name) is not None]
    for name in found:
        for key in ("name", "key") if name.endswith("KeyRef") else ():
            if not origin[name].get(key):
                yield required(f"{path}.{name}.{key}")
    if "fieldRef" in found and not origin["fieldRef"].get("fieldPath"):
        yield required(f"{path}.fieldRef.fieldPath")
    if not found:
        choice = "`fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        yield wrong(path, "", f"must specify one of: {choice}")
    elif entry.get("value"):
        yield wrong(path, "", "may not be specified when `value` is not empty")
    elif len(found) > 1:
        yield wrong(path, "", "may not have more than one field specified at a time")


def _mounts(mounts: Iterable[Part], path: str, volumes: frozenset[str]) -> Iterable[Cause]:
    places: set[str] = set()
    for index, mount in enumerate(mounts):
        where, name, at = f"{path}[{index}]", mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            yield required(f"{where}.name")
        if name not in volumes:
            yield Cause(f"{where}.name", "FieldValueNotFound", f'Not found: "{name}"')
        if not at:
            yield required(f"{where}.mountPath")
        if at in places:
            yield wrong(f"{where}.mountPath", at, "must be unique")
        places.add(at)


def resource_causes(resources: Part, path: str) -> Iterable[Cause]:
    """Of the resources that a container asks for."""
    limits = resources.get("limits") or {}
    for group in ("limits", "requests"):
        for name, text in (resources.get(group) or {}).items():
            where, amount = f"{path}.{group}[{name}]", read_quantity(str(text)).value
            standard = name in _RESOURCES or name.startswith("hugepages-")
            if not standard and ("/" not in name or not is_qualified(name)):
                yield wrong(where, name, "must be a standard resource for containers")
            if amount < 0:
                yield wrong(where, text, "must be greater than or equal to 0")
            if group == "requests" and name in limits:
                yield from _within(name, amount, str(limits[name]), f"{path}.requests")


def _within(name: str, amount: Decimal, limit: str, field: str) -> Iterable[Cause]:
    most = read_quantity(limit).value
    overcommits = name in _RESOURCES
    if amount > most:
        yield wrong(field, str(amount), f"must be less than or equal to {name} limit of {limit}")
    elif not overcommits and amount != most:
        yield wrong(field, str(amount), f"must be equal to {name} limit of {limit}")


def identity_causes(security: Part, path: str) -> Iterable[Cause]:
    """The numbers of users and groups in a security context."""
    for name in ("runAsUser", "runAsGroup", "fsGroup"):
        value = security.get(name)
        if isinstance(value, int) and not 0 <= value <= _MAX_ID:
            yield wrong(f"{path}.{name}", value, f"must be between 0 and {_MAX_ID}, inclusive")


def _hooks(container: Part, path: str) -> Iterable[Cause]:
    lifecycle = container.get("lifecycle") or {}
    for name in ("postStart", "preStop"):
        if lifecycle.get(name) is not None:
            yield from _handler(lifecycle[name], f"{path}.lifecycle.{name}")
    for name in _PROBES:
        probe, where = container.get(name), f"{path}.{name}"
        if probe is None:
            continue
        yield from _handler(probe, where)
        yield from negative_causes(probe, where, *_COUNTS)
        if name != "readinessProbe" and probe.get("successThreshold", 1) != 1:
            yield wrong(f"{where}.successThreshold", probe["successThreshold"], "must be 1")


def _unhooked(container: Part, path: str) -> Iterable[Cause]:
    """Of an init container that ends: nothing looks at it while it runs."""
    for name in ("lifecycle", *_PROBES):
        if container.get(name) is not None:
            words = "may not be set for init containers without restartPolicy=Always"
            yield forbidden(f"{path}.{name}", words)


def _handler(handler: Part, path: str) -> Iterable[Cause]:
    found = [name for name in _HANDLERS if handler.get(name) is not None]
    if not found:
        yield required(path, "must specify a handler type")
    for name in found[1:]:
        yield forbidden(f"{path}.{name}", "may not specify more than 1 handler type")
    for name in found[:1]:
        yield from _action(name, handler[name], f"{path}.{name}")


def _action(name: str, action: Part, path: str) -> Iterable[Cause]:
    if name == "exec" and not action.get("command"):
        yield required(f"{path}.command")
    if name == "httpGet":
        if not action.get("path"):
            yield required(f"{path}.path")
        yield from choice_or_empty(action.get("scheme"), f"{path}.scheme", ("HTTP", "HTTPS"))
    if name in ("httpGet", "tcpSocket", "grpc"):
        yield from port_or_name_causes(action.get("port"), f"{path}.port")


def reference_causes(spec: Part, path: str) -> Iterable[Cause]:
    """Names of other objects in a pod's spec."""
    for name in ("serviceAccountName", "priorityClassName", "runtimeClassName"):
        if spec.get(name):
            yield from subdomain_causes(spec[name], f"{path}.{name}")
