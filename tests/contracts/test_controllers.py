"""What controllers make of workloads, and how they tell it: histories, refusals, ends, holds.

Times are short, because against a real cluster they pass.
"""

from __future__ import annotations

from typing import Any

import pytest

from clusters.errors import InvalidError
from clusters.objects import Kind, Object
from tests.contracts.subject import Subject, config_map, deployment, key
from tests.contracts.test_workloads import MIGRATE, WEB, condition, job

pytestmark = pytest.mark.workloads

REVISION = "deployment.kubernetes.io/revision"


def status(obj: Object | None) -> Object:
    """The status, empty if it is not there."""
    found: Object = (obj or {}).get("status") or {}
    return found


def reason(obj: Object | None, type_: str) -> str:
    """The reason of a condition, empty if it is not there."""
    found = status(obj).get("conditions") or ()
    return next((str(c.get("reason", "")) for c in found if c["type"] == type_), "")


def types(obj: Object | None) -> list[str]:
    """The conditions that are True, by type."""
    found = status(obj).get("conditions") or ()
    return sorted(c["type"] for c in found if c["status"] == "True")


def workload(kind: str, image: str, **spec: Any) -> Object:
    """A StatefulSet or DaemonSet `web`."""
    found = deployment(image, **spec)
    return found | {"kind": kind}


async def revisions(subject: Subject) -> dict[int, str]:
    """Images of the ControllerRevisions, by number."""
    found = await subject.cluster.list(Kind("apps", "ControllerRevision"), namespace="default")
    return {
        item["revision"]: item["data"]["spec"]["template"]["spec"]["containers"][0]["image"]
        for item in found.items
        if item["metadata"]["name"].startswith("web-")
    }


def is_done(live: Object | None) -> bool:
    """Whether a StatefulSet or DaemonSet has followed its template everywhere."""
    if live is None:
        return False
    found = status(live)
    seen = found.get("observedGeneration") == live["metadata"]["generation"]
    wanted = found.get("desiredNumberScheduled", live["spec"].get("replicas"))
    updated = found.get("updatedNumberScheduled", found.get("updatedReplicas"))
    ready = found.get("numberReady", found.get("readyReplicas"))
    return bool(seen and wanted == updated == ready)


async def test_a_template_that_comes_back_is_the_old_replica_set_again(subject: Subject) -> None:
    for number, image in enumerate(("web:1", "web:2", "web:1"), 1):
        await subject.cluster.apply(deployment(image), manager="m")
        await subject.until(
            WEB,
            lambda obj, n=number: (  # type: ignore[misc]
                obj["metadata"].get("annotations", {}).get(REVISION) == str(n)
                and reason(obj, "Progressing") == "NewReplicaSetAvailable"
                and obj["status"].get("updatedReplicas") == 1 == obj["status"].get("replicas")
            ),
        )
    sets = await subject.cluster.list(Kind("apps", "ReplicaSet"), labels="app=web")
    found = {
        item["metadata"]["annotations"][REVISION]: item["spec"]["replicas"] for item in sets.items
    }
    assert found == {"2": 0, "3": 1}


async def test_a_paused_deployment_is_neither_rolled_out_nor_late(subject: Subject) -> None:
    await subject.cluster.apply(deployment("web:1", progressDeadlineSeconds=3), manager="m")
    await subject.until(WEB, lambda obj: condition(obj, "Available") == "True")
    paused = deployment("web:2", progressDeadlineSeconds=3, paused=True)
    await subject.cluster.apply(paused, manager="m")
    await subject.until(WEB, lambda obj: reason(obj, "Progressing") == "DeploymentPaused")
    await subject.pass_time(5)
    live = await subject.live(WEB)
    assert condition(live, "Progressing") == "Unknown"
    sets = await subject.cluster.list(Kind("apps", "ReplicaSet"), labels="app=web")
    assert len(sets.items) == 1


async def test_a_quota_that_holds_pods_back_is_told_by_the_deployment(subject: Subject) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "few", "namespace": "default"},
        "spec": {"hard": {"pods": "1"}},
    }
    await subject.cluster.apply(quota, manager="m")
    await subject.until(key("ResourceQuota", "few"), lambda obj: "hard" in status(obj))
    await subject.cluster.apply(deployment("web:1", replicas=3), manager="m")
    live = await subject.until(WEB, lambda obj: condition(obj, "ReplicaFailure") == "True")
    assert reason(live, "ReplicaFailure") == "FailedCreate"
    found = next(c for c in status(live)["conditions"] if c["type"] == "ReplicaFailure")
    assert "exceeded quota: few" in found["message"]


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
async def test_a_set_keeps_its_templates_as_revisions(subject: Subject, kind: str) -> None:
    web = key(kind, "web", group="apps")
    for image in ("web:1", "web:2", "web:1"):
        await subject.cluster.apply(workload(kind, image), manager="m")
        await subject.until(web, is_done)
    assert await revisions(subject) == {2: "web:2", 3: "web:1"}


async def test_a_stateful_set_stops_at_a_pod_that_is_never_ready(subject: Subject) -> None:
    web = key("StatefulSet", "web", group="apps")
    await subject.cluster.apply(workload("StatefulSet", "web:1", replicas=2), manager="m")
    await subject.until(web, is_done)
    await subject.cluster.apply(
        workload("StatefulSet", "web:2-neverready", replicas=2), manager="m"
    )
    await subject.until(web, lambda obj: status(obj).get("updatedReplicas") == 1)
    await subject.cluster.apply(workload("StatefulSet", "web:3", replicas=2), manager="m")
    await subject.pass_time(4)
    pods = await subject.cluster.list(Kind("", "Pod"), labels="app=web")
    images = [pod["spec"]["containers"][0]["image"] for pod in pods.items]
    assert sorted(images) == ["web:1", "web:2-neverready"]


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("migrate:1", ["Complete", "SuccessCriteriaMet"]),
        ("migrate:exit1", ["Failed", "FailureTarget"]),
    ],
)
async def test_each_end_of_a_job_has_two_conditions(
    subject: Subject, image: str, expected: list[str]
) -> None:
    await subject.cluster.apply(job(image, backoffLimit=0), manager="m")
    await subject.until(MIGRATE, lambda obj: types(obj) == expected)
    pods = await subject.cluster.list(Kind("", "Pod"), labels="job-name=migrate")
    assert all("finalizers" not in pod["metadata"] for pod in pods.items)


async def test_an_indexed_job_counts_indexes(subject: Subject) -> None:
    wanted = job("migrate:1", completions=3, parallelism=3, completionMode="Indexed")
    await subject.cluster.apply(wanted, manager="m")
    live = await subject.until(MIGRATE, lambda obj: condition(obj, "Complete") == "True")
    assert live is not None
    assert (live["status"]["completedIndexes"], live["status"]["succeeded"]) == ("0-2", 3)


async def test_a_job_past_its_deadline_ends_its_pods_and_fails(subject: Subject) -> None:
    wanted = job("migrate:neverready", activeDeadlineSeconds=2)
    await subject.cluster.apply(wanted, manager="m")
    live = await subject.until(MIGRATE, lambda obj: condition(obj, "Failed") == "True")
    assert reason(live, "Failed") == "DeadlineExceeded"
    assert live is not None
    assert "active" not in live["status"]
    assert (await subject.cluster.list(Kind("", "Pod"), labels="job-name=migrate")).items == ()


async def test_a_failure_policy_may_end_a_job_at_once(subject: Subject) -> None:
    rule = {"action": "FailJob", "onExitCodes": {"operator": "In", "values": [1]}}
    wanted = job("migrate:exit1", backoffLimit=6, podFailurePolicy={"rules": [rule]})
    await subject.cluster.apply(wanted, manager="m")
    live = await subject.until(MIGRATE, lambda obj: condition(obj, "Failed") == "True")
    assert reason(live, "Failed") == "PodFailurePolicy"


async def test_a_suspended_job_has_no_pods(subject: Subject) -> None:
    await subject.cluster.apply(job("migrate:1", suspend=True), manager="m")
    live = await subject.until(MIGRATE, lambda obj: condition(obj, "Suspended") == "True")
    assert live is not None
    assert "startTime" not in live["status"]
    assert (await subject.cluster.list(Kind("", "Pod"), labels="job-name=migrate")).items == ()


def cron_job(schedule: str, **spec: Any) -> Object:
    """A CronJob `nightly`."""
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "nightly", "namespace": "default"},
        "spec": {
            "schedule": schedule,
            "jobTemplate": {"spec": job("migrate:1")["spec"]},
            **spec,
        },
    }


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"schedule": "every day"}, "spec.schedule"),
        ({"schedule": "0 0 * * 7"}, "spec.schedule"),
        ({"schedule": "0 0 L * *"}, "spec.schedule"),
        ({"timeZone": "Mars/Olympus"}, "spec.timeZone"),
    ],
)
async def test_a_schedule_that_cannot_be_read_is_refused(
    subject: Subject, change: Object, field: str
) -> None:
    refused = cron_job("0 0 * * *")
    refused["spec"] |= change
    with pytest.raises(InvalidError) as error:
        await subject.cluster.apply(refused, manager="m")
    assert field in str(error.value)


@pytest.mark.parametrize("schedule", ["@daily", "@every 1h30m", "0 0 ? JAN mon-FRI", "0 0 31 2 *"])
async def test_a_schedule_that_can_be_read_is_taken(subject: Subject, schedule: str) -> None:
    live = await subject.cluster.apply(cron_job(schedule, timeZone="Asia/Kolkata"), manager="m")
    assert live["spec"]["schedule"] == schedule


async def test_a_cron_job_that_is_due_makes_a_job_named_after_its_minute(subject: Subject) -> None:
    await subject.cluster.apply(cron_job("@every 2s", concurrencyPolicy="Forbid"), manager="m")
    nightly = key("CronJob", "nightly", group="batch")
    live = await subject.until(nightly, lambda obj: "lastScheduleTime" in status(obj))
    assert live is not None
    jobs = [
        item
        for item in (await subject.cluster.list(Kind("batch", "Job"), namespace="default")).items
        if item["metadata"]["ownerReferences"][0]["uid"] == live["metadata"]["uid"]
    ]
    assert jobs
    assert jobs[0]["metadata"]["name"].removeprefix("nightly-").isdecimal()
    annotations = jobs[0]["metadata"]["annotations"]
    assert "batch.kubernetes.io/cronjob-scheduled-timestamp" in annotations


async def test_a_service_has_a_slice_of_its_ready_pods(subject: Subject) -> None:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80}]},
    }
    await subject.cluster.apply(service, manager="m")
    await subject.cluster.apply(deployment("web:1", replicas=2), manager="m")
    await subject.until(WEB, lambda obj: condition(obj, "Available") == "True")
    await subject.pass_time(2)
    label = "kubernetes.io/service-name=web"
    slices = await subject.cluster.list(Kind("discovery.k8s.io", "EndpointSlice"), labels=label)
    (found,) = slices.items
    assert [e["conditions"]["ready"] for e in found["endpoints"]] == [True, True]
    assert found["ports"] == [{"name": "http", "port": 80, "protocol": "TCP"}]
    endpoints = await subject.live(key("Endpoints", "web"))
    assert len(endpoints["subsets"][0]["addresses"]) == 2


async def test_a_namespace_that_is_held_says_by_what(subject: Subject) -> None:
    shop = key("Namespace", "held", "")
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "held"}}
    await subject.cluster.apply(namespace, manager="m")
    held = config_map("held", "held")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await subject.cluster.apply(held, manager="m")
    await subject.cluster.delete(shop)
    live = await subject.until(
        shop, lambda obj: condition(obj, "NamespaceFinalizersRemaining") == "True"
    )
    assert live is not None
    said = {c["type"]: c["message"] for c in live["status"]["conditions"]}
    assert said["NamespaceFinalizersRemaining"] == (
        "Some content in the namespace has finalizers remaining: "
        "example.com/hold in 1 resource instances"
    )
    assert said["NamespaceContentRemaining"] == (
        "Some resources are remaining: configmaps. has 1 resource instances"
    )
    release = {"metadata": {"finalizers": None}}
    await subject.cluster.patch(key("ConfigMap", "held", "held"), release, manager="m")
    await subject.until(shop, lambda obj: obj is None)
