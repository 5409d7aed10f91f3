"""Addresses and node ports of Services, handed out in order from the usual ranges.

Deterministic: the same writes give the same addresses. Numbers are not reused, which a
simulation does not live long enough to notice.
"""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

from clusters.objects import Object

RANGE = ip_network("10.96.0.0/16")
_NODE_PORT_TYPES = ("NodePort", "LoadBalancer")
_FIRST_NODE_PORT = 30000


class Addresses:
    """What one cluster has handed out."""

    def __init__(self) -> None:
        self._addresses = 0
        self._node_ports = 0

    def complete(self, service: Object, previous: Object | None) -> None:
        """Give a Service (the caller's own copy) its addresses; `previous` keeps those it had."""
        spec = service["spec"]
        old = (previous or {}).get("spec", {})
        if spec.get("type") == "ExternalName":
            return
        if not spec.get("clusterIP"):
            spec["clusterIP"] = old.get("clusterIP") or self._next_address()
        spec["clusterIPs"] = [spec["clusterIP"]]
        declined = spec.get("allocateLoadBalancerNodePorts") is False
        if spec.get("type") in _NODE_PORT_TYPES and not declined:
            self._node_port_numbers(spec, old)

    def _next_address(self) -> str:
        self._addresses += 1
        number = self._addresses + 10
        return f"10.96.{number // 250 % 256}.{number % 250 + 1}"

    def _node_port_numbers(self, spec: dict[str, Any], old: dict[str, Any]) -> None:
        known = {
            (port.get("port"), port.get("protocol")): port.get("nodePort")
            for port in old.get("ports", ())
        }
        for port in spec.get("ports", ()):
            if not port.get("nodePort"):
                kept = known.get((port.get("port"), port.get("protocol")))
                port["nodePort"] = kept or self._next_node_port()

    def _next_node_port(self) -> int:
        self._node_ports += 1
        return _FIRST_NODE_PORT + self._node_ports % 2768
