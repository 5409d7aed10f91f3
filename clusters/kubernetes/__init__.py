"""The driver for a real API server: the one door to the `kubernetes` package.

    kubeconfig    what the files say of a context; certificates as PEM
    plugin        the program that a kubeconfig may name, run only where that is allowed
    proxies       which proxy the environment asks for
    credentials   these, or a pod's service account → where the server is, how to sign requests
    certificates  TLS settings, and words for a handshake that failed
    rate          how often the server may be asked
    connection    requests and streams over one aiohttp session, with time limits
    refusals      what the server said instead of "yes" → one of `clusters.errors`
    discovery     which kinds are served, cached, unknown kinds remembered
    driver        `KubernetesCluster`, the `Cluster` protocol on top of these

Import it where an agent starts, never in the hub or at the top of a command line: aiohttp loads
with it. `kubernetes` (0.5 s, 12 MiB beside the rest) loads only for a user of an identity provider.
"""

from __future__ import annotations

from clusters.kubernetes.connection import Limits
from clusters.kubernetes.driver import KubernetesCluster
from clusters.kubernetes.rate import Rate

__all__ = ["KubernetesCluster", "Limits", "Rate"]
