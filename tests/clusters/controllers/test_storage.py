"""A claim is bound to a volume that fits it, or to one made for it, as its class says."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.objects import Object, ObjectKey
from clusters.simulation.controllers import Timing
from tests.clusters.controllers.lab import Lab, deployment

DATA = ObjectKey("", "PersistentVolumeClaim", "default", "data")


def claim(**spec: Any) -> Object:
    """A claim for one gibibyte."""
    resources = {"requests": {"storage": "1Gi"}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": "default"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": resources, **spec},
    }


def storage_class(name: str, *, default: bool = False, **fields: str) -> Object:
    """A StorageClass."""
    annotations = {"storageclass.kubernetes.io/is-default-class": str(default).lower()}
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name, "annotations": annotations},
        "provisioner": "example.com/disks",
        **fields,
    }


def volume(name: str, size: str = "1Gi", **spec: Any) -> Object:
    """A volume that somebody has made."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "labels": {"disk": name}},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": size},
            "hostPath": {"path": "/data"},
            "persistentVolumeReclaimPolicy": "Retain",
            **spec,
        },
    }


def phase(lab: Lab) -> str:
    """Where the claim is."""
    return str(lab.status(DATA)["phase"])


def bound_to(lab: Lab) -> str:
    """The claim's volume, empty if it has none."""
    return str(lab.see(DATA)["spec"].get("volumeName", ""))


def with_data(replicas: int = 1) -> Object:
    """A Deployment whose pods use the claim."""
    web = deployment("web:1", replicas)
    volumes = [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}]
    web["spec"]["template"]["spec"]["volumes"] = volumes
    return web


def test_a_claim_without_a_class_takes_the_default_whenever_that_comes() -> None:
    lab = Lab()
    for obj in (storage_class("slow"), storage_class("fast", default=True)):
        lab.apply(obj)
    lab.apply(claim())
    lab.run(1)
    assert lab.see(DATA)["spec"]["storageClassName"] == "fast"
    (made,) = lab.kinds("", "PersistentVolume")
    assert made["spec"]["storageClassName"] == "fast"
    assert made["spec"]["claimRef"]["uid"] == lab.see(DATA)["metadata"]["uid"]
    assert (phase(lab), made["status"]["phase"]) == ("Bound", "Bound")
    lab.server.apply(claim(), manager="fleet/shop")  # who says no class has no conflict


@pytest.mark.parametrize("spec", [{}, {"storageClassName": "only-in-the-real-cluster"}])
def test_a_class_that_is_not_there_provides_all_the_same(spec: Object) -> None:
    lab = Lab()
    lab.apply(claim(**spec))
    lab.run(1)
    assert phase(lab) == "Bound"


def test_a_claim_that_waits_for_its_first_consumer_is_bound_when_a_pod_has_its_node() -> None:
    lab = Lab(timing=Timing(volume=(1.0, 1.0)), nodes=("a",))
    lab.apply(storage_class("late", volumeBindingMode="WaitForFirstConsumer"))
    lab.apply(claim(storageClassName="late"))
    assert lab.run(100) is None
    assert phase(lab) == "Pending"
    lab.apply(with_data())
    lab.run(0.9)
    assert phase(lab) == "Pending"
    lab.run(5)
    assert phase(lab) == "Bound"
    (pod,) = lab.pods(app="web")
    assert pod["status"]["phase"] == "Running"


def test_a_claim_with_the_empty_class_waits_for_a_volume_that_fits() -> None:
    lab = Lab()
    lab.apply(claim(storageClassName=""))
    lab.apply(with_data())
    lab.run(100)
    assert phase(lab) == "Pending"
    (pod,) = lab.pods(app="web")
    assert pod["status"]["phase"] == "Pending"
    for obj in (
        volume("small", "500Mi"),
        volume("shared", accessModes=["ReadOnlyMany"]),
        volume("classy", storageClassName="fast"),
        volume("large", "9Gi"),
    ):
        lab.apply(obj)
    lab.run(5)
    assert bound_to(lab) == "large"
    assert lab.status(DATA)["capacity"] == {"storage": "9Gi"}
    assert lab.pods(app="web")[0]["status"]["phase"] == "Running"


def test_the_smallest_volume_that_is_there_is_taken_before_one_is_made() -> None:
    lab = Lab()
    for name, size in (("huge", "50Gi"), ("right", "2Gi")):
        lab.apply(volume(name, size, storageClassName="fast"))
    lab.apply(storage_class("fast"))
    lab.apply(claim(storageClassName="fast"))
    lab.run(1)
    assert bound_to(lab) == "right"
    assert len(lab.kinds("", "PersistentVolume")) == 2


@pytest.mark.parametrize(
    ("spec", "expected"),
    [({"volumeName": "b"}, "b"), ({"selector": {"matchLabels": {"disk": "c"}}}, "c"), ({}, "a")],
)
def test_a_claim_may_name_its_volume_or_its_labels(spec: Object, expected: str) -> None:
    lab = Lab()
    for name in "abc":
        lab.apply(volume(name))
    lab.apply(claim(storageClassName="", **spec))
    lab.run(1)
    assert bound_to(lab) == expected
    assert phase(lab) == "Bound"


def test_a_volume_kept_for_another_claim_is_not_taken() -> None:
    lab = Lab()
    lab.apply(volume("kept", claimRef={"namespace": "default", "name": "other"}))
    lab.apply(claim(storageClassName=""))
    lab.run(1)
    assert bound_to(lab) == ""
    lab.apply(volume("mine", claimRef={"namespace": "default", "name": "data"}))
    lab.apply(claim(storageClassName=""))
    lab.run(1)
    assert lab.kinds("", "PersistentVolume")[1]["metadata"]["name"] == "mine"


@pytest.mark.parametrize(("policy", "left"), [("Delete", []), ("Retain", ["Released"])])
def test_a_class_says_what_becomes_of_the_volume(policy: str, left: list[str]) -> None:
    lab = Lab()
    lab.apply(storage_class("fast", reclaimPolicy=policy))
    lab.apply(claim(storageClassName="fast"))
    lab.run(1)
    lab.server.delete(DATA)
    lab.run(1)
    assert [v["status"]["phase"] for v in lab.kinds("", "PersistentVolume")] == left


def test_a_volume_that_nobody_claims_is_available() -> None:
    lab = Lab()
    key = lab.apply(volume("free"))
    lab.run(0)
    assert lab.status(key)["phase"] == "Available"


def test_a_claim_that_a_pod_uses_goes_only_with_the_pod() -> None:
    lab = Lab()
    lab.apply(claim())
    lab.apply(with_data())
    lab.run(5)
    assert lab.see(DATA)["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    lab.server.delete(DATA)
    lab.run(100)
    assert "deletionTimestamp" in lab.see(DATA)["metadata"]
    assert bound_to(lab) in {v["metadata"]["name"] for v in lab.kinds("", "PersistentVolume")}
    lab.server.delete(ObjectKey("apps", "Deployment", "default", "web"))
    lab.run(60)
    assert lab.kinds("", "PersistentVolumeClaim") == lab.kinds("", "PersistentVolume") == []


def test_a_volume_that_a_claim_has_goes_only_with_the_claim() -> None:
    lab = Lab()
    key = lab.apply(volume("kept"))
    lab.apply(claim(storageClassName=""))
    lab.run(1)
    lab.server.delete(key)
    lab.run(100)
    assert "deletionTimestamp" in lab.see(key)["metadata"]
    lab.server.delete(DATA)
    lab.run(1)
    assert lab.kinds("", "PersistentVolume") == []


def test_a_binding_is_noted_on_the_claim() -> None:
    lab = Lab()
    for name in "ab":
        lab.apply(volume(name))
    lab.apply(claim(storageClassName=""))
    lab.run(1)
    assert lab.see(DATA)["metadata"]["annotations"] == {
        "pv.kubernetes.io/bind-completed": "yes",
        "pv.kubernetes.io/bound-by-controller": "yes",
    }
    named = claim(storageClassName="", volumeName="b")
    named["metadata"]["name"] = "named"
    other = lab.apply(named)
    lab.run(1)
    assert lab.see(other)["metadata"]["annotations"] == {"pv.kubernetes.io/bind-completed": "yes"}
