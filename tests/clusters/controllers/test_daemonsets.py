"""DaemonSets run on every node that they may, and replace their pods a few at a time."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.objects import Object, ObjectKey
from tests.clusters.controllers.lab import Lab, deployment, images, revisions, workload

AGENT = ObjectKey("apps", "DaemonSet", "default", "agent")


def daemon_set(image: str, strategy: Object | None = None, **pod: Any) -> Object:
    """A DaemonSet whose pods have these fields in their spec."""
    found = workload("DaemonSet", image, "agent")
    found["spec"]["template"]["spec"] |= pod
    if strategy:
        found["spec"]["updateStrategy"] = {"rollingUpdate": strategy}
    return found


def tainted(name: str, effect: str = "NoSchedule", **spec: Any) -> Object:
    """A node that keeps pods away."""
    taints = [{"key": "gpu", "value": "yes", "effect": effect}]
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"disk": "ssd", "size": "9"}},
        "spec": {"taints": taints, **spec},
    }


def nodes_of(lab: Lab) -> list[str]:
    """Where the pods are."""
    return sorted(pod["spec"]["nodeName"] for pod in lab.pods(app="agent"))


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


@pytest.mark.parametrize(
    ("pod", "nodes"),
    [
        ({}, ["a"]),
        ({"tolerations": [{"key": "gpu", "operator": "Exists"}]}, ["a", "b"]),
        ({"tolerations": [{"operator": "Exists"}]}, ["a", "b"]),
        ({"tolerations": [{"key": "gpu", "value": "no"}]}, ["a"]),
        ({"tolerations": [{"key": "gpu", "value": "yes", "effect": "NoExecute"}]}, ["a"]),
    ],
)
def test_a_taint_keeps_pods_away_that_do_not_tolerate_it(pod: Object, nodes: list[str]) -> None:
    lab = Lab(nodes=("a",))
    lab.server.create(tainted("b"), manager="m")
    lab.apply(daemon_set("agent:1", **pod))
    lab.run(5)
    assert nodes_of(lab) == nodes
    assert lab.status(AGENT)["desiredNumberScheduled"] == len(nodes)


def test_a_cordoned_node_gets_daemons_but_no_other_pods() -> None:
    lab = Lab(nodes=("a", "b"))
    cordon = {"spec": {"unschedulable": True}}
    lab.server.patch(ObjectKey("", "Node", "", "b"), cordon, manager="kubectl-cordon")
    lab.apply(daemon_set("agent:1"))
    lab.apply(deployment("web:1", 8))
    lab.run(5)
    assert nodes_of(lab) == ["a", "b"]
    assert {pod["spec"]["nodeName"] for pod in lab.pods(app="web")} == {"a"}


@pytest.mark.parametrize(("effect", "nodes"), [("NoSchedule", ["a", "b"]), ("NoExecute", ["a"])])
def test_a_new_taint_drives_pods_away_only_if_it_says_so(effect: str, nodes: list[str]) -> None:
    lab = Lab(nodes=("a", "b"))
    lab.apply(daemon_set("agent:1"))
    lab.run(5)
    taint = {"spec": {"taints": [{"key": "gpu", "effect": effect}]}}
    lab.server.patch(ObjectKey("", "Node", "", "b"), taint, manager="m")
    lab.run(5)
    assert nodes_of(lab) == nodes
    assert lab.status(AGENT)["numberMisscheduled"] == len(nodes) - 1


@pytest.mark.parametrize(
    ("expression", "nodes"),
    [
        ({"key": "disk", "operator": "In", "values": ["ssd"]}, ["b"]),
        ({"key": "disk", "operator": "NotIn", "values": ["ssd"]}, ["a"]),
        ({"key": "disk", "operator": "Exists"}, ["b"]),
        ({"key": "disk", "operator": "DoesNotExist"}, ["a"]),
        ({"key": "size", "operator": "Gt", "values": ["8"]}, ["b"]),
        ({"key": "size", "operator": "Lt", "values": ["8"]}, []),
    ],
)
def test_required_node_affinity_selects_nodes(expression: Object, nodes: list[str]) -> None:
    lab = Lab(nodes=("a",))
    lab.server.create(tainted("b"), manager="m")
    required = {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}
    name = "requiredDuringSchedulingIgnoredDuringExecution"
    affinity = {"nodeAffinity": {name: required}}
    lab.apply(daemon_set("agent:1", affinity=affinity, tolerations=[{"operator": "Exists"}]))
    lab.run(5)
    assert nodes_of(lab) == nodes


def test_with_a_surge_the_new_pod_serves_before_the_old_one_goes() -> None:
    lab = Lab(nodes=("a", "b", "c"))
    strategy = {"maxSurge": 1, "maxUnavailable": 0}
    for image in ("agent:1", "agent:2"):
        lab.apply(daemon_set(image, strategy))
        for _ in range(80):
            lab.run(0.1)
            assert len(lab.pods(app="agent")) <= 4
            assert image == "agent:1" or lab.status(AGENT)["numberReady"] == 3
    assert images(lab, "agent") == ["agent:2"] * 3


def test_its_templates_are_kept_as_revisions() -> None:
    lab = Lab()
    for image in ("agent:1", "agent:2", "agent:1"):
        lab.apply(daemon_set(image))
        lab.run(10)
    assert revisions(lab) == {2: "agent:2", 3: "agent:1"}
    (pod,) = lab.pods(app="agent")
    digest = pod["metadata"]["labels"]["controller-revision-hash"]
    names = {r["metadata"]["name"] for r in lab.kinds("apps", "ControllerRevision")}
    assert f"agent-{digest}" in names
