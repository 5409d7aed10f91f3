"""What a cluster's policies refuse: quotas, limits, webhooks, and pods that refer to nothing.

A test with policies has a namespace of its own, so that they bother nobody else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest

from clusters.errors import AdmissionError, ClusterError, InvalidError, QuotaError
from clusters.objects import Kind, Object
from tests.contracts.subject import Subject, config_map, deployment, key

HOOK = "policy.example.com"


async def made(subject: Subject, namespace: str, *objects: Object) -> None:
    """A namespace and what is in it, quotas ready to count."""
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    for obj in (body, *objects):
        await subject.cluster.apply(obj, manager="admin")
        if obj["kind"] == "ResourceQuota":
            name = obj["metadata"]["name"]
            await subject.until(
                key("ResourceQuota", name, namespace),
                lambda live: bool(live and live.get("status", {}).get("used")),
            )


def quota(namespace: str, **hard: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "budget", "namespace": namespace},
        "spec": {"hard": hard},
    }


def service(name: str, namespace: str) -> Object:
    metadata = {"name": name, "namespace": namespace}
    spec = {"ports": [{"port": 80}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def pod(namespace: str, **spec: Any) -> Object:
    containers = [{"name": "main", "image": "web:1"}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "one", "namespace": namespace},
        "spec": {"containers": containers, **spec},
    }


def webhook(namespace: str, kind: str = "Validating", **changes: Any) -> Object:
    """A webhook for the ConfigMaps of one namespace; nobody runs its Service."""
    selector = {"matchLabels": {"kubernetes.io/metadata.name": namespace}}
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE", "UPDATE"],
        "resources": ["configmaps"],
    }
    item: Object = {
        "name": HOOK,
        "clientConfig": {"service": {"name": "policy", "namespace": namespace, "path": "/check"}},
        "rules": [rule],
        "namespaceSelector": selector,
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        **changes,
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{kind}WebhookConfiguration",
        "metadata": {"name": f"{namespace}-policy"},
        "webhooks": [item],
    }


async def refusal(subject: Subject, write: Callable[[], Awaitable[object]]) -> ClusterError:
    """How a write is refused, as soon as the cluster has heard of the policy."""
    for _ in range(20):
        try:
            await write()
        except ClusterError as error:
            return error
        await subject.pass_time(0.5)
    raise AssertionError("the write was never refused")


@pytest.mark.workloads
async def test_what_exceeds_a_quota_is_a_quota_error(subject: Subject) -> None:
    await made(subject, "quota-full", quota("quota-full", services="1"))
    await subject.cluster.apply(service("one", "quota-full"), manager="m")
    await subject.cluster.apply(config_map("fine", "quota-full"), manager="m")
    with pytest.raises(QuotaError) as refused:
        await subject.cluster.apply(service("two", "quota-full"), manager="m")
    assert not refused.value.retryable
    assert (
        'services "two" is forbidden: exceeded quota: budget, requested: services=1, '
        "used: services=1, limited: services=1"
    ) in str(refused.value)
    assert await subject.cluster.get(key("Service", "two", "quota-full")) is None


@pytest.mark.workloads
async def test_a_quota_on_compute_wants_every_container_to_say(subject: Subject) -> None:
    hard = {"limits.cpu": "4", "pods": "9"}
    await made(subject, "quota-says", quota("quota-says", **hard))
    words = r"failed quota: budget: must specify limits\.cpu for: main"
    with pytest.raises(QuotaError, match=words):
        await subject.cluster.apply(pod("quota-says"), manager="m")


@pytest.mark.workloads
async def test_a_dry_run_is_held_to_a_quota_and_uses_nothing_of_it(subject: Subject) -> None:
    await made(subject, "quota-dry", quota("quota-dry", services="1"))
    for name in ("one", "two", "three"):
        await subject.cluster.apply(service(name, "quota-dry"), manager="m", dry_run=True)
    await subject.cluster.apply(service("one", "quota-dry"), manager="m")
    with pytest.raises(QuotaError):
        await subject.cluster.apply(service("two", "quota-dry"), manager="m", dry_run=True)


@pytest.mark.workloads
async def test_what_is_deleted_is_given_back_to_its_quota(subject: Subject) -> None:
    await made(subject, "quota-back", quota("quota-back", services="1"))
    await subject.cluster.apply(service("one", "quota-back"), manager="m")
    await subject.cluster.delete(key("Service", "one", "quota-back"))
    budget = key("ResourceQuota", "budget", "quota-back")
    await subject.until(budget, lambda q: bool(q and q["status"]["used"] == {"services": "0"}))
    await subject.cluster.apply(service("two", "quota-back"), manager="m")


@pytest.mark.workloads
async def test_a_deployment_whose_pods_exceed_the_quota_says_so(subject: Subject) -> None:
    await made(subject, "quota-pods", quota("quota-pods", pods="2"))
    body = deployment(replicas=3)
    body["metadata"]["namespace"] = "quota-pods"
    await subject.cluster.apply(body, manager="m")
    web = key("Deployment", "web", "quota-pods", "apps")
    live = await subject.until(web, lambda obj: _failure(obj) is not None)
    failure = _failure(live)
    assert failure is not None
    assert (failure["status"], failure["reason"]) == ("True", "FailedCreate")
    assert (
        "is forbidden: exceeded quota: budget, requested: pods=1, used: pods=2, limited: pods=2"
    ) in failure["message"]
    pods = await subject.cluster.list(Kind("", "Pod"), namespace="quota-pods")
    assert len(pods.items) == 2


def _failure(live: Object | None) -> Object | None:
    conditions = ((live or {}).get("status") or {}).get("conditions") or ()
    return next((c for c in conditions if c["type"] == "ReplicaFailure"), None)


@pytest.mark.parametrize("kind", ["Validating", "Mutating"])
async def test_a_webhook_that_nobody_runs_refuses_writes_and_dry_runs(
    subject: Subject, kind: str
) -> None:
    space = f"hook-down-{kind.lower()}"
    await made(subject, space, webhook(space, kind))

    async def write(*, dry_run: bool) -> object:
        obj = config_map("settings", space)
        return await subject.cluster.apply(obj, manager="m", dry_run=dry_run)

    for dry_run in (True, False):
        error = await refusal(subject, partial(write, dry_run=dry_run))
        assert isinstance(error, AdmissionError)
        assert error.retryable
        assert (
            f'failed calling webhook "{HOOK}": failed to call webhook: '
            f'Post "https://policy.{space}.svc:443/check?timeout=10s": service "policy" not found'
        ) in str(error)


async def test_a_webhook_that_may_fail_is_passed_over(subject: Subject) -> None:
    await made(subject, "hook-ignored", webhook("hook-ignored", failurePolicy="Ignore"))
    await subject.pass_time(2)
    await subject.cluster.apply(config_map("settings", "hook-ignored"), manager="m")


async def test_a_new_webhook_may_have_no_side_effects_on_dry_runs(subject: Subject) -> None:
    with pytest.raises(InvalidError, match="sideEffects"):
        await subject.cluster.apply(webhook("default", sideEffects="Some"), manager="m")


@pytest.mark.workloads
@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            {"priorityClassName": "urgent"},
            "no PriorityClass with name urgent was found",
        ),
        (
            {"serviceAccountName": "runner"},
            'error looking up service account default/runner: serviceaccount "runner" not found',
        ),
    ],
)
async def test_a_pod_that_refers_to_nothing_is_refused(
    subject: Subject, spec: dict[str, str], words: str
) -> None:
    with pytest.raises(AdmissionError) as refused:
        await subject.cluster.apply(pod("default", **spec), manager="m")
    assert f'pods "one" is forbidden: {words}' in str(refused.value)


@pytest.mark.workloads
async def test_a_limit_range_fills_in_and_holds_back(subject: Subject) -> None:
    item = {"type": "Container", "max": {"cpu": "1"}, "defaultRequest": {"cpu": "100m"}}
    bounds = {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "bounds", "namespace": "limits"},
        "spec": {"limits": [item]},
    }
    await made(subject, "limits", bounds)
    stored = await subject.cluster.apply(pod("limits"), manager="m")
    assert stored["spec"]["containers"][0]["resources"] == {
        "requests": {"cpu": "100m"},
        "limits": {"cpu": "1"},
    }
    greedy = pod("limits")
    greedy["metadata"]["name"] = "greedy"
    greedy["spec"]["containers"][0]["resources"] = {"limits": {"cpu": "2"}}
    words = "maximum cpu usage per Container is 1, but limit is 2"
    with pytest.raises(AdmissionError, match=words):
        await subject.cluster.apply(greedy, manager="m")
