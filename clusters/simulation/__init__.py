"""Kubernetes clusters in memory: an API server, controllers, faults, and an HTTP face.

    server       the API server: `ApiServer`, synchronous and without sockets
    cluster      `SimulatedCluster`: the `Cluster` protocol over one server, with faults
    schedules    cron expressions as Kubernetes reads them
    controllers  what makes workloads ready, or not, in simulated time
    http         many clusters served over HTTP, for kubectl and other real clients

Product code: `fleet demo` and `fleet simulate` run on it, and the contract tests hold it to the
behaviour of the real thing.
"""

from __future__ import annotations

from clusters.simulation.cluster import KUBERNETES_VERSION, Faults, SimulatedCluster
from clusters.simulation.server import ApiServer, Change, Subscription

__all__ = [
    "KUBERNETES_VERSION",
    "ApiServer",
    "Change",
    "Faults",
    "SimulatedCluster",
    "Subscription",
]
