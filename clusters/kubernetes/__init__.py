"""The driver for a real API server: the one door to the `kubernetes` package.

    credentials  kubeconfig or service account → where the server is and how to sign requests
    connection   requests and streams over one aiohttp session, with time limits
    refusals     what the server said instead of "yes" → one of `clusters.errors`
    discovery    which kinds are served, cached, unknown kinds remembered
    driver       `KubernetesCluster`, the `Cluster` protocol on top of these

Import it where an agent starts, never in the hub or at the top of a command line: aiohttp loads
with it, and `kubernetes` (0.4 s, 48 MB) with the first `connect`.
"""

from __future__ import annotations

from clusters.kubernetes.driver import KubernetesCluster

__all__ = ["KubernetesCluster"]
