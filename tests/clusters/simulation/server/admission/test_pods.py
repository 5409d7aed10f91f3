"""What a new pod must refer to rightly: its ServiceAccount and its PriorityClass."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.errors import AdmissionError
from clusters.objects import Kind, Object, key_of
from tests.clusters.simulation.samples import new_server
from tests.clusters.simulation.server.admission.policies import pod

ONE = key_of(pod())


def account(**fields: Any) -> Object:
    metadata = {"name": "runner", "namespace": "default"}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, **fields}


def priority_class(name: str, value: int, **fields: Any) -> Object:
    return {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "metadata": {"name": name},
        "value": value,
        **fields,
    }


def test_an_account_that_is_not_there_refuses_the_pod() -> None:
    server = new_server()
    with pytest.raises(AdmissionError) as refused:
        server.create(pod(serviceAccountName="runner"))
    assert str(refused.value) == (
        'pods "one" is forbidden: error looking up service account default/runner: '
        'serviceaccount "runner" not found'
    )
    server.create(account(imagePullSecrets=[{"name": "registry"}]))
    spec = server.create(pod(serviceAccountName="runner"))["spec"]
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("runner", "runner")
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    own = [{"name": "own"}]
    spec = server.create(pod("two", serviceAccountName="runner", imagePullSecrets=own))["spec"]
    assert spec["imagePullSecrets"] == own


def test_a_pod_outlives_its_account() -> None:
    server = new_server()
    server.create(account())
    server.create(pod(serviceAccountName="runner"))
    server.delete(key_of(account()))
    server.patch(ONE, {"metadata": {"labels": {"a": "b"}}})


def test_the_default_account_is_waited_for_and_so_never_missing() -> None:
    spec = new_server().create(pod())["spec"]
    assert (spec["serviceAccountName"], spec["serviceAccount"]) == ("default", "default")
    assert "imagePullSecrets" not in spec


def test_a_priority_class_that_is_not_there_refuses_the_pod() -> None:
    with pytest.raises(AdmissionError) as refused:
        new_server().create(pod(priorityClassName="urgent"))
    words = 'pods "one" is forbidden: no PriorityClass with name urgent was found'
    assert str(refused.value) == words


@pytest.mark.parametrize(
    ("name", "value"),
    [("system-cluster-critical", 2000000000), ("system-node-critical", 2000001000)],
)
def test_the_system_classes_are_there_from_the_start(name: str, value: int) -> None:
    server = new_server()
    names = {
        item["metadata"]["name"]
        for item in server.peek_all(Kind("scheduling.k8s.io", "PriorityClass"))
    }
    assert names == {"system-cluster-critical", "system-node-critical"}
    assert server.create(pod(priorityClassName=name))["spec"]["priority"] == value


def test_a_pod_takes_priority_and_preemption_from_its_class() -> None:
    server = new_server()
    server.create(priority_class("batch", -5, preemptionPolicy="Never"))
    spec = server.create(pod(priorityClassName="batch"))["spec"]
    assert (spec["priority"], spec["preemptionPolicy"]) == (-5, "Never")
    spec = server.patch(ONE, {"metadata": {"labels": {"a": "b"}}})["spec"]
    assert (spec["priority"], spec["preemptionPolicy"]) == (-5, "Never")
    whole = server.get(ONE)
    del whole["spec"]["priority"], whole["spec"]["preemptionPolicy"]
    spec = server.update(whole)["spec"]
    assert (spec["priority"], spec["preemptionPolicy"]) == (-5, "Never")


def test_without_a_class_a_pod_has_priority_zero_or_that_of_the_global_default() -> None:
    server = new_server()
    spec = server.create(pod())["spec"]
    assert (spec["priority"], spec["preemptionPolicy"]) == (0, "PreemptLowerPriority")
    assert "priorityClassName" not in spec
    server.create(priority_class("usual", 10, globalDefault=True))
    spec = server.create(pod("two"))["spec"]
    assert (spec["priority"], spec["priorityClassName"]) == (10, "usual")


@pytest.mark.parametrize("field", ["priority", "preemptionPolicy"])
def test_a_pod_may_not_choose_against_its_class(field: str) -> None:
    chosen: dict[str, Any] = {"priority": 7, "preemptionPolicy": "Never"}
    with pytest.raises(AdmissionError, match="must not be provided in pod spec"):
        new_server().create(pod(**{field: chosen[field]}))


def test_only_one_class_is_the_default() -> None:
    server = new_server()
    server.create(priority_class("usual", 10, globalDefault=True))
    words = "PriorityClass usual is already marked as default. Only one default can exist"
    with pytest.raises(AdmissionError, match=words):
        server.create(priority_class("other", 20, globalDefault=True))
    server.apply(priority_class("usual", 10, globalDefault=True, description="d"), manager="m")
