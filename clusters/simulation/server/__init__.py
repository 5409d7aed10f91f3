"""A Kubernetes API server in memory: synchronous, deterministic, without sockets.

One `ApiServer` is one cluster's control plane, minus its controllers. Every verb takes and
returns plain dicts that are copies, raises `clusters.errors`, and is finished when it returns:
there are no threads, no tasks and no timers in here.

::

    server = ApiServer(clock, seed=7, name="prd-eu-1")
    server.apply(obj, manager="fleet/shop")          create or merge, with managedFields
    server.patch(key, {"status": …}, manager="kube-controller-manager", subresource="status")
    server.delete(key)                               finalizers, owner references, namespaces

**Change feed**, for controllers and watches, and the only way anything learns of a write:

    stop = server.subscribe(callback)    `callback(change: Change)` after each write, in order
    server.peek(key)                     the stored object itself or None: cheap, READ ONLY
    server.peek_all(kind, namespace="")  the stored objects of a kind: cheap, READ ONLY

A callback is called inside the verb that wrote, after the write is complete; it notes what it
saw (a dirty set) and returns. It must not write to the server: that is for the next
`Controllers.step(now)`. `Change.object` and `Change.previous` are the stored objects themselves.
`Change.revision` is the cluster-wide counter and grows by one with each change.

**Webhooks.** `server.webhooks[name] = function(Review) -> Verdict` answers in place of a program.

Never: makes a workload ready, talks to a network, reads the machine's clock or dice.
"""

from __future__ import annotations

from clusters.simulation.server.admission.reviews import Review, Verdict, denial
from clusters.simulation.server.api import ApiServer
from clusters.simulation.server.changes import Change, Subscription

__all__ = ["ApiServer", "Change", "Review", "Subscription", "Verdict", "denial"]
