"""What simulated clusters truly run, whatever a hub believes: every write, and all at once.

Subscribed to the clusters' own feeds. A cluster *moves* while a Deployment there is not entirely
what its spec says: from the write of an image until the last replica of it is ready.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from clusters.clock import Clock
from clusters.objects import Kind, Object
from clusters.simulation import SimulatedCluster
from clusters.simulation.server.changes import Change

DEPLOYMENT = Kind("apps", "Deployment")
SETTINGS = Kind("", "ConfigMap")
POD = Kind("", "Pod")


@dataclass(frozen=True, slots=True)
class Write:
    """One tag (of an image, or of settings) that a cluster stored, other than what it had."""

    at: datetime
    cluster: str
    app: str
    tag: str

    def __str__(self) -> str:
        return f"{self.cluster} {self.app}:{self.tag}"


class TrueFleet:
    """Every cluster of a story."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._clusters: dict[str, SimulatedCluster] = {}
        self._moving: dict[str, set[str]] = defaultdict(set)
        self.writes: list[Write] = []
        self.most_moving: dict[str, int] = defaultdict(int)
        """Group (`staging` of `staging-1`) → clusters that moved at a time, at most."""

    def join(self, cluster: SimulatedCluster) -> None:
        """Look at one more cluster."""
        self._clusters[cluster.name] = cluster
        cluster.server.subscribe(partial(self._note, cluster.name))

    def forget(self) -> None:
        """Note writes, and count what moves at a time, anew from here."""
        self.writes.clear()
        self.most_moving.clear()

    def moved_within(self, **most: int) -> bool:
        """Did no more than so many clusters of each group ever move at a time?"""
        return all(count <= most[group] for group, count in self.most_moving.items())

    def wanted(self, app: str) -> dict[str, str]:
        """Cluster → the tag that its Deployment, or its settings, ask for."""
        return {
            name: tag_of(found)
            for name, cluster in sorted(self._clusters.items())
            for kind in (DEPLOYMENT, SETTINGS)
            for found in cluster.server.list(kind)[0]
            if found["metadata"]["name"] == app
        }

    def running(self, app: str) -> dict[str, set[str]]:
        """Cluster → tags of its ready pods."""
        return {
            name: {tag_of(p) for p in cluster.server.list(POD)[0] if _is_ready(p, app)}
            for name, cluster in sorted(self._clusters.items())
        }

    def identities(self, app: str) -> set[str]:
        """The uids of its Deployments and Pods in all clusters."""
        return {
            found["metadata"]["uid"]
            for cluster in self._clusters.values()
            for kind in (DEPLOYMENT, POD)
            for found in cluster.server.list(kind)[0]
            if found["metadata"]["name"].startswith(app)
        }

    def got(self, app: str, tag: str) -> list[str]:
        """The clusters that ever had it, in the order in which they got it."""
        return list(dict.fromkeys(w.cluster for w in self.writes if (w.app, w.tag) == (app, tag)))

    def history(self, app: str, group: str) -> list[str]:
        """The tags that the group got, in the order in which the first of it got each."""
        mine = (w for w in self.writes if w.app == app and group_of(w.cluster) == group)
        return list(dict.fromkeys(w.tag for w in mine))

    def _note(self, cluster: str, change: Change) -> None:
        kind, app = change.key.kind_key, change.key.name
        if kind not in (DEPLOYMENT, SETTINGS):
            return
        tag = tag_of(change.object)
        if change.previous is None or tag_of(change.previous) != tag:
            self.writes.append(Write(self._clock.now(), cluster, app, tag))
        if kind == DEPLOYMENT:
            self._note_move(cluster, app, change.object)

    def _note_move(self, cluster: str, app: str, found: Object) -> None:
        if _is_settled(found):
            self._moving[cluster].discard(app)
        else:
            self._moving[cluster].add(app)
        group = group_of(cluster)
        moving = sum(1 for name, apps in self._moving.items() if apps and group_of(name) == group)
        self.most_moving[group] = max(self.most_moving[group], moving)


def group_of(cluster: str) -> str:
    """`staging-1` is in `staging`."""
    return cluster.rpartition("-")[0]


def tag_of(found: Object) -> str:
    """The tag of the first container of a Deployment or Pod, or what a ConfigMap says."""
    if found["kind"] == "ConfigMap":
        return str(found.get("data", {}).get("tag", ""))
    spec = found["spec"]["template"]["spec"] if found["kind"] == "Deployment" else found["spec"]
    return str(spec["containers"][0]["image"]).rpartition(":")[2]


def _is_settled(found: Object) -> bool:
    wanted, status = found["spec"]["replicas"], found.get("status", {})
    counts = (status.get(name, 0) for name in ("replicas", "updatedReplicas", "readyReplicas"))
    seen = status.get("observedGeneration") == found["metadata"]["generation"]
    return seen and all(count == wanted for count in counts)


def _is_ready(pod: Object, app: str) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and pod["metadata"]["labels"].get("app") == app
