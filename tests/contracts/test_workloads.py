"""Workloads come to life, or say that they do not: what an agent waits for after an apply."""

from __future__ import annotations

import pytest

from clusters.objects import Kind, Object
from tests.contracts.subject import Subject, deployment, key

pytestmark = pytest.mark.workloads


WEB = key("Deployment", "web", group="apps")
MIGRATE = key("Job", "migrate", group="batch")


def condition(obj: Object | None, type_: str) -> str:
    """The status of a condition, empty if it is not there."""
    found = ((obj or {}).get("status") or {}).get("conditions") or ()
    return next((str(c["status"]) for c in found if c["type"] == type_), "")


def job(image: str, **spec: object) -> Object:
    """A Job with one pod."""
    pods = {"restartPolicy": "Never", "containers": [{"name": "main", "image": image}]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "migrate", "namespace": "default"},
        "spec": {"template": {"spec": pods}, **spec},
    }


async def test_a_deployment_becomes_available(subject: Subject) -> None:
    await subject.cluster.apply(deployment(replicas=2), manager="m")
    live = await subject.until(WEB, lambda obj: condition(obj, "Available") == "True")
    assert live is not None
    assert live["status"]["observedGeneration"] == live["metadata"]["generation"]
    assert live["status"]["readyReplicas"] == 2
    pods = (await subject.cluster.list(Kind("", "Pod"), labels="app=web")).items
    assert {pod["status"]["phase"] for pod in pods} == {"Running"}


async def test_what_controllers_write_is_no_conflict_for_who_applied(subject: Subject) -> None:
    await subject.cluster.apply(deployment(), manager="m")
    await subject.until(WEB, lambda obj: condition(obj, "Available") == "True")
    changed = await subject.cluster.apply(deployment("web:2"), manager="m")
    assert "status" in changed
    assert changed["metadata"]["annotations"]["deployment.kubernetes.io/revision"]


async def test_a_crashing_image_never_makes_a_deployment_available(subject: Subject) -> None:
    await subject.cluster.apply(
        deployment("web:1-crashloop", progressDeadlineSeconds=10), manager="m"
    )
    live = await subject.until(WEB, lambda obj: condition(obj, "Progressing") == "False")
    assert condition(live, "Available") == "False"
    (pod,) = (await subject.cluster.list(Kind("", "Pod"), labels="app=web")).items
    waiting = pod["status"]["containerStatuses"][0]["state"]["waiting"]
    assert waiting["reason"] == "CrashLoopBackOff"


async def test_a_job_completes(subject: Subject) -> None:
    await subject.cluster.apply(job("migrate:1"), manager="m")
    live = await subject.until(MIGRATE, lambda obj: condition(obj, "Complete") == "True")
    assert live is not None
    assert live["status"]["succeeded"] == 1


async def test_a_job_that_fails_is_failed(subject: Subject) -> None:
    await subject.cluster.apply(job("migrate:exit1", backoffLimit=1), manager="m")
    live = await subject.until(MIGRATE, lambda obj: condition(obj, "Failed") == "True")
    assert live is not None
    assert live["status"]["failed"] == 2


async def test_deleting_a_deployment_leaves_no_pods(subject: Subject) -> None:
    await subject.cluster.apply(deployment(), manager="m")
    await subject.until(WEB, lambda obj: condition(obj, "Available") == "True")
    await subject.cluster.delete(WEB)
    await subject.until(WEB, lambda obj: obj is None)
    await subject.pass_time(2)
    assert (await subject.cluster.list(Kind("", "Pod"), labels="app=web")).items == ()
