"""Which proxy the environment asks for, by the rules that kubectl and every Go program follow.

HTTPS_PROXY or HTTP_PROXY by the server's scheme, small letters first; NO_PROXY lists hosts with
their subdomains (`.example.com` without the host itself), addresses, networks such as 10.0.0.0/8
(which Python's own rules do not know, and which name most clusters' services), each with a port
if it is to count for that alone, or `*`. Never a proxy to this machine. Pure: the environment is
an argument.
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit


def proxy_for(url: str, environment: Mapping[str, str]) -> str | None:
    """The proxy's address for a server, `None` if it is to be reached directly."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    proxy = _variable(f"{parts.scheme}_proxy", environment)
    if not proxy or _is_this_machine(host):
        return None
    excepted = _variable("no_proxy", environment).split(",")
    if any(_covers(entry.strip().lower(), host, port) for entry in excepted):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _variable(name: str, environment: Mapping[str, str]) -> str:
    return environment.get(name) or environment.get(name.upper()) or ""


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _covers(entry: str, host: str, port: int) -> bool:
    """Whether one entry of NO_PROXY names this host."""
    if entry in ("", "*"):
        return entry == "*"
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:
        pass  # one of the two is a name, or the entry has a port
    name, _, named_port = entry.rpartition(":")
    if name and named_port.isdigit():
        if int(named_port) != port:
            return False
        entry = name.strip("[]")
    domain = "." + entry.removeprefix("*").lstrip(".")
    return f".{host}".endswith(domain) and (not entry.startswith((".", "*")) or host != domain[1:])
