"""A Deployment becomes ready in time, rolls over within its limits, or says that it cannot."""

from __future__ import annotations

import pytest

from clusters.objects import Kind, Object, ObjectKey
from clusters.simulation.controllers import Timing
from tests.clusters.controllers.lab import Lab, deployment

WEB = ObjectKey("apps", "Deployment", "default", "web")
REPLICA_SET = Kind("apps", "ReplicaSet")
REVISION = "deployment.kubernetes.io/revision"
DESIRED = "deployment.kubernetes.io/desired-replicas"


def sets(lab: Lab) -> dict[str, int]:
    """Replicas by revision."""
    return {
        found["metadata"]["annotations"][REVISION]: found["spec"]["replicas"]
        for found in all_sets(lab)
    }


def image_of(pod: Object) -> str:
    """The image of a pod's only container."""
    return str(pod["spec"]["containers"][0]["image"])


def sizes(lab: Lab) -> dict[str, int]:
    """Replicas by image."""
    return {
        image_of(found["spec"]["template"]): found["spec"]["replicas"] for found in all_sets(lab)
    }


def all_sets(lab: Lab) -> list[Object]:
    """The ReplicaSets."""
    return lab.kinds("apps", "ReplicaSet")


def test_a_deployment_is_ready_after_the_time_that_pods_take() -> None:
    lab = Lab(timing=Timing(pod_ready=(1.0, 2.0)))
    lab.apply(deployment("web:1"))
    lab.run(0.9)
    assert lab.status(WEB)["unavailableReplicas"] == 3
    assert "readyReplicas" not in lab.status(WEB)
    assert lab.condition(WEB, "Available") == ("False", "MinimumReplicasUnavailable")
    lab.run(1.2)
    status = lab.status(WEB)
    names = ("replicas", "updatedReplicas", "readyReplicas", "availableReplicas")
    assert [status[name] for name in names] == [3, 3, 3, 3]
    assert "unavailableReplicas" not in status
    assert status["observedGeneration"] == lab.see(WEB)["metadata"]["generation"]
    assert lab.condition(WEB, "Available") == ("True", "MinimumReplicasAvailable")
    assert lab.condition(WEB, "Progressing") == ("True", "NewReplicaSetAvailable")


def test_a_cluster_at_rest_has_nothing_due() -> None:
    lab = Lab()
    lab.apply(deployment("web:1"))
    assert lab.run(5) is None
    before = lab.server.resource_version
    lab.run(3600)
    assert lab.server.resource_version == before


def test_equal_seeds_give_equal_histories_and_others_differ() -> None:
    def history(seed: int) -> list[tuple[str, str, str]]:
        lab = Lab(seed=seed)
        lab.apply(deployment("web:1"))
        lab.run(0.8)
        lab.apply(deployment("web:2"))
        lab.run(5)
        return [
            (change.type, str(change.key), str(change.object.get("status", {}).get("phase")))
            for change in lab.journal.changes
        ]

    assert history(7) == history(7)
    assert history(7) != history(8)


def test_a_new_image_rolls_over_within_the_limits() -> None:
    lab = Lab()
    lab.apply(deployment("web:1"))
    lab.run(5)
    lab.apply(deployment("web:2"))
    ready = []
    for _ in range(100):
        lab.run(0.1)
        ready.append(lab.status(WEB).get("readyReplicas", 0))
        assert len(lab.pods(app="web")) <= 4
    assert min(ready) >= 3
    assert {image_of(pod) for pod in lab.pods(app="web")} == {"web:2"}
    assert sets(lab) == {"1": 0, "2": 3}
    assert lab.see(WEB)["metadata"]["annotations"][REVISION] == "2"


def test_a_template_that_comes_back_finds_its_replica_set() -> None:
    lab = Lab()
    for image in ("web:1", "web:2", "web:1"):
        lab.apply(deployment(image))
        lab.run(20)
    assert sets(lab) == {"2": 0, "3": 3}


def test_recreate_never_runs_two_versions_at_once() -> None:
    lab = Lab()
    strategy = {"type": "Recreate"}
    lab.apply(deployment("web:1", strategy=strategy))
    lab.run(5)
    lab.apply(deployment("web:2", strategy=strategy))
    for _ in range(50):
        lab.run(0.1)
        assert len({image_of(pod) for pod in lab.pods(app="web")}) <= 1
    assert lab.status(WEB)["readyReplicas"] == 3


@pytest.mark.parametrize("image", ["web:2-crashloop", "web:2-neverready", "web:2-pullerror"])
def test_a_bad_image_never_becomes_available_and_passes_its_deadline(image: str) -> None:
    lab = Lab()
    lab.apply(deployment("web:1"))
    lab.run(5)
    lab.apply(deployment(image, progressDeadlineSeconds=30))
    lab.run(25)
    assert lab.condition(WEB, "Progressing") == ("True", "ReplicaSetUpdated")
    lab.run(15)
    assert lab.condition(WEB, "Progressing") == ("False", "ProgressDeadlineExceeded")
    assert lab.condition(WEB, "Available")[0] == "True"  # the old pods go on serving
    assert lab.status(WEB)["unavailableReplicas"] == 1
    assert lab.status(WEB)["updatedReplicas"] == 1
    assert [image_of(pod) for pod in lab.pods(app="web")].count("web:1") == 3


def test_a_revert_after_a_bad_image_heals() -> None:
    lab = Lab()
    lab.apply(deployment("web:1"))
    lab.run(5)
    lab.apply(deployment("web:2-crashloop", progressDeadlineSeconds=10))
    lab.run(30)
    lab.apply(deployment("web:1", progressDeadlineSeconds=10))
    lab.run(10)
    assert lab.condition(WEB, "Progressing") == ("True", "NewReplicaSetAvailable")
    assert {image_of(pod) for pod in lab.pods(app="web")} == {"web:1"}
    assert "unavailableReplicas" not in lab.status(WEB)


def test_a_pod_that_somebody_deletes_is_replaced_and_no_deadline_is_blamed() -> None:
    lab = Lab()
    lab.apply(deployment("web:1", progressDeadlineSeconds=10))
    lab.run(100)
    victim = lab.pods(app="web")[0]["metadata"]
    lab.server.delete(ObjectKey("", "Pod", "default", victim["name"]))
    lab.run(0.1)
    assert len(lab.pods(app="web")) == 3
    assert lab.status(WEB)["readyReplicas"] == 2
    assert lab.condition(WEB, "Progressing")[0] == "True"
    lab.run(5)
    assert lab.status(WEB)["readyReplicas"] == 3
    assert victim["uid"] not in {pod["metadata"]["uid"] for pod in lab.pods()}


def test_scaling_by_hand_is_followed_and_changes_no_revision() -> None:
    lab = Lab()
    lab.apply(deployment("web:1"))
    lab.run(5)
    lab.server.patch(WEB, {"spec": {"replicas": 5}}, manager="kubectl-edit")
    lab.run(5)
    assert lab.status(WEB)["readyReplicas"] == 5
    lab.server.patch(WEB, {"spec": {"replicas": 0}}, manager="kubectl-edit")
    lab.run(5)
    assert lab.pods(app="web") == []
    assert sets(lab) == {"1": 0}


def test_a_paused_deployment_scales_but_does_not_roll() -> None:
    lab = Lab()
    lab.apply(deployment("web:1"))
    lab.run(5)
    lab.apply(deployment("web:2", 4, paused=True))
    lab.run(5)
    assert {image_of(pod) for pod in lab.pods(app="web")} == {"web:1"}
    lab.apply(deployment("web:2", 4))
    lab.run(10)
    assert [image_of(pod) for pod in lab.pods(app="web")] == ["web:2"] * 4


def test_old_revisions_are_kept_up_to_the_limit() -> None:
    lab = Lab()
    for number in range(5):
        lab.apply(deployment(f"web:{number}", 1, revisionHistoryLimit=2))
        lab.run(10)
    assert sets(lab) == {"3": 0, "4": 0, "5": 1}


def test_pods_count_as_available_only_after_min_ready_seconds() -> None:
    lab = Lab()
    lab.apply(deployment("web:1", minReadySeconds=10))
    lab.run(5)
    assert lab.status(WEB)["readyReplicas"] == 3
    assert "availableReplicas" not in lab.status(WEB)
    lab.run(10)
    assert lab.status(WEB)["availableReplicas"] == 3


def test_deleting_a_deployment_takes_its_pods_along() -> None:
    lab = Lab()
    lab.apply(deployment("web:1"))
    lab.run(5)
    lab.server.delete(WEB)
    lab.run(5)
    assert lab.pods(app="web") == []
    assert list(lab.server.peek_all(REPLICA_SET)) == []


def test_an_orphaned_replica_set_is_adopted_by_its_deployment_when_it_comes_back() -> None:
    lab = Lab()
    lab.apply(deployment("web:1"))
    lab.run(5)
    before = {pod["metadata"]["uid"] for pod in lab.pods(app="web")}
    lab.server.delete(WEB, propagation="Orphan")
    lab.run(1)
    assert len(lab.pods(app="web")) == 3
    lab.apply(deployment("web:1"))
    lab.run(5)
    assert {pod["metadata"]["uid"] for pod in lab.pods(app="web")} == before
    assert lab.status(WEB)["readyReplicas"] == 3


def test_a_replica_set_that_belongs_to_another_is_not_taken() -> None:
    lab = Lab()
    lab.apply(deployment("web:1"))
    lab.run(5)
    (mine,) = lab.server.peek_all(REPLICA_SET)
    theirs = {"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "1", "controller": True}
    key = ObjectKey("apps", "ReplicaSet", "default", mine["metadata"]["name"])
    lab.server.patch(key, {"metadata": {"ownerReferences": [theirs]}}, manager="somebody")
    lab.run(5)
    assert lab.see(key)["metadata"]["ownerReferences"] == [theirs]


def test_scaling_down_takes_pods_that_do_not_serve_first() -> None:
    lab = Lab(timing=Timing(pod_ready=(1.0, 1.0)))
    lab.apply(deployment("web:1", 2))
    lab.run(5)
    serving = {pod["metadata"]["uid"] for pod in lab.pods(app="web")}
    lab.apply(deployment("web:1", 4))
    lab.run(0.5)
    lab.apply(deployment("web:1", 2))
    lab.run(5)
    assert {pod["metadata"]["uid"] for pod in lab.pods(app="web")} == serving


def test_the_live_object_names_its_writers_as_in_a_real_cluster() -> None:
    lab = Lab()
    lab.apply(deployment("web:1"))
    lab.run(5)
    owners = {
        (entry["manager"], entry["operation"], entry.get("subresource", "")): entry["fieldsV1"]
        for entry in lab.see(WEB)["metadata"]["managedFields"]
    }
    assert set(owners) == {
        ("fleet/shop", "Apply", ""),
        ("kube-controller-manager", "Update", ""),
        ("kube-controller-manager", "Update", "status"),
    }
    assert list(owners["kube-controller-manager", "Update", "status"]) == ["f:status"]
    assert list(owners["kube-controller-manager", "Update", ""]) == ["f:metadata"]


def test_scaling_in_the_middle_of_a_rollout_keeps_every_revision_its_share() -> None:
    lab = Lab()
    rolling = {"rollingUpdate": {"maxSurge": 3, "maxUnavailable": 2}}
    lab.apply(deployment("web:1", 10, strategy=rolling))
    lab.run(5)
    lab.apply(deployment("web:2-neverready", 10, strategy=rolling))
    lab.run(5)
    assert sizes(lab) == {"web:1": 8, "web:2-neverready": 5}
    lab.apply(deployment("web:2-neverready", 15, strategy=rolling))
    lab.run(5)
    # Of 18 pods that there may be, 8/13 and 5/13.
    assert sizes(lab) == {"web:1": 11, "web:2-neverready": 7}
    assert {s["metadata"]["annotations"][DESIRED] for s in all_sets(lab)} == {"15"}


def test_a_paused_deployment_says_so_and_is_not_late() -> None:
    lab = Lab()
    lab.apply(deployment("web:1", progressDeadlineSeconds=10))
    lab.run(5)
    lab.apply(deployment("web:2", progressDeadlineSeconds=10, paused=True))
    assert lab.run(100) is None
    assert lab.condition(WEB, "Progressing") == ("Unknown", "DeploymentPaused")
    assert sets(lab) == {"1": 3}
    lab.apply(deployment("web:2-neverready", progressDeadlineSeconds=10))
    lab.run(5)
    assert lab.condition(WEB, "Progressing")[0] != "False"
    lab.run(15)
    assert lab.condition(WEB, "Progressing") == ("False", "ProgressDeadlineExceeded")


def test_a_replica_set_carries_its_deployment_s_annotations_and_its_past() -> None:
    lab = Lab()
    for cause in ("first", "second", "first again"):
        web = deployment(f"web:{cause.split()[0]}")
        web["metadata"]["annotations"] = {
            "kubernetes.io/change-cause": cause,
            "kubectl.kubernetes.io/last-applied-configuration": "{}",
        }
        lab.apply(web)
        lab.run(20)
    seen = {
        found["metadata"]["annotations"][REVISION]: found["metadata"]["annotations"]
        for found in all_sets(lab)
    }
    assert seen["2"]["kubernetes.io/change-cause"] == "second"
    assert seen["3"]["kubernetes.io/change-cause"] == "first again"
    assert seen["3"]["deployment.kubernetes.io/revision-history"] == "1"
    assert (seen["3"][DESIRED], seen["3"]["deployment.kubernetes.io/max-replicas"]) == ("3", "4")
    assert "kubectl.kubernetes.io/last-applied-configuration" not in seen["3"]


def test_recreate_makes_nothing_new_while_an_old_pod_is_still_going() -> None:
    lab = Lab()
    strategy = {"type": "Recreate"}
    lab.apply(deployment("web:1", 1, strategy=strategy))
    lab.run(5)
    (pod,) = lab.pods(app="web")
    key = ObjectKey("", "Pod", "default", pod["metadata"]["name"])
    lab.server.patch(key, {"metadata": {"finalizers": ["example.com/drain"]}}, manager="m")
    lab.apply(deployment("web:2", 1, strategy=strategy))
    lab.run(30)
    assert sizes(lab) == {"web:1": 0}
    assert all_sets(lab)[0]["status"]["terminatingReplicas"] == 1
    assert lab.status(WEB)["terminatingReplicas"] == 1
    lab.server.patch(key, {"metadata": {"finalizers": []}}, manager="m")
    lab.run(5)
    assert sizes(lab) == {"web:1": 0, "web:2": 1}
    assert lab.status(WEB)["availableReplicas"] == 1


def test_a_deployment_without_a_deadline_tells_of_no_progress() -> None:
    lab = Lab()
    lab.apply(deployment("web:1", progressDeadlineSeconds=2**31 - 1))
    lab.run(5)
    assert [c["type"] for c in lab.status(WEB)["conditions"]] == ["Available"]
