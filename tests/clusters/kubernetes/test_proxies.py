"""Which proxy the environment means, by the rules of Go's programs."""

from __future__ import annotations

import pytest

from clusters.kubernetes.proxies import proxy_for

PROXY = "http://proxy.example:3128"
SERVER = "https://api.eu.example.com:6443"


def chosen(url: str, no_proxy: str = "") -> bool:
    """Whether a server is reached by the proxy."""
    found = proxy_for(url, {"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy})
    assert found in (None, PROXY)
    return found is not None


def test_the_schemes_own_variable_counts_and_small_letters_come_first() -> None:
    both = {"HTTPS_PROXY": "http://big", "https_proxy": "http://small"}
    assert proxy_for(SERVER, both) == "http://small"
    assert proxy_for("http://api.example.com", both) is None
    assert proxy_for("http://api.example.com", {"HTTP_PROXY": "p:1"}) == "http://p:1"
    assert proxy_for(SERVER, {}) is None


@pytest.mark.parametrize(
    ("url", "no_proxy", "by_proxy"),
    [
        (SERVER, "", True),
        (SERVER, "*", False),
        (SERVER, "example.com", False),
        (SERVER, ".example.com", False),
        (SERVER, "*.example.com", False),
        (SERVER, "other.org, example.com", False),
        (SERVER, "EU.example.COM", False),
        (SERVER, "ample.com", True),
        (SERVER, "example.com:6443", False),
        (SERVER, "example.com:443", True),
        ("https://example.com", ".example.com", True),
        ("https://example.com", "example.com:443", False),
        ("https://10.96.0.1", "10.0.0.0/8", False),
        ("https://10.96.0.1", "10.0.0.0/16", True),
        ("https://10.96.0.1", "10.96.0.1", False),
        ("https://10.96.0.1:6443", "10.96.0.1:6443", False),
        ("https://10.96.0.1:6443", "10.96.0.1:443", True),
        ("https://[fd00::1]:6443", "fd00::/8", False),
        ("https://[fd00::1]:6443", "[fd00::1]:6443", False),
        ("https://127.0.0.1:6443", "", False),
        ("https://[::1]:6443", "", False),
        ("https://localhost:6443", "", False),
    ],
)
def test_no_proxy_names_hosts_domains_networks_and_ports(
    url: str, no_proxy: str, by_proxy: bool
) -> None:
    assert chosen(url, no_proxy) is by_proxy
