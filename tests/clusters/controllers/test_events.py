"""Events tell people what happened, where a cluster is asked to keep any."""

from __future__ import annotations

from typing import Any

from clusters.clock import FakeClock
from clusters.objects import Object, ObjectKey
from clusters.simulation.controllers import Controllers
from clusters.simulation.controllers.events import MOST
from clusters.simulation.server import ApiServer
from tests.clusters.controllers.lab import Lab, cron_job, deployment, job
from tests.clusters.controllers.test_loop import Stingy


class Telling(Lab):
    """A lab that records Events."""

    def __init__(self, server: type[ApiServer] = ApiServer, **options: Any) -> None:
        super().__init__(**options)
        self.clock = FakeClock()
        self.server = server(self.clock, 7, "lab")
        self.controllers = Controllers(self.server, self.clock, 7, events=True, **options)

    def told(self, kind: str, reason: str = "") -> list[str]:
        """Messages about objects of a kind, the first ones first."""
        return [
            f"{event['reason']}: {event['message']}"
            for event in self.kinds("", "Event")
            if event["involvedObject"]["kind"] == kind and reason in ("", event["reason"])
        ]


def events(lab: Lab) -> list[Object]:
    """All Events."""
    return lab.kinds("", "Event")


def test_a_cluster_records_nothing_unless_it_is_asked_to() -> None:
    lab = Lab()
    lab.apply(deployment("web:1"))
    lab.run(10)
    assert events(lab) == []


def test_a_rollout_is_told_from_the_deployment_to_its_containers() -> None:
    lab = Telling()
    lab.apply(deployment("web:1", 1))
    lab.run(5)
    (pod,) = lab.pods(app="web")
    name = pod["metadata"]["name"]
    (found,) = lab.kinds("apps", "ReplicaSet")
    scaled = f"Scaled up replica set {found['metadata']['name']} from 0 to 1"
    assert lab.told("Deployment") == [f"ScalingReplicaSet: {scaled}"]
    assert lab.told("ReplicaSet") == [f"SuccessfulCreate: Created pod: {name}"]
    assert lab.told("Pod") == [
        f"Scheduled: Successfully assigned default/{name} to node-1",
        "Started: Started container main",
    ]


def test_what_goes_wrong_is_a_warning_and_counts_up() -> None:
    lab = Telling()
    lab.apply(deployment("web:crashloop", 1))
    lab.run(60)
    (event,) = (e for e in events(lab) if e["reason"] == "BackOff")
    assert (event["type"], event["source"]["component"]) == ("Warning", "kubelet")
    assert event["count"] > 3
    assert event["firstTimestamp"] < event["lastTimestamp"]


def test_an_image_that_cannot_be_pulled_and_a_node_that_fits_none_are_told() -> None:
    lab = Telling()
    lab.apply(deployment("web:pullerror", 1))
    lab.run(5)
    assert lab.told("Pod", "Failed") == ['Failed: Failed to pull image "web:pullerror"']
    picky = deployment("web:1", 1)
    picky["spec"]["template"]["spec"]["nodeSelector"] = {"disk": "ssd"}
    lab.apply(picky)
    lab.run(5)
    assert "0/1 nodes" in lab.told("Pod", "FailedScheduling")[0]


def test_a_refusal_is_told_by_the_replica_set() -> None:
    lab = Telling(Stingy)
    lab.apply(deployment("web:1", 3))
    lab.run(5)
    assert lab.told("ReplicaSet", "FailedCreate") == [
        "FailedCreate: Error creating: exceeded quota: pods"
    ]


def test_the_ends_of_jobs_are_told() -> None:
    lab = Telling()
    lab.apply(job("migrate:1"))
    lab.apply(cron_job("backup:exit1", "@every 10s"))
    lab.run(15)
    assert "Completed: Job completed" in lab.told("Job")
    assert any(told.startswith("BackoffLimitExceeded: ") for told in lab.told("Job"))
    assert lab.told("CronJob")[0].startswith("SuccessfulCreate: Created job: backup-")


def test_a_cluster_at_rest_writes_no_events() -> None:
    lab = Telling()
    lab.apply(deployment("web:1"))
    assert lab.run(10) is None
    before = lab.server.resource_version
    lab.run(7200)
    assert lab.server.resource_version == before


def test_old_events_go_when_others_come_and_there_are_never_too_many() -> None:
    lab = Telling()
    lab.apply(deployment("web:1"))
    lab.run(7200)
    lab.apply(deployment("web:1", 4))
    lab.run(5)
    assert all(event["lastTimestamp"] > "2030-01-01T01:59" for event in events(lab))
    for number in range(40):
        lab.apply(deployment(f"web:{number}", 6))
        lab.run(20)
    assert len(events(lab)) == MOST


def test_a_namespace_goes_with_its_events() -> None:
    lab = Telling()
    lab.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    web = deployment("web:1")
    web["metadata"]["namespace"] = "shop"
    lab.apply(web)
    lab.run(5)
    assert len(events(lab)) > 5
    lab.server.delete(ObjectKey("", "Namespace", "", "shop"))
    lab.run(5)
    assert events(lab) == []
