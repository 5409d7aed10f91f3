"""Simulated clusters served over HTTP, for kubectl and every other Kubernetes client.

::

    running = await serve({"stg-1": cluster, …})       on loopback, a free port
    running.url_of("stg-1")                            http://127.0.0.1:PORT/clusters/stg-1
    write_kubeconfig(path, running)                    a context for each cluster
    await running.close()

One module for each part of the protocol: `routes` what a URL means, `verbs` what is done,
`answers` in which form (JSON, Table, metadata only), `protobuf` bodies that are no JSON, `statuses`
how errors look, `streams` watches, `discovery_documents` and `openapi` what is served, `tables`
what `kubectl get` prints.

A partitioned cluster does not answer: the connection is cut. Never terminates TLS, and without
`token` anybody who reaches the port is an administrator, so it listens on loopback by default.
"""

from __future__ import annotations

from clusters.simulation.http.kubeconfig import write_contexts, write_kubeconfig
from clusters.simulation.http.serving import RunningServer, serve

__all__ = ["RunningServer", "serve", "write_contexts", "write_kubeconfig"]
