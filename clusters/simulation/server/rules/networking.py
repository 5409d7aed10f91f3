"""Networking: Service, Ingress, NetworkPolicy."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from clusters.objects import Object
from clusters.simulation.server.addresses import RANGE
from clusters.simulation.server.names import (
    SUBDOMAIN_WORDS,
    is_subdomain,
    label_causes,
    qualified_causes,
    selector_causes,
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
    PROTOCOLS,
    address_causes,
    choice_or_empty,
    label_name_causes,
    network_causes,
    port_causes,
    port_name_causes,
    port_or_name_causes,
    subdomain_causes,
)

Part = dict[str, Any]
_TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
_REACHED_FROM_OUTSIDE = ("NodePort", "LoadBalancer")
_PATHS = ("Exact", "ImplementationSpecific", "Prefix")


def service_causes(obj: Object) -> Iterable[Cause]:
    """Of a Service."""
    return _service(obj["spec"])


def allocation_causes(obj: Object, live: Object | None) -> Iterable[Cause]:
    """Of the addresses that a Service wants for itself, which are looked at before all else."""
    spec = obj["spec"]
    if spec.get("type") == "ExternalName":
        return
    causes = list(_own_addresses(spec))
    yield from causes
    address = spec.get("clusterIP") or "None"
    has_one = live is not None and live["spec"].get("type") != "ExternalName"
    if causes or has_one or address == "None":
        return
    if ipaddress.ip_address(address) not in RANGE:
        words = f"failed to allocate IP {address}: the provided network does not match the "
        yield wrong("spec.clusterIPs", [address], words + "current range")


def _service(spec: Part) -> Iterable[Cause]:
    kind, ports = spec.get("type"), spec.get("ports") or ()
    headless = spec.get("clusterIP") == "None"
    if not ports and not headless and kind != "ExternalName":
        yield required("spec.ports")
    if headless and kind in _REACHED_FROM_OUTSIDE:
        yield wrong("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {kind} services")
    if kind == "ExternalName":
        yield from _external_name(spec)
    yield from _service_ports(spec, ports)
    yield from label_causes(spec.get("selector") or {}, "spec.selector")
    affinities = ("ClientIP", "None")
    yield from choice_or_empty(spec.get("sessionAffinity"), "spec.sessionAffinity", affinities)
    for index, address in enumerate(spec.get("externalIPs") or ()):
        yield from address_causes(address, f"spec.externalIPs[{index}]")
    yield from choice_or_empty(kind, "spec.type", _TYPES)
    yield from _outside(spec)
    policies = ("Cluster", "Local")
    inner = spec.get("internalTrafficPolicy")
    yield from choice_or_empty(inner, "spec.internalTrafficPolicy", policies)


def _external_name(spec: Part) -> Iterable[Cause]:
    for name in ("clusterIPs", "ipFamilies", "ipFamilyPolicy"):
        if spec.get(name):
            yield forbidden(f"spec.{name}", "may not be set for ExternalName services")
    name = (spec.get("externalName") or "").removesuffix(".")
    if not name:
        yield required("spec.externalName")
    else:
        yield from subdomain_causes(name, "spec.externalName")


def _service_ports(spec: Part, ports: Any) -> Iterable[Cause]:
    names: set[str] = set()
    numbers: set[tuple[Any, Any]] = set()
    doors: set[tuple[Any, Any]] = set()
    for index, port in enumerate(ports):
        path, name = f"spec.ports[{index}]", port.get("name") or ""
        if name:
            yield from label_name_causes(name, f"{path}.name")
            if name in names:
                yield duplicate(f"{path}.name", name)
            names.add(name)
        elif len(ports) > 1:
            yield required(f"{path}.name")
        yield from port_causes(port.get("port", 0), f"{path}.port")
        yield from choice_or_empty(port.get("protocol"), f"{path}.protocol", PROTOCOLS)
        yield from port_or_name_causes(port.get("targetPort", 0), f"{path}.targetPort")
        if port.get("appProtocol") is not None:
            yield from qualified_causes(port["appProtocol"], f"{path}.appProtocol")
        door = port.get("nodePort")
        if door and spec.get("type") == "ClusterIP":
            words = "may not be used when `type` is 'ClusterIP'"
            yield forbidden(f"{path}.nodePort", words)
        if door and (port.get("protocol"), door) in doors:
            yield duplicate(f"{path}.nodePort", door)
        doors.add((port.get("protocol"), door))
        key = (port.get("protocol"), port.get("port"))
        if key in numbers:
            yield duplicate(path, key)
        numbers.add(key)


def _own_addresses(spec: Part) -> Iterable[Cause]:
    policies = ("PreferDualStack", "RequireDualStack", "SingleStack")
    yield from choice_or_empty(spec.get("ipFamilyPolicy"), "spec.ipFamilyPolicy", policies)
    for index, family in enumerate(spec.get("ipFamilies") or ()):
        yield from choice_or_empty(family, f"spec.ipFamilies[{index}]", ("IPv4", "IPv6"))
    for index, address in enumerate(spec.get("clusterIPs") or ()):
        if address != "None" or index:
            yield from address_causes(address, f"spec.clusterIPs[{index}]")


def _outside(spec: Part) -> Iterable[Cause]:
    """How a Service is reached from outside of its cluster."""
    balanced, field = spec.get("type") == "LoadBalancer", "spec.LoadBalancerSourceRanges"
    ranges = spec.get("loadBalancerSourceRanges") or ()
    if ranges and not balanced:
        yield forbidden(field, "may only be used when `type` is 'LoadBalancer'")
    for index, value in enumerate(ranges):
        yield from network_causes(str(value).strip(), f"{field}[{index}]")
    for name in ("allocateLoadBalancerNodePorts", "loadBalancerClass"):
        if spec.get(name) is not None and not balanced:
            yield forbidden(f"spec.{name}", "may only be used when `type` is 'LoadBalancer'")
    outside = spec.get("type") in _REACHED_FROM_OUTSIDE or (
        spec.get("type") == "ClusterIP" and bool(spec.get("externalIPs"))
    )
    policy, field = spec.get("externalTrafficPolicy"), "spec.externalTrafficPolicy"
    if policy and not outside:
        yield wrong(field, policy, "may only be set for externally-accessible services")
    elif policy:
        yield from choice_or_empty(policy, field, ("Cluster", "Local"))


def ingress_causes(obj: Object) -> Iterable[Cause]:
    """Of an Ingress."""
    spec = obj.get("spec") or {}
    rules = spec.get("rules") or ()
    if not rules and spec.get("defaultBackend") is None:
        yield wrong("spec", {}, "either `defaultBackend` or `rules` must be specified")
    if spec.get("defaultBackend") is not None:
        yield from _backend(spec["defaultBackend"], "spec.defaultBackend")
    if spec.get("ingressClassName") is not None:
        yield from subdomain_causes(spec["ingressClassName"], "spec.ingressClassName")
    for index, rule in enumerate(rules):
        path = f"spec.rules[{index}]"
        yield from _host(rule.get("host") or "", f"{path}.host", addresses=False)
        if rule.get("http") is None:
            continue
        paths = rule["http"].get("paths") or ()
        if not paths:
            yield required(f"{path}.http.paths")
        for place, item in enumerate(paths):
            yield from _ingress_path(item, f"{path}.http.paths[{place}]")
    for index, item in enumerate(spec.get("tls") or ()):
        for place, host in enumerate(item.get("hosts") or ()):
            yield from _host(host, f"spec.tls[{index}].hosts[{place}]", addresses=True)
        if item.get("secretName"):
            yield from subdomain_causes(item["secretName"], f"spec.tls[{index}].secretName")


def _host(host: str, field: str, *, addresses: bool) -> Iterable[Cause]:
    if not host:
        return
    if not addresses and _is_address(host):
        yield wrong(field, host, "must be a DNS name, not an IP address")
    elif not is_subdomain(host.removeprefix("*.")):
        yield wrong(field, host, SUBDOMAIN_WORDS)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


_BAD_PARTS = ("//", "/./", "/../", "%2f", "%2F")
_BAD_ENDS = ("/..", "/.")


def _ingress_path(item: Part, path: str) -> Iterable[Cause]:
    kind, value = item.get("pathType"), item.get("path") or ""
    if kind is None:
        yield required(f"{path}.pathType", "pathType must be specified")
        return
    if kind not in _PATHS:
        yield unsupported(f"{path}.pathType", kind, _PATHS)
    elif kind != "ImplementationSpecific" or value:
        if not value.startswith("/"):
            yield wrong(f"{path}.path", value, "must be an absolute path")
        elif kind != "ImplementationSpecific":
            for part in _BAD_PARTS:
                if part in value:
                    yield wrong(f"{path}.path", value, f"must not contain '{part}'")
            for part in _BAD_ENDS:
                if value.endswith(part):
                    yield wrong(f"{path}.path", value, f"cannot end with '{part}'")
    yield from _backend(item.get("backend") or {}, f"{path}.backend")


def _backend(backend: Part, path: str) -> Iterable[Cause]:
    service, resource = backend.get("service"), backend.get("resource")
    if resource is not None and service is not None:
        yield wrong(path, "", "cannot set both resource and service backends")
    elif service is None and resource is None:
        yield wrong(path, "", "resource or service backend is required")
    elif service is not None:
        if not service.get("name"):
            yield required(f"{path}.service.name")
        else:
            yield from label_name_causes(service["name"], f"{path}.service.name")
        port = service.get("port") or {}
        if port.get("name") and port.get("number"):
            yield wrong(path, "", "cannot set both port name & port number")
        elif port.get("name"):
            yield from port_name_causes(port["name"], f"{path}.service.port.name")
        elif port.get("number"):
            yield from port_causes(port["number"], f"{path}.service.port.number")
        else:
            yield required(path, "port name or number is required")


def network_policy_causes(obj: Object) -> Iterable[Cause]:
    """Of a NetworkPolicy."""
    spec = obj.get("spec") or {}
    yield from selector_causes(spec.get("podSelector"), "spec.podSelector")
    for way, end in (("ingress", "from"), ("egress", "to")):
        for index, rule in enumerate(spec.get(way) or ()):
            path = f"spec.{way}[{index}]"
            for place, port in enumerate(rule.get("ports") or ()):
                yield from _policy_port(port, f"{path}.ports[{place}]")
            for place, peer in enumerate(rule.get(end) or ()):
                yield from _peer(peer, f"{path}.{end}[{place}]")
    types = spec.get("policyTypes") or ()
    if len(types) > 2:
        yield wrong("spec.policyTypes", types, "may not specify more than two policyTypes")
    else:
        for index, word in enumerate(types):
            field = f"spec.policyTypes[{index}]"
            yield from choice_or_empty(word, field, ("Ingress", "Egress"))


def _policy_port(item: Part, path: str) -> Iterable[Cause]:
    yield from choice_or_empty(item.get("protocol"), f"{path}.protocol", PROTOCOLS)
    port, end = item.get("port"), item.get("endPort")
    if port is None:
        if end is not None:
            yield required(f"{path}.port", "must be specified when `endPort` is specified")
        return
    yield from port_or_name_causes(port, f"{path}.port")
    if end is not None and isinstance(port, int):
        if end < port:
            yield wrong(f"{path}.endPort", end, "must be greater than or equal to `port`")
        yield from port_causes(end, f"{path}.endPort")
    elif end is not None:
        words = "may not be specified when `port` is non-numeric"
        yield wrong(f"{path}.endPort", end, words)


def _peer(peer: Part, path: str) -> Iterable[Cause]:
    names = ("podSelector", "namespaceSelector", "ipBlock")
    found = [name for name in names if peer.get(name) is not None]
    for name in names[:2]:
        yield from selector_causes(peer.get(name), f"{path}.{name}")
    if "ipBlock" in found:
        yield from _block(peer["ipBlock"], f"{path}.ipBlock")
    if not found:
        yield required(path, "must specify a peer")
    elif len(found) > 1 and "ipBlock" in found:
        yield forbidden(path, "may not specify both ipBlock and another peer")


def _block(block: Part, path: str) -> Iterable[Cause]:
    if not block.get("cidr"):
        yield required(f"{path}.cidr")
        return
    bad = list(network_causes(block["cidr"], f"{path}.cidr"))
    yield from bad
    for index, text in enumerate(block.get("except") or ()):
        field = f"{path}.except[{index}]"
        inner = list(network_causes(text, field))
        yield from inner
        if bad or inner:
            continue
        outer = ipaddress.ip_network(block["cidr"], strict=False)
        part = ipaddress.ip_network(text, strict=False)
        if outer.version != part.version or not _holds(outer, part):
            yield wrong(field, text, "must be a strict subset of `cidr`")


def _holds(
    outer: ipaddress.IPv4Network | ipaddress.IPv6Network,
    part: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> bool:
    return part.network_address in outer and part.prefixlen > outer.prefixlen
