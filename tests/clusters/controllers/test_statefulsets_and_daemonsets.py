"""StatefulSets go one after the other; DaemonSets run on every node that they may."""

from __future__ import annotations

from clusters.objects import Object, ObjectKey
from tests.clusters.controllers.lab import Lab, deployment, workload

DB = ObjectKey("apps", "StatefulSet", "default", "db")
AGENT = ObjectKey("apps", "DaemonSet", "default", "agent")


def stateful_set(image: str, replicas: int = 3, **spec: object) -> Object:
    """A StatefulSet with a claim for each pod."""
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }
    more = {"serviceName": "db", "replicas": replicas, "volumeClaimTemplates": [claim], **spec}
    return workload("StatefulSet", image, "db", **more)


def images(lab: Lab, app: str) -> list[str]:
    """Images of an app's pods, by name of pod."""
    return [pod["spec"]["containers"][0]["image"] for pod in lab.pods(app=app)]


def test_pods_come_one_after_the_other_each_when_the_last_is_ready() -> None:
    lab = Lab()
    lab.apply(stateful_set("db:1"))
    seen = []
    for _ in range(60):
        lab.run(0.1)
        pods, ready = len(lab.pods(app="db")), lab.status(DB).get("readyReplicas", 0)
        assert pods <= ready + 1
        seen.append(pods)
    assert sorted(seen) == seen
    assert [pod["metadata"]["name"] for pod in lab.pods(app="db")] == ["db-0", "db-1", "db-2"]
    assert lab.status(DB)["availableReplicas"] == 3
    assert lab.status(DB)["currentRevision"] == lab.status(DB)["updateRevision"]


def test_each_pod_has_a_claim_that_is_bound_and_outlives_it() -> None:
    lab = Lab()
    lab.apply(stateful_set("db:1"))
    lab.run(10)
    claims = lab.kinds("", "PersistentVolumeClaim")
    assert {claim["metadata"]["name"] for claim in claims} == {f"data-db-{n}" for n in range(3)}
    assert {claim["status"]["phase"] for claim in claims} == {"Bound"}
    assert len(lab.kinds("", "PersistentVolume")) == 3
    volumes = lab.pods(app="db")[0]["spec"]["volumes"]
    assert {"name": "data", "persistentVolumeClaim": {"claimName": "data-db-0"}} in volumes
    lab.server.delete(DB)
    lab.run(5)
    assert lab.pods(app="db") == []
    assert len(lab.kinds("", "PersistentVolumeClaim")) == 3


def test_a_claim_that_is_deleted_takes_its_volume_along() -> None:
    lab = Lab()
    lab.apply(stateful_set("db:1", 1))
    lab.run(10)
    lab.server.delete(DB)
    lab.server.delete(ObjectKey("", "PersistentVolumeClaim", "default", "data-db-0"))
    lab.run(1)
    assert lab.kinds("", "PersistentVolume") == []


def test_an_update_goes_from_the_last_pod_to_the_first() -> None:
    lab = Lab()
    lab.apply(stateful_set("db:1"))
    lab.run(10)
    lab.apply(stateful_set("db:2"))
    orders = set()
    for _ in range(80):
        lab.run(0.1)
        assert len(lab.pods(app="db")) >= 2
        orders.add(tuple(images(lab, "db")))
    assert ("db:1", "db:1", "db:2") in orders
    assert ("db:2", "db:1", "db:1") not in orders
    assert images(lab, "db") == ["db:2"] * 3
    assert lab.status(DB)["currentRevision"] == lab.status(DB)["updateRevision"]


def test_a_partition_holds_the_pods_below_it() -> None:
    lab = Lab()
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    for image in ("db:1", "db:2"):
        lab.apply(stateful_set(image, updateStrategy=strategy))
        lab.run(10)
    assert images(lab, "db") == ["db:1", "db:1", "db:2"]
    assert lab.status(DB)["updatedReplicas"] == 1


def test_a_broken_pod_stops_an_update_until_it_is_deleted() -> None:
    lab = Lab()
    for image in ("db:1", "db:2-crashloop", "db:3"):
        lab.apply(stateful_set(image))
        lab.run(10)
    assert images(lab, "db") == ["db:1", "db:1", "db:2-crashloop"]
    lab.server.delete(ObjectKey("", "Pod", "default", "db-2"))
    lab.run(10)
    assert images(lab, "db") == ["db:3"] * 3


def test_parallel_pods_wait_for_nobody() -> None:
    lab = Lab()
    lab.apply(stateful_set("db:1-neverready", podManagementPolicy="Parallel"))
    lab.run(0.1)
    assert len(lab.pods(app="db")) == 3


def test_parallel_pods_are_updated_one_by_one_all_the_same() -> None:
    lab = Lab()
    for image in ("db:1", "db:2"):
        lab.apply(stateful_set(image, podManagementPolicy="Parallel"))
        lab.run(0.05 if image == "db:2" else 10)
    for _ in range(80):
        lab.run(0.1)
        assert lab.status(DB)["readyReplicas"] >= 2
    assert images(lab, "db") == ["db:2"] * 3


def test_scaling_down_takes_the_highest_ordinals() -> None:
    lab = Lab()
    lab.apply(stateful_set("db:1"))
    lab.run(10)
    lab.apply(stateful_set("db:1", 1))
    lab.run(10)
    assert [pod["metadata"]["name"] for pod in lab.pods(app="db")] == ["db-0"]


def test_a_daemon_set_has_a_pod_on_every_node_that_fits() -> None:
    lab = Lab(nodes=("a", "b", "c"))
    lab.apply(workload("DaemonSet", "agent:1", "agent"))
    lab.run(5)
    assert {pod["spec"]["nodeName"] for pod in lab.pods(app="agent")} == {"a", "b", "c"}
    status = lab.status(AGENT)
    names = ("desiredNumberScheduled", "currentNumberScheduled", "numberReady", "numberAvailable")
    assert [status[name] for name in names] == [3, 3, 3, 3]
    picky = workload("DaemonSet", "agent:1", "agent")
    picky["spec"]["template"]["spec"]["nodeSelector"] = {"kubernetes.io/hostname": "b"}
    lab.apply(picky)
    lab.run(5)
    assert [pod["spec"]["nodeName"] for pod in lab.pods(app="agent")] == ["b"]


def test_a_daemon_set_follows_nodes_that_come_and_go() -> None:
    lab = Lab(nodes=("a",))
    lab.apply(workload("DaemonSet", "agent:1", "agent"))
    lab.run(5)
    node: Object = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "b"}}
    lab.server.create(node, manager="kubelet")
    lab.run(5)
    assert lab.status(AGENT)["numberReady"] == 2
    lab.server.delete(ObjectKey("", "Node", "", "a"))
    lab.run(5)
    assert [pod["spec"]["nodeName"] for pod in lab.pods(app="agent")] == ["b"]


def test_a_daemon_set_replaces_one_pod_at_a_time() -> None:
    lab = Lab(nodes=("a", "b", "c"))
    lab.apply(workload("DaemonSet", "agent:1", "agent"))
    lab.run(5)
    lab.apply(workload("DaemonSet", "agent:2", "agent"))
    for _ in range(60):
        lab.run(0.1)
        assert lab.status(AGENT)["numberReady"] >= 2
    assert images(lab, "agent") == ["agent:2"] * 3
    assert lab.status(AGENT)["updatedNumberScheduled"] == 3


def test_pods_of_a_deployment_spread_over_the_nodes() -> None:
    lab = Lab(nodes=("a", "b", "c"))
    lab.apply(deployment("web:1", 20))
    lab.run(5)
    assert {pod["spec"]["nodeName"] for pod in lab.pods(app="web")} == {"a", "b", "c"}
