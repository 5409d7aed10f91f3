"""StatefulSets go one after the other, and keep their names, their claims and their history."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.objects import Object, ObjectKey
from tests.clusters.controllers.lab import Lab, images, revisions, workload

DB = ObjectKey("apps", "StatefulSet", "default", "db")


def stateful_set(image: str, replicas: int = 3, **spec: Any) -> Object:
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


def test_no_more_pods_are_replaced_at_once_than_may_be_missing() -> None:
    lab = Lab()
    strategy = {"rollingUpdate": {"maxUnavailable": 2}}
    for image in ("db:1", "db:2"):
        lab.apply(stateful_set(image, 5, updateStrategy=strategy))
        lab.run(0 if image == "db:2" else 15)
    ready = []
    for _ in range(100):
        ready.append(lab.status(DB)["readyReplicas"])
        lab.run(0.1)
    assert min(ready) == 3
    assert images(lab, "db") == ["db:2"] * 5


def test_parallel_pods_that_do_not_serve_are_replaced_at_once() -> None:
    lab = Lab()
    for image in ("db:1-neverready", "db:2"):
        lab.apply(stateful_set(image, podManagementPolicy="Parallel"))
        lab.run(5)
    assert images(lab, "db") == ["db:2"] * 3


def test_a_pod_below_the_partition_comes_back_as_it_was() -> None:
    lab = Lab()
    strategy = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    for image in ("db:1", "db:2"):
        lab.apply(stateful_set(image, updateStrategy=strategy))
        lab.run(10)
    lab.server.delete(ObjectKey("", "Pod", "default", "db-0"))
    lab.run(10)
    assert images(lab, "db") == ["db:1", "db:1", "db:2"]
    assert lab.status(DB)["currentReplicas"] == 2


def test_its_templates_are_kept_as_revisions_up_to_the_limit() -> None:
    lab = Lab()
    for image in ("db:1", "db:2", "db:3", "db:4", "db:3"):
        lab.apply(stateful_set(image, revisionHistoryLimit=1))
        lab.run(15)
    assert revisions(lab) == {4: "db:4", 5: "db:3"}
    present = lab.status(DB)["updateRevision"]
    labels = {pod["metadata"]["labels"]["controller-revision-hash"] for pod in lab.pods(app="db")}
    assert labels == {present}


@pytest.mark.parametrize(
    ("policy", "after_scaling", "after_deletion"),
    [
        ({}, 3, 3),
        ({"whenScaled": "Delete"}, 1, 1),
        ({"whenDeleted": "Delete"}, 3, 0),
        ({"whenScaled": "Delete", "whenDeleted": "Delete"}, 1, 0),
    ],
)
def test_claims_stay_unless_the_policy_says_otherwise(
    policy: Object, after_scaling: int, after_deletion: int
) -> None:
    lab = Lab()
    more: Object = {"persistentVolumeClaimRetentionPolicy": policy} if policy else {}
    lab.apply(stateful_set("db:1", **more))
    lab.run(10)
    lab.apply(stateful_set("db:1", 1, **more))
    lab.run(10)
    assert len(lab.kinds("", "PersistentVolumeClaim")) == after_scaling
    lab.server.delete(DB)
    lab.run(10)
    assert len(lab.kinds("", "PersistentVolumeClaim")) == after_deletion


def test_a_policy_that_changes_reaches_claims_that_are_there() -> None:
    lab = Lab()
    lab.apply(stateful_set("db:1", 1))
    lab.run(5)
    policy = {"whenDeleted": "Delete"}
    lab.apply(stateful_set("db:1", 1, persistentVolumeClaimRetentionPolicy=policy))
    lab.run(5)
    lab.server.delete(DB)
    lab.run(60)
    assert lab.kinds("", "PersistentVolumeClaim") == []
