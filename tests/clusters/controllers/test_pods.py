"""A pod looks as `kubectl get pods` expects it, whatever becomes of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.objects import Object, ObjectKey
from clusters.simulation.controllers import Timing
from clusters.simulation.controllers.pods import restarts_by
from tests.clusters.controllers.lab import Lab, deployment


def only_pod(image: str, seconds: float, timing: Timing | None = None) -> Object:
    """The pod of a Deployment of one, so many seconds after it was applied."""
    lab = Lab(timing=timing or Timing(pod_ready=(1.0, 1.0)))
    lab.apply(deployment(image, 1))
    lab.run(seconds)
    (pod,) = lab.pods(app="web")
    return pod


def container(pod: Object) -> Object:
    """The status of its only container."""
    (status,) = pod["status"]["containerStatuses"]
    found: Object = status
    return found


def ready(pod: Object) -> str:
    """The pod's Ready condition."""
    return str(next(c["status"] for c in pod["status"]["conditions"] if c["type"] == "Ready"))


def test_a_young_pod_is_being_created() -> None:
    pod = only_pod("web:1", 0.5)
    assert pod["status"]["phase"] == "Pending"
    assert container(pod)["state"] == {"waiting": {"reason": "ContainerCreating"}}
    assert ready(pod) == "False"


def test_a_pod_that_runs_has_an_address_and_a_node() -> None:
    pod = only_pod("web:1", 2)
    assert pod["status"]["phase"] == "Running"
    assert pod["status"]["podIP"].startswith("10.244.")
    assert pod["spec"]["nodeName"] == "node-1"
    assert "running" in container(pod)["state"]
    assert (container(pod)["ready"], ready(pod)) == (True, "True")


def test_a_crash_loop_restarts_ever_more_rarely() -> None:
    counts = [container(only_pod("web:crashloop", after))["restartCount"] for after in (1.5, 9, 90)]
    assert counts == [0, 3, 6]
    pod = only_pod("web:crashloop", 9)
    assert container(pod)["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert container(pod)["lastState"]["terminated"]["exitCode"] == 1
    assert (pod["status"]["phase"], ready(pod)) == ("Running", "False")


def test_restarts_go_on_every_five_minutes_at_last() -> None:
    early = container(only_pod("web:crashloop", 3000))["restartCount"]
    late = container(only_pod("web:crashloop", 6000))["restartCount"]
    assert late - early == 10


@given(st.floats(0.001, 400.0))
def test_restarts_always_go_on_and_never_stand_still(first_seconds: float) -> None:
    born = datetime(2030, 1, 1, tzinfo=UTC)
    now = first = born + timedelta(seconds=first_seconds)
    for _ in range(40):
        count, due = restarts_by(born, first, now)
        assert due > now
        later, _ = restarts_by(born, first, due)
        assert count <= later <= count + 1
        now = due


def test_a_pod_that_is_never_ready_runs_all_the_same() -> None:
    pod = only_pod("web:neverready", 1000)
    assert (pod["status"]["phase"], ready(pod)) == ("Running", "False")
    assert container(pod)["restartCount"] == 0


def test_an_image_that_cannot_be_pulled_says_so() -> None:
    pod = only_pod("web:pullerror", 5)
    assert pod["status"]["phase"] == "Pending"
    assert container(pod)["state"]["waiting"]["reason"] == "ImagePullBackOff"


def test_a_slow_image_takes_its_own_time() -> None:
    timing = Timing(pod_ready=(1.0, 1.0), slow=(20.0, 20.0))
    assert ready(only_pod("web:slow", 19, timing)) == "False"
    assert ready(only_pod("web:slow", 21, timing)) == "True"


@pytest.mark.parametrize("key", ["containers", "initContainers"])
def test_a_pod_is_as_bad_as_its_worst_container(key: str) -> None:
    lab = Lab()
    bad = deployment("web:1", 1)
    spec = bad["spec"]["template"]["spec"]
    spec[key] = [*spec.get(key, ()), {"name": "side", "image": "side:neverready"}]
    lab.apply(bad)
    lab.run(10)
    (pod,) = lab.pods(app="web")
    assert ready(pod) == "False"


def test_a_pod_that_no_node_fits_stays_pending() -> None:
    lab = Lab()
    picky = deployment("web:1", 1)
    picky["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "ssd"}
    lab.apply(picky)
    lab.run(10)
    (pod,) = lab.pods(app="web")
    assert "nodeName" not in pod["spec"]
    assert pod["status"]["conditions"][0]["reason"] == "Unschedulable"


def test_a_pod_of_nobody_is_put_on_a_node_as_soon_as_one_fits() -> None:
    lab = Lab(nodes=())
    key = lab.apply(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": "tool", "namespace": "default"},
            "spec": {"containers": [{"name": "main", "image": "tool:1"}]},
        }
    )
    lab.run(10)
    assert lab.condition(key, "PodScheduled") == ("False", "Unschedulable")
    lab.server.create({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "late"}})
    lab.run(10)
    assert lab.see(key)["spec"]["nodeName"] == "late"
    assert ready(lab.see(key)) == "True"


def test_what_a_cordoned_node_does_not_take_runs_when_it_is_open_again() -> None:
    lab = Lab()
    node = ObjectKey("", "Node", "", "node-1")
    lab.server.patch(node, {"spec": {"unschedulable": True}}, manager="admin")
    web = lab.apply(deployment("web:1", 1))
    lab.run(3)
    (pod,) = lab.pods(app="web")
    assert pod["status"]["conditions"][0]["reason"] == "Unschedulable"
    lab.server.patch(node, {"spec": {"unschedulable": False}}, manager="admin")
    lab.run(3)
    assert lab.status(web)["readyReplicas"] == 1
