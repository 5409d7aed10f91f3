"""Applying on a real API server: stages, minimal requests, ownership, and its own refusals."""

from __future__ import annotations

import asyncio

from agents.inventory import PART_OF, applyset_id
from agents.protocol import BundleDeployment, Options
from clusters.objects import Object, ObjectKey
from tests.agents.recorder import Crash
from tests.agents.samples import config_map, crd, deployment, hook, job, namespace, secret, widget
from tests.e2e.agent.real_lab import SPACE, RealLab

SETTINGS = ObjectKey("", "ConfigMap", SPACE, "settings")


async def test_a_bundle_of_every_stage_is_applied_and_then_costs_nothing(real: RealLab) -> None:
    role: Object = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "fleet-e2e"},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}],
    }
    wanted = [widget(), crd(), role, deployment(replicas=0), config_map(), namespace("fleet-e2e-2")]
    real.release("web", *wanted)
    await real.synced("web")
    order = [line.split()[1] for line in real.recorder.writes if "bundle-" not in line]
    stages = ("Namespace", "CustomResourceDefinition", "ClusterRole", "ConfigMap", "Widget")
    places = [len(order) - 1 - order[::-1].index(kind) for kind in stages]
    assert places == sorted(places)
    live = await real.there("Deployment", "web", group="apps")
    assert live["metadata"]["labels"][PART_OF] == applyset_id("web")
    assert "fleet/web" in {entry["manager"] for entry in live["metadata"]["managedFields"]}
    await real.run_for(1)
    real.recorder.writes.clear()
    real.recorder.dry_runs = 0
    await real.run_for(2)
    assert (real.recorder.writes, real.recorder.dry_runs) == ([], 0)
    real.new_agent()
    real.release("web", *wanted, config_map("more"))
    await real.synced("web")
    written = [line for line in real.recorder.writes if "bundle-" not in line]
    assert written == ["apply ConfigMap more"], "a dry-run shows what would not change"


async def test_a_pod_whose_service_account_comes_with_it_does_not_block_its_stage(
    real: RealLab,
) -> None:
    account: Object = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "runner"},
    }
    pod: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "runner"},
        "spec": {
            "serviceAccountName": "runner",
            "containers": [{"name": "main", "image": "example/main:1"}],
        },
    }
    real.release("web", account, pod)
    await real.synced("web")
    assert await real.there("Pod", "runner")


async def test_every_refusal_has_its_own_code(real: RealLab) -> None:
    policy, binding = deny_policy("CREATE", "configmaps", "object.metadata.name != 'denied'")
    for item in (namespace(SPACE), policy, binding, quota(), webhook()):
        await real.cluster.apply(item, manager="admin", force=True)
    bad = deployment("bad", replicas=0)
    bad["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    astray = config_map("astray")
    astray["metadata"]["namespace"] = "fleet-e2e-nowhere"
    foreign = config_map("foreign", colour="red")
    foreign["metadata"]["namespace"] = SPACE
    await real.cluster.apply(foreign, manager="helm")
    unknown: Object = {"apiVersion": "example.org/v1", "kind": "Gadget", "metadata": {"name": "x"}}
    hooked: Object = {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": "hooked"},
    }
    cases = {
        "invalid": bad,
        "not-found": astray,
        "conflict": config_map("foreign"),
        "kind-not-found": unknown,
        "quota": secret("too-much", word="canary-value"),
        "webhook": hooked,
    }
    for code, obj in cases.items():
        real.release(f"b-{code}", obj, config_map(f"beside-{code}"))
    await policy_is_enforced(real)
    real.release("b-admission", config_map("denied"))
    for code in (*cases, "admission"):
        report = await real.code(f"b-{code}", code)
        assert "canary" not in report.model_dump_json()
        assert [item.code for item in report.objects if item.code] == [code]
    said = real.report("b-conflict").message
    assert "helm" in said
    assert "bundle b-conflict" in said


async def test_an_immutable_field_is_told_and_force_makes_the_object_again(real: RealLab) -> None:
    real.release("web", job())
    await real.synced("web")
    uid = (await real.there("Job", "migrate", group="batch"))["metadata"]["uid"]
    real.release("web", job(image="example/migrate:2"))
    await real.code("web", "immutable")
    assert (await real.there("Job", "migrate", group="batch"))["metadata"]["uid"] == uid
    forced = job(image="example/migrate:2")
    forced["metadata"]["annotations"] = {"fleet.dev/force": "true"}
    real.release("web", forced)
    await real.synced("web")
    assert (await real.there("Job", "migrate", group="batch"))["metadata"]["uid"] != uid


async def test_other_refusals_never_delete_although_force_is_said(real: RealLab) -> None:
    options = Options(namespace=SPACE, force=True)
    real.release("web", deployment(replicas=0), options=options)
    await real.synced("web")
    bad = deployment(replicas=0)
    bad["spec"]["template"]["spec"]["containers"] = []
    real.release("web", bad, options=options)
    await real.code("web", "invalid")
    assert not any(line.startswith("delete") for line in real.recorder.writes)


async def test_a_handed_over_object_is_never_made_again_and_keeps_nothing_of_its_old_owner(
    real: RealLab,
) -> None:
    real.release("old", config_map(colour="red", extra="x"), config_map("stays"))
    await real.synced("old")
    uid = (await real.there("ConfigMap", "settings"))["metadata"]["uid"]
    real.hub.offer(
        "move", real.deployment("old", config_map("stays")), real.deployment("new", config_map())
    )
    await real.synced("old", "new")
    await real.run_for(1)
    live = await real.there("ConfigMap", "settings")
    assert (live["metadata"]["uid"], live["data"]) == (uid, {"colour": "blue"})
    assert live["metadata"]["labels"][PART_OF] == applyset_id("new")
    assert {item["manager"] for item in live["metadata"]["managedFields"]} == {"fleet/new"}


async def test_override_takes_away_what_kubectl_added(real: RealLab) -> None:
    first, second = config_map(), config_map(colour="green")
    for item in (first, second):
        item["metadata"]["annotations"] = {"fleet.dev/apply": "override"}
    real.release("web", first)
    await real.synced("web")
    await real.edit(SETTINGS, {"data": {"extra": "x"}})
    real.release("web", second)
    await real.synced("web")
    assert (await real.there("ConfigMap", "settings"))["data"] == {"colour": "green"}


async def test_the_namespace_is_made_with_labels_and_left(real: RealLab) -> None:
    labels = (("pod-security.kubernetes.io/enforce", "baseline"),)
    real.release("web", config_map(), options=Options(namespace=SPACE, namespace_labels=labels))
    await real.synced("web")
    await real.removed("web")
    made = await real.there("Namespace", SPACE, "")
    assert made["metadata"]["labels"][labels[0][0]] == "baseline"
    assert await real.live("ConfigMap", "settings") is None


async def test_an_agent_that_dies_after_each_of_its_writes_gets_there(real: RealLab) -> None:
    real.recorder.crash_after = 1
    hooks = (hook(job("before", image="example/ok:completes"), "pre-install"),)
    real.hub.offer(
        "run",
        real.deployment("web", crd(), widget(), deployment(replicas=0), hooks=hooks),
        real.deployment("next", config_map(colour="green")),
    )
    await _through_deaths(real)
    real.recorder.crash_after = len(real.recorder.writes) + 1
    real.hub.offer(
        "second",
        real.deployment("web", crd(), widget(), config_map()),
        BundleDeployment.absent("next"),
    )
    await _through_deaths(real)
    assert real.incarnations > 8
    assert await real.live("Deployment", "web", group="apps") is None
    live = await real.there("ConfigMap", "settings")
    assert live["metadata"]["labels"][PART_OF] == applyset_id("web")
    assert await real.live("Widget", "one", group="example.com") is not None


async def _through_deaths(real: RealLab) -> None:
    """Until all is Synced and nothing absent is left, dying after every write."""

    def done() -> bool:
        return real.is_synced() and not any(item.is_absent for item in real.hub.held.current)

    for _ in range(60):
        try:
            await real.until(done)
            return
        except Crash:
            await asyncio.sleep(0.2)  # what was in flight beside the fatal write ends
            real.recorder.crash_after = len(real.recorder.writes) + 1
            real.new_agent()
    raise AssertionError("it does not get there")


async def policy_is_enforced(real: RealLab) -> None:
    """A policy takes a moment until the API server obeys it."""
    trial = config_map("denied")
    trial["metadata"]["namespace"] = SPACE
    for _ in range(200):
        try:
            await real.recorder._cluster.apply(trial, manager="admin", dry_run=True)
        except Exception:  # any refusal is what is waited for
            return
        await asyncio.sleep(0.1)
    raise AssertionError("the policy is not enforced")


def deny_policy(operation: str, resource: str, expression: str) -> tuple[Object, Object]:
    """A ValidatingAdmissionPolicy of the namespace, and its binding."""
    group = "admissionregistration.k8s.io/v1"
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": [operation],
        "resources": [resource],
    }
    selector = {"matchLabels": {"kubernetes.io/metadata.name": SPACE}}
    policy: Object = {
        "apiVersion": group,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "fleet-e2e"},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [rule], "namespaceSelector": selector},
            "validations": [{"expression": expression}],
        },
    }
    binding: Object = {
        "apiVersion": group,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "fleet-e2e"},
        "spec": {"policyName": "fleet-e2e", "validationActions": ["Deny"]},
    }
    return policy, binding


def quota() -> Object:
    """No Secret may be made."""
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "small", "namespace": SPACE},
        "spec": {"hard": {"secrets": "0"}},
    }


def webhook() -> Object:
    """A webhook for Endpoints of the namespace that nobody answers."""
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["CREATE"],
        "resources": ["endpoints"],
    }
    hooked = {
        "name": "nobody.example.com",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1,
        "clientConfig": {"url": "https://127.0.0.1:1/nobody"},
        "rules": [rule],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": SPACE}},
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "fleet-e2e"},
        "webhooks": [hooked],
    }
