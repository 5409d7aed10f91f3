"""Health of what runs pods."""

from __future__ import annotations

from typing import Any

import pytest

from agents.health import assess, pod_selector, wants_pods
from agents.protocol import Health
from clusters.objects import Object
from tests.agents.samples import deployment, job


def _with(obj: Object, status: dict[str, Any], generation: int = 2) -> Object:
    metadata = {**obj["metadata"], "generation": generation, "namespace": "shop"}
    return {**obj, "metadata": metadata, "status": status}


READY = {
    "observedGeneration": 2,
    "replicas": 2,
    "updatedReplicas": 2,
    "readyReplicas": 2,
    "availableReplicas": 2,
}


@pytest.mark.parametrize(
    ("change", "health"),
    [
        ({}, Health.HEALTHY),
        ({"observedGeneration": 1}, Health.PROGRESSING),
        ({"observedGeneration": None}, Health.PROGRESSING),
        ({"updatedReplicas": 1}, Health.PROGRESSING),
        ({"replicas": 3}, Health.PROGRESSING),
        ({"availableReplicas": 1}, Health.PROGRESSING),
        (
            {
                "availableReplicas": 1,
                "conditions": [
                    {
                        "type": "Progressing",
                        "status": "False",
                        "reason": "ProgressDeadlineExceeded",
                    }
                ],
            },
            Health.DEGRADED,
        ),
        (
            {"conditions": [{"type": "ReplicaFailure", "status": "True", "message": "quota"}]},
            Health.DEGRADED,
        ),
    ],
)
def test_a_deployment_is_healthy_when_all_is_updated_and_available(
    change: dict[str, Any], health: Health
) -> None:
    assert assess(_with(deployment(), {**READY, **change})).health is health


def test_a_paused_deployment_is_suspended() -> None:
    wanted = deployment()
    wanted["spec"]["paused"] = True
    assert assess(_with(wanted, READY)).health is Health.SUSPENDED


def test_a_deployment_of_no_replicas_is_healthy() -> None:
    assert assess(_with(deployment(replicas=0), {"observedGeneration": 2})).health is Health.HEALTHY


def test_replicas_are_one_unless_said() -> None:
    wanted = deployment()
    del wanted["spec"]["replicas"]
    assert assess(_with(wanted, {**READY, "updatedReplicas": 0})).message == (
        "0 of 1 replicas updated"
    )


def _pod(
    name: str, reason: str = "", created: str = "2030-01-01T00:00:00Z", **extra: Any
) -> Object:
    state = {"waiting": {"reason": reason, "message": "back-off"}} if reason else {"running": {}}
    container = {"name": "main", "ready": not reason, "restartCount": 0, "state": state, **extra}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "creationTimestamp": created, "labels": {}},
        "status": {"phase": "Running", "containerStatuses": [container]},
    }


@pytest.mark.parametrize("reason", ["CrashLoopBackOff", "ImagePullBackOff", "ErrImagePull"])
def test_a_pod_that_cannot_work_degrades_its_deployment_at_once(reason: str) -> None:
    live = _with(deployment(), {**READY, "availableReplicas": 1})
    assert wants_pods(live)
    found = assess(live, [_pod("good"), _pod("bad", reason)])
    assert found.health is Health.DEGRADED
    assert reason in found.message
    assert "pod bad" in found.message


def test_a_pod_that_merely_starts_does_not() -> None:
    live = _with(deployment(), {**READY, "availableReplicas": 1})
    assert assess(live, [_pod("new", "ContainerCreating")]).health is Health.PROGRESSING


def test_a_crash_loop_is_seen_between_two_crashes_too() -> None:
    live = _with(deployment(), {**READY, "availableReplicas": 1})
    last = {"terminated": {"exitCode": 1}}
    again = _pod("bad", ready=False, restartCount=3, lastState=last)
    assert assess(live, [again]).health is Health.DEGRADED
    once = _pod("bad", ready=False, restartCount=1, lastState=last)
    assert assess(live, [once]).health is Health.PROGRESSING


def test_pods_of_an_old_revision_are_no_evidence() -> None:
    live = _with(deployment(), {**READY, "availableReplicas": 1})
    old, new = _pod("old", "CrashLoopBackOff"), _pod("new", created="2030-01-01T00:01:00Z")
    old["metadata"]["labels"] = {"pod-template-hash": "a"}
    new["metadata"]["labels"] = {"pod-template-hash": "b"}
    assert assess(live, [old, new]).health is Health.PROGRESSING
    new["metadata"]["labels"] = {"pod-template-hash": "a"}
    assert assess(live, [old, new]).health is Health.DEGRADED


def test_pods_that_are_being_deleted_are_no_evidence() -> None:
    live = _with(deployment(), {**READY, "availableReplicas": 1})
    gone = _pod("gone", "CrashLoopBackOff")
    gone["metadata"]["deletionTimestamp"] = "2030-01-01T00:00:00Z"
    assert assess(live, [gone]).health is Health.PROGRESSING


def test_a_healthy_deployment_needs_no_look_at_its_pods() -> None:
    live = _with(deployment(), READY)
    assert not wants_pods(live)
    assert assess(live, [_pod("bad", "CrashLoopBackOff")]).health is Health.HEALTHY


def _set(**spec: Any) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "db"},
        "spec": {"replicas": 3, **spec},
    }


SET_READY = {
    "observedGeneration": 2,
    "readyReplicas": 3,
    "updatedReplicas": 3,
    "currentRevision": "b",
    "updateRevision": "b",
}
ROLLING = {"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}}


@pytest.mark.parametrize(
    ("spec", "change", "health"),
    [
        ({}, {}, Health.HEALTHY),
        ({}, {"readyReplicas": 2}, Health.PROGRESSING),
        ({}, {"updatedReplicas": 2}, Health.PROGRESSING),
        ({}, {"currentRevision": "a"}, Health.PROGRESSING),
        ({}, {"observedGeneration": 1}, Health.PROGRESSING),
        (ROLLING, {"updatedReplicas": 1, "currentRevision": "a"}, Health.HEALTHY),
        (ROLLING, {"updatedReplicas": 0, "currentRevision": "a"}, Health.PROGRESSING),
        ({"updateStrategy": {"type": "OnDelete"}}, {"updatedReplicas": 0}, Health.HEALTHY),
    ],
)
def test_a_stateful_set_is_healthy_when_ready_and_rolled_out(
    spec: dict[str, Any], change: dict[str, Any], health: Health
) -> None:
    assert assess(_with(_set(**spec), {**SET_READY, **change})).health is health


@pytest.mark.parametrize(
    ("change", "health"),
    [
        ({}, Health.HEALTHY),
        ({"updatedNumberScheduled": 1}, Health.PROGRESSING),
        ({"numberAvailable": 1}, Health.PROGRESSING),
        ({"observedGeneration": 1}, Health.PROGRESSING),
    ],
)
def test_a_daemon_set_is_healthy_when_on_every_node(change: dict[str, Any], health: Health) -> None:
    status = {
        "observedGeneration": 2,
        "desiredNumberScheduled": 2,
        "updatedNumberScheduled": 2,
        "numberAvailable": 2,
    }
    obj: Object = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "log"}}
    assert assess(_with(obj, {**status, **change})).health is health


@pytest.mark.parametrize(
    ("conditions", "spec", "health"),
    [
        ([], {}, Health.PROGRESSING),
        ([("Complete", "True")], {}, Health.HEALTHY),
        ([("Failed", "True")], {}, Health.DEGRADED),
        ([("Failed", "False"), ("Complete", "False")], {}, Health.PROGRESSING),
        ([], {"suspend": True}, Health.SUSPENDED),
    ],
)
def test_a_job_is_healthy_when_complete(
    conditions: list[tuple[str, str]], spec: dict[str, Any], health: Health
) -> None:
    obj = job()
    obj["spec"] |= spec
    listed = [{"type": name, "status": status} for name, status in conditions]
    assert assess(_with(obj, {"conditions": listed})).health is health


@pytest.mark.parametrize(
    ("status", "health"),
    [
        ({"phase": "Succeeded"}, Health.HEALTHY),
        ({"phase": "Failed", "message": "evicted"}, Health.DEGRADED),
        ({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}, Health.HEALTHY),
        ({"phase": "Pending"}, Health.PROGRESSING),
    ],
)
def test_a_pod_is_healthy_when_ready_or_done(status: dict[str, Any], health: Health) -> None:
    obj: Object = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}}
    assert assess({**obj, "status": status}).health is health


def test_selectors_are_written_as_kubectl_takes_them() -> None:
    wanted = deployment()
    wanted["spec"]["selector"] = {
        "matchLabels": {"b": "2", "a": "1"},
        "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["x", "y"]},
            {"key": "old", "operator": "DoesNotExist"},
            {"key": "new", "operator": "Exists"},
            {"key": "zone", "operator": "NotIn", "values": ["z"]},
        ],
    }
    assert pod_selector(wanted) == "a=1,b=2,tier in (x,y),!old,new,zone notin (z)"
