"""Controllers are held to the cluster's policies like everybody else, and go on when they may."""

from __future__ import annotations

from typing import Any

from clusters.objects import Kind, Object, ObjectKey
from clusters.simulation.server import denial
from tests.clusters.controllers.lab import Lab, deployment, job, service, workload

WEB = ObjectKey("apps", "Deployment", "default", "web")
QUOTA = ObjectKey("", "ResourceQuota", "default", "budget")
HOOK = "pods.example.com"


def quota(**hard: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "budget", "namespace": "default"},
        "spec": {"hard": hard},
    }


def webhook(config: Object, **changes: Any) -> Object:
    """A webhook that is asked about every new pod."""
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["pods"],
    }
    item = {
        "name": HOOK,
        "clientConfig": config,
        "rules": [rule],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        **changes,
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "pods"},
        "webhooks": [item],
    }


def failure(lab: Lab) -> str:
    """The message of the Deployment's ReplicaFailure; empty without one."""
    conditions = lab.status(WEB).get("conditions", ())
    found = (c["message"] for c in conditions if c["type"] == "ReplicaFailure")
    return next(found, "")


def test_a_quota_holds_a_deployment_back_until_it_is_raised() -> None:
    lab = Lab()
    lab.apply(quota(pods="2"))
    lab.apply(deployment("web:1", 3))
    lab.run(5)
    assert lab.status(WEB)["readyReplicas"] == 2
    assert lab.condition(WEB, "ReplicaFailure") == ("True", "FailedCreate")
    assert failure(lab).endswith(
        "is forbidden: exceeded quota: budget, requested: pods=1, used: pods=2, limited: pods=2"
    )
    lab.apply(quota(pods="3"))
    lab.run(120)
    assert lab.status(WEB)["readyReplicas"] == 3
    assert failure(lab) == ""
    assert lab.status(QUOTA)["used"] == {"pods": "3"}


def test_a_rollout_needs_room_in_the_quota_for_its_surge() -> None:
    lab = Lab()
    lab.apply(quota(pods="2"))
    tight = {"strategy": {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}}
    lab.apply(deployment("web:1", 2, **tight))
    lab.run(5)
    lab.apply(deployment("web:2", 2, **tight))
    lab.run(30)
    assert "exceeded quota" in failure(lab)
    assert {pod["spec"]["containers"][0]["image"] for pod in lab.pods(app="web")} == {"web:1"}


def test_pods_that_have_ended_leave_room_for_others() -> None:
    lab = Lab()
    lab.apply(quota(pods="1"))
    lab.apply(job("migrate:1"))
    lab.run(30)
    assert lab.status(QUOTA)["used"] == {"pods": "0"}
    lab.apply(deployment("web:1", 1))
    lab.run(30)
    assert lab.status(WEB)["readyReplicas"] == 1


def test_every_controller_goes_on_when_the_quota_lets_it() -> None:
    lab = Lab()
    lab.apply(quota(pods="0"))
    lab.apply(workload("StatefulSet", "db:1", "db", serviceName="db", replicas=1))
    lab.apply(workload("DaemonSet", "log:1", "log"))
    lab.apply(job("migrate:1"))
    lab.run(10)
    assert lab.kinds("", "Pod") == []
    lab.apply(quota(pods="9"))
    lab.run(120)
    assert {pod["metadata"]["labels"]["app"] for pod in lab.kinds("", "Pod")} >= {"db", "log"}
    assert lab.kinds("batch", "Job")[0]["status"]["succeeded"] == 1


def test_pods_wait_for_the_account_that_they_run_as() -> None:
    lab = Lab()
    body = deployment("web:1", 1)
    body["spec"]["template"]["spec"]["serviceAccountName"] = "web"
    lab.apply(body)
    lab.run(5)
    assert 'error looking up service account default/web: serviceaccount "web" not found' in (
        failure(lab)
    )
    metadata = {"name": "web", "namespace": "default"}
    lab.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})
    lab.run(60)
    assert lab.status(WEB)["readyReplicas"] == 1


def test_a_webhook_whose_own_pods_it_guards_locks_itself_out() -> None:
    lab = Lab()
    lab.apply(service("guard", ports=[{"port": 443, "targetPort": 8443}]))
    config = {"service": {"name": "guard", "namespace": "default"}}
    lab.apply(webhook(config))
    lab.apply(workload("Deployment", "guard:1", "guard", replicas=1))
    lab.run(30)
    assert lab.kinds("", "Pod") == []
    lab.apply(webhook(config, objectSelector={"matchLabels": {"app": "web"}}))
    lab.apply(deployment("web:1", 1))
    lab.run(120)
    assert lab.status(WEB)["readyReplicas"] == 1


def test_a_scripted_webhook_refuses_what_controllers_make() -> None:
    lab = Lab()
    lab.server.webhooks[HOOK] = lambda review: denial(f"no {review.object['kind']}s today")  # type: ignore[index]
    lab.apply(webhook({"url": "https://pods.example.com"}))
    lab.apply(deployment("web:1", 1))
    lab.run(5)
    assert failure(lab) == f'admission webhook "{HOOK}" denied the request: no Pods today'
    assert list(lab.server.peek_all(Kind("", "Pod"))) == []
