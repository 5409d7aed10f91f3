"""What a control plane has no program for here: nodes that run pods, a scheduler, load balancers.

A process beside the control plane, over the driver. Pods become what the words in their images say,
decided by the very function that decides it in the simulation (`controllers.pods`), so that a
crash loop is the same crash loop on both. Never runs anything.

::

    pod without a node ──► bound to the node that its nodeSelector or DaemonSet allows
    pod with a node    ──► its status, again whenever its age changes it
    pod going away     ──► gone, as when its containers have ended
    Service of type LoadBalancer, Ingress ──► an address
    node               ──► Ready, its Lease renewed

`python -m tests.controlplane.kubelet KUBECONFIG [NODE …]` runs until it is ended.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson

from clusters.clock import Clock, SystemClock
from clusters.cluster import EventType
from clusters.errors import ClusterError, ExpiredError, NotFoundError
from clusters.kubernetes import KubernetesCluster
from clusters.kubernetes.connection import Connection, Request
from clusters.kubernetes.credentials import Wanted
from clusters.objects import Kind, Object, ObjectKey, key_of
from clusters.simulation.controllers.decision import SetStatus, merge_patch, read_stamp
from clusters.simulation.controllers.pods import POD, reconcile_pod
from clusters.simulation.controllers.scheduling import node_for
from clusters.simulation.controllers.surroundings import node_object, reconcile_node
from clusters.simulation.controllers.timing import Timing

log = logging.getLogger(__name__)

RENEW_SECONDS = 10.0
AGAIN_SECONDS = 1.0
"""Between two tries of what was refused."""
AT_ONCE = 16
_SERVICE = Kind("", "Service")
_INGRESS = Kind("networking.k8s.io", "Ingress")
_ADDRESS = {"loadBalancer": {"ingress": [{"ip": "192.0.2.10"}]}}
_ROOTS = {POD: "/api/v1", _SERVICE: "/api/v1", _INGRESS: "/apis/networking.k8s.io/v1"}
_PLURALS = {POD: "pods", _SERVICE: "services", _INGRESS: "ingresses"}


@dataclass
class Pods:
    """The pods that are known, and since when: what `reconcile_pod` asks its view for."""

    clock: Clock
    timing: Timing = field(default_factory=Timing)
    seed: int = 0
    known: dict[ObjectKey, Object] = field(default_factory=dict)
    _seen: dict[str, datetime] = field(default_factory=dict)

    def note(self, pod: Object, *, new: bool) -> None:
        """Remember a pod; a new one is as old as the moment in which it was seen."""
        self.known[key_of(pod)] = pod
        metadata = pod["metadata"]
        born = self.clock.now() if new else read_stamp(metadata["creationTimestamp"])
        self._seen.setdefault(metadata["uid"], born)

    def forget(self, pod: Object) -> None:
        """A pod is gone."""
        self.known.pop(key_of(pod), None)
        self._seen.pop(pod["metadata"]["uid"], None)

    def recall(self, obj: Object) -> None:
        """Nothing is remembered between two looks."""

    def since(self, obj: Object) -> datetime:
        """When a pod was made."""
        return self._seen[obj["metadata"]["uid"]]

    def peek(self, key: ObjectKey) -> Object | None:
        """A pod that is known; a claim counts as bound, since nobody provides volumes here."""
        if key.kind == "PersistentVolumeClaim":
            return {"status": {"phase": "Bound"}}
        return self.known.get(key)

    def peek_all(self, kind: Kind, namespace: str = "") -> list[Object]:
        """No other kind is known here."""
        return []

    def content(self, namespace: str) -> Iterator[tuple[str, Object]]:
        """Namespaces are no business of a kubelet."""
        return iter(())

    def children(self, owner: Object, kind: str) -> list[Object]:
        """Pods own nothing."""
        return []


class Kubelet:
    """All nodes of one cluster."""

    def __init__(
        self, cluster: KubernetesCluster, connection: Connection, nodes: Iterable[str]
    ) -> None:
        self._cluster = cluster
        self._connection = connection
        self._clock = SystemClock()
        self._nodes = [node_object(name) for name in nodes]
        self._pods = Pods(self._clock)
        self._waiting: dict[ObjectKey, asyncio.Task[None]] = {}
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def run(self) -> None:
        """Until cancelled."""
        for node in self._nodes:
            await self._cluster.apply(node, manager="kubelet", force=True)
            (ready,) = reconcile_node(node, self._pods, self._clock.now()).writes
            assert isinstance(ready, SetStatus)
            await self._send(
                "PATCH", f"/api/v1/nodes/{ready.key.name}/status", {"status": ready.status}
            )
        async with asyncio.TaskGroup() as group:
            group.create_task(self._renew())
            group.create_task(self._follow(POD, self._take_pod))
            for kind in (_SERVICE, _INGRESS):
                group.create_task(self._follow(kind, self._take_address))

    async def _renew(self) -> None:
        """The heartbeat: without it the control plane gives the nodes up."""
        while True:
            for node in self._nodes:
                await self._ignoring_refusals(
                    self._cluster.apply(_lease(node, self._clock), manager="kubelet", force=True)
                )
            await self._clock.sleep(RENEW_SECONDS)

    async def _follow(self, kind: Kind, take: Callable[[EventType, Object], None]) -> None:
        """Every object of a kind, now and later, through refusals and restarts of the server."""
        while True:
            try:
                async for event, obj in self._changes(kind):
                    take(event, obj)
            except ClusterError as error:
                log.info("following %s: %s", kind, error)
                await self._clock.sleep(AGAIN_SECONDS)

    async def _changes(self, kind: Kind) -> AsyncIterator[tuple[EventType, Object]]:
        listing = await self._cluster.list(kind)
        for obj in listing.items:
            yield EventType.MODIFIED, obj
        version = listing.resource_version
        while True:
            try:
                async for event in self._cluster.watch(kind, resource_version=version):
                    version = event.object["metadata"]["resourceVersion"]
                    if event.type is not EventType.BOOKMARK:
                        yield event.type, event.object
            except ExpiredError:
                return

    def _take_pod(self, event: EventType, pod: Object) -> None:
        if event is EventType.DELETED:
            self._pods.forget(pod)
        else:
            self._pods.note(pod, new=event is EventType.ADDED)
        before = self._waiting.pop(key_of(pod), None)
        if before is not None:
            before.cancel()
        if event is not EventType.DELETED:
            self._waiting[key_of(pod)] = asyncio.create_task(self._look_after(key_of(pod)))

    async def _look_after(self, key: ObjectKey) -> None:
        """One pod until it settles, or until the next event begins this anew."""
        while (pod := self._pods.peek(key)) is not None:
            async with self._slots:
                again_at = await self._reconcile(pod)
            if again_at is None:
                return
            await self._clock.sleep((again_at - self._clock.now()).total_seconds())

    async def _reconcile(self, pod: Object) -> datetime | None:
        """What a pod needs now; when to look again."""
        path, metadata = _path(pod), pod["metadata"]
        if metadata.get("deletionTimestamp"):
            gone = {"gracePeriodSeconds": 0, "preconditions": {"uid": metadata["uid"]}}
            await self._ignoring_refusals(self._send("DELETE", path, gone))
            return None
        node = (
            ""
            if pod["spec"].get("nodeName")
            else node_for(pod["spec"], self._nodes, metadata["name"])
        )
        if node:
            target = {"apiVersion": "v1", "kind": "Node", "name": node}
            binding = {"apiVersion": "v1", "kind": "Binding", "target": target}
            binding["metadata"] = {"name": metadata["name"], "namespace": metadata["namespace"]}
            await self._ignoring_refusals(self._send("POST", f"{path}/binding", binding))
            return None
        outcome = reconcile_pod(pod, self._pods, self._clock.now())
        for write in outcome.writes:
            assert isinstance(write, SetStatus)
            patch = merge_patch(pod.get("status") or {}, write.status)
            await self._ignoring_refusals(self._send("PATCH", f"{path}/status", {"status": patch}))
        return outcome.again_at

    def _take_address(self, event: EventType, obj: Object) -> None:
        status = obj.get("status") or {}
        balanced = "ports" not in obj["spec"] or obj["spec"].get("type") == "LoadBalancer"
        if (
            event is EventType.DELETED
            or not balanced
            or (status.get("loadBalancer") or {}).get("ingress")
        ):
            return
        task = asyncio.create_task(
            self._ignoring_refusals(
                self._send("PATCH", f"{_path(obj)}/status", {"status": _ADDRESS})
            )
        )
        self._waiting[key_of(obj)] = task

    async def _ignoring_refusals(self, deed: Any) -> None:
        """What is refused was overtaken: the event that overtook it brings the next try."""
        try:
            await deed
        except NotFoundError:
            return
        except ClusterError as error:
            log.info("%s", error)

    async def _send(self, method: str, path: str, body: Object) -> Any:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        params = {"fieldManager": "kubelet"} if method == "PATCH" else {}
        return await self._connection.send(
            Request(method, path, f"{method} {path}", params, orjson.dumps(body), kind)
        )


def _path(obj: Object) -> str:
    key = key_of(obj)
    kind = key.kind_key
    return f"{_ROOTS[kind]}/namespaces/{key.namespace}/{_PLURALS[kind]}/{key.name}"


def _lease(node: Object, clock: Clock) -> Object:
    name = node["metadata"]["name"]
    now = clock.now().astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": name, "namespace": "kube-node-lease"},
        "spec": {"holderIdentity": name, "leaseDurationSeconds": 40, "renewTime": now},
    }


async def main(kubeconfig: Path, nodes: list[str]) -> None:
    """Run until cancelled; a cluster that is not there yet is waited for."""
    cluster = await KubernetesCluster.connect(kubeconfig)
    connection = await Connection.open(Wanted(kubeconfig), "fleet-tests-kubelet", SystemClock())
    try:
        await Kubelet(cluster, connection, nodes).run()
    finally:
        await connection.close()
        await cluster.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2:] or ["node-1", "node-2"]))
