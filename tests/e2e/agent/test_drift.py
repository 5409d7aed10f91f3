"""Drift on a real API server, with its own controllers and kubectl as the other managers."""

from __future__ import annotations

import asyncio
import base64
import logging
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from agents.protocol import DriftMode, IgnoreRule, Options, SyncState
from clusters.objects import Object, ObjectKey, read_yaml
from tests.agents.log_lines import printed
from tests.agents.samples import SETTINGS as SHOP_SETTINGS
from tests.agents.samples import config_map, crd, deployment, job, namespace, secret, widget
from tests.e2e.agent.real_lab import SPACE, RealLab

SETTINGS = ObjectKey("", "ConfigMap", SPACE, SHOP_SETTINGS.name)
WEB = ObjectKey("apps", "Deployment", SPACE, "web")
WARN = Options(namespace=SPACE, drift=DriftMode.WARN)
QUIET_SECONDS = 2.0
"""Four full checks."""


async def quiet(real: RealLab) -> None:
    """Nothing is written or tried for a while, nor by an agent that knows nothing yet."""
    real.recorder.writes.clear()
    real.recorder.dry_runs = 0
    real.new_agent()
    await real.run_for(QUIET_SECONDS)
    assert (real.recorder.writes, real.recorder.dry_runs) == ([], 0)


async def replicas(real: RealLab, count: int) -> bool:
    """Does the Deployment have so many?"""
    live = await real.there("Deployment", "web", group="apps")
    return bool(live["spec"]["replicas"] == count)


async def becomes(real: RealLab, count: int) -> None:
    """Step the agent until the Deployment has so many."""
    for _ in range(200):
        if await replicas(real, count):
            return
        await real.run_for(0.1)
    raise AssertionError(f"never {count} replicas")


def owners_of(live: Object, *path: str) -> set[str]:
    """The managers that own the field."""
    found = set()
    for entry in live["metadata"]["managedFields"]:
        node: Any = entry["fieldsV1"]
        for name in path:
            node = node.get(f"f:{name}") if node is not None else None
        if node is not None:
            found.add(entry["manager"])
    return found


@pytest.mark.workloads
async def test_what_an_autoscaler_sets_is_its_own_and_survives_a_release(real: RealLab) -> None:
    real.release("web", deployment(replicas=1), autoscaler(least=3))
    await real.synced("web")
    await becomes(real, 3)
    await quiet(real)
    assert real.report("web").healed == 0
    real.release("web", deployment(replicas=1, image="example/web:2"), autoscaler(least=3))
    await real.synced("web")
    live = await real.there("Deployment", "web", group="apps")
    assert live["spec"]["replicas"] == 3
    assert owners_of(live, "spec", "replicas") == {"kube-controller-manager"}
    await quiet(real)


async def test_ca_bundles_that_an_injector_fills_in_are_no_drift(real: RealLab) -> None:
    hook, definition = webhook(), crd()
    definition["spec"]["conversion"] = {
        "strategy": "Webhook",
        "webhook": {
            "conversionReviewVersions": ["v1"],
            "clientConfig": {"url": "https://example.com/convert", "caBundle": ""},
        },
    }
    real.release("web", hook, definition)
    await real.synced("web")
    config = read_yaml(real.kubeconfig.read_bytes())
    pem = Path(config["clusters"][0]["cluster"]["certificate-authority"]).read_bytes()
    first, renewed = (base64.b64encode(pem * times).decode() for times in (1, 2))
    for ca in (first, renewed):
        filled = deepcopy(hook["webhooks"])
        filled[0]["clientConfig"]["caBundle"] = ca
        where = ObjectKey("admissionregistration.k8s.io", HOOK, "", "fleet-e2e")
        await real.edit(where, {"webhooks": filled}, "cainjector")
        conversion = {"webhook": {"clientConfig": {"caBundle": ca}}}
        where = ObjectKey("apiextensions.k8s.io", CRD, "", "widgets.example.com")
        await real.edit(where, {"spec": {"conversion": conversion}}, "cainjector")
        await quiet(real)
    real.release("web", webhook(timeout=7), definition)
    await real.synced("web")
    live = await real.there(HOOK, "fleet-e2e", "", "admissionregistration.k8s.io")
    assert live["webhooks"][0]["timeoutSeconds"] == 7
    assert live["webhooks"][0]["clientConfig"]["caBundle"] == renewed


@pytest.mark.workloads
async def test_rules_of_an_aggregated_role_are_the_controllers(real: RealLab) -> None:
    chosen = {"fleet-e2e/aggregate": "true"}
    all_of_it: Object = {**role("fleet-e2e-all"), "rules": []}
    all_of_it["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": chosen}]}
    part = role("fleet-e2e-part", labels=chosen, verbs=["get", "list"])
    real.release("web", all_of_it, part)
    await real.synced("web")
    live = await real.there("ClusterRole", "fleet-e2e-all", "", RBAC)
    for _ in range(200):
        if not live.get("rules"):
            await real.run_for(0.1)
            live = await real.there("ClusterRole", "fleet-e2e-all", "", RBAC)
    assert live["rules"] == part["rules"]
    await quiet(real)
    again = await real.there("ClusterRole", "fleet-e2e-all", "", RBAC)
    assert again["metadata"]["resourceVersion"] == live["metadata"]["resourceVersion"]


async def test_what_the_server_defaults_or_writes_otherwise_is_no_drift(real: RealLab) -> None:
    real.release("web", *of_every_kind())
    await real.synced("web")
    await quiet(real)


async def test_what_kubectl_scales_is_set_back_and_told_with_its_name(real: RealLab) -> None:
    real.release("web", deployment(replicas=1))
    await real.synced("web")
    assert real.kubectl("scale", "-n", SPACE, "deploy/web", "--replicas=4").returncode == 0
    await real.until(lambda: real.report("web").healed == 1)
    assert await replicas(real, 1)
    told = next(item for item in real.report("web").objects if item.code == "healed")
    drift = told.drift[0]
    assert (drift.path, drift.wanted, drift.live) == ("spec.replicas", "1", "4")
    assert drift.manager == "kubectl"
    assert real.report("web").sync is SyncState.SYNCED


async def test_what_kubectl_edits_is_only_reported_where_the_bundle_warns(
    real: RealLab, tmp_path: Path
) -> None:
    real.release("web", config_map(), options=WARN)
    await real.synced("web")
    real.recorder.writes.clear()
    editor = tmp_path / "editor"
    editor.write_text("#!/bin/sh\nsed -i s/blue/red/ $1\n", "utf-8")
    editor.chmod(0o755)
    edited = real.kubectl("edit", "-n", SPACE, "cm/settings", KUBE_EDITOR=str(editor))
    assert edited.returncode == 0, edited.stderr
    report = await real.code("web", "drift")
    assert (report.sync, report.drifted, report.health) == (SyncState.OUT_OF_SYNC, 1, "Healthy")
    drift = report.objects[0].drift[0]
    assert (drift.path, drift.wanted, drift.live) == ("data.colour", "blue", "red")
    assert drift.manager == "kubectl-edit"
    await real.run_for(QUIET_SECONDS)
    assert real.recorder.writes == []
    real.kubectl("patch", "-n", SPACE, "cm/settings", "-p", '{"data": {"colour": "blue"}}')
    await real.until(lambda: real.report("web").sync is SyncState.SYNCED)


async def test_pauses_of_an_object_and_of_a_namespace(real: RealLab) -> None:
    real.release("web", config_map(), deployment(replicas=1))
    await real.synced("web")
    words = ("annotate", "-n", SPACE, "cm/settings", "fleet.dev/pause=INC-17")
    assert real.kubectl(*words).returncode == 0
    await real.until(lambda: real.report("web").paused == 1)
    await real.edit(SETTINGS, {"data": {"colour": "red"}})
    await real.edit(WEB, {"spec": {"replicas": 3}})
    await real.until(lambda: real.report("web").healed == 1)
    report = await real.code("web", "paused")
    assert "paused: INC-17 (by kubectl-annotate)" in report.message
    assert await replicas(real, 1)
    assert (await real.there("ConfigMap", "settings"))["data"] == {"colour": "red"}
    real.kubectl("annotate", "-n", SPACE, "cm/settings", "fleet.dev/pause-")
    await real.synced("web")
    assert (await real.there("ConfigMap", "settings"))["data"] == {"colour": "blue"}
    real.kubectl("annotate", "ns", SPACE, "fleet.dev/pause=all of it")
    await real.edit(WEB, {"spec": {"replicas": 3}})
    await real.code("web", "paused")
    await real.run_for(1)
    assert await replicas(real, 3)
    real.kubectl("annotate", "ns", SPACE, "fleet.dev/pause-")
    await real.synced("web")
    assert await replicas(real, 1)


async def test_a_manager_that_keeps_setting_a_field_is_left_to_it(real: RealLab) -> None:
    real.release("web", deployment(replicas=1))
    await real.synced("web")
    for fights in (1, 2):
        await real.edit(WEB, {"spec": {"replicas": 5}}, "rival")
        await real.until(lambda wanted=fights: real.report("web").healed == wanted)  # type: ignore[misc]
    await real.edit(WEB, {"spec": {"replicas": 5}}, "rival")
    report = await real.code("web", "contested")
    assert report.contested == 1
    assert "rival keeps setting spec.replicas back" in report.message
    real.recorder.writes.clear()
    await real.edit(WEB, {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 3}}}})
    await real.edit(WEB, {"metadata": {"labels": {"app": "other"}}})
    await real.until(lambda: real.report("web").healed == 3)
    await real.run_for(QUIET_SECONDS)
    assert real.recorder.writes == ["apply Deployment web"]
    live = await real.there("Deployment", "web", group="apps")
    assert (live["spec"]["replicas"], live["metadata"]["labels"]["app"]) == (5, "web")


async def test_an_ignored_field_is_given_up_to_whoever_owns_it_and_kept_if_nobody_does(
    real: RealLab,
) -> None:
    real.release("web", config_map(theirs="1", ours="1", plain="1"))
    await real.synced("web")
    rules = (IgnoreRule(kind="ConfigMap", pointers=("/data/theirs", "/data/ours")),)
    ignoring = Options(namespace=SPACE, ignore=rules)
    await real.edit(SETTINGS, {"data": {"theirs": "2"}}, "they")
    real.release("web", config_map(theirs="1", ours="3", plain="3"), options=ignoring)
    await real.synced("web")
    live = await real.there("ConfigMap", "settings")
    assert live["data"] == {"theirs": "2", "ours": "1", "plain": "3"}
    assert owners_of(live, "data", "theirs") == {"they"}
    assert owners_of(live, "data", "ours") == {"fleet/web"}
    await quiet(real)
    real.release("web", config_map("fresh", theirs="1"), options=ignoring)
    await real.synced("web")
    assert (await real.there("ConfigMap", "fresh"))["data"] == {"theirs": "1"}


async def test_an_object_that_was_made_anew_with_other_immutable_fields(real: RealLab) -> None:
    real.release("plain", job("kept"))
    real.release("web", job(), options=Options(namespace=SPACE, drift_force=True))
    await real.synced("plain", "web")
    for name in ("kept", "migrate"):
        other = job(name, image="example/other:1")
        other["metadata"]["namespace"] = SPACE
        await real.cluster.delete(ObjectKey("batch", "Job", SPACE, name))
        while await real.live("Job", name, group="batch") is not None:
            await asyncio.sleep(0.05)
        await real.cluster.apply(other, manager="somebody")
    await real.code("plain", "immutable")
    await real.until(lambda: real.report("web").healed > 0)
    await real.synced("web")
    live = await real.there("Job", "migrate", group="batch")
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "example/migrate:1"


async def test_no_value_of_a_secret_is_ever_said(
    real: RealLab, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for options in (WARN, Options(namespace=SPACE)):
        real.release("web", secret(word="canary-wanted"), options=options)
        await real.synced("web")
        patch = '{"stringData": {"word": "canary-live", "more": "canary-more"}}'
        assert real.kubectl("patch", "-n", SPACE, "secret/password", "-p", patch).returncode == 0
        expected = "drift" if options is WARN else "healed"
        await real.until(
            lambda code=expected: any(o.code == code for o in real.report("web").objects)  # type: ignore[misc]
        )
    said = "".join(report.model_dump_json() for report in real.hub.received)
    said += printed(caplog.records)
    assert "(redacted)" in said
    for value in ("canary", "Y2FuYXJ5"):
        assert value not in said


HOOK, CRD = "ValidatingWebhookConfiguration", "CustomResourceDefinition"
RBAC = "rbac.authorization.k8s.io"


def webhook(timeout: int = 5) -> Object:
    """A webhook that is asked about nothing that there is."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": HOOK,
        "metadata": {"name": "fleet-e2e"},
        "webhooks": [
            {
                "name": "a.example.com",
                "clientConfig": {"url": "https://example.com/validate", "caBundle": ""},
                "rules": [
                    {
                        "apiGroups": ["example.com"],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE"],
                        "resources": ["nothings"],
                    }
                ],
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "timeoutSeconds": timeout,
            }
        ],
    }


def role(name: str, labels: dict[str, str] | None = None, verbs: list[str] | None = None) -> Object:
    """A ClusterRole that may do something with pods."""
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": name, "labels": labels or {}},
        "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": verbs or ["get"]}],
    }


def autoscaler(least: int) -> Object:
    """One that scales `web` to at least so many."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {
            "minReplicas": least,
            "maxReplicas": 9,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        },
    }


def of_every_kind() -> list[Object]:
    """Objects that say little, or say it in ways that the server does not keep."""
    web = deployment(replicas=0)
    pod: Object = web["spec"]["template"]["spec"]
    pod["containers"][0] |= {
        "ports": [{"containerPort": 8080}],
        "env": [{"name": "EMPTY", "value": ""}, {"name": "X", "value": "1"}],
        "resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}, "requests": {"cpu": 0.5}},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
        "readinessProbe": {"httpGet": {"port": 8080}},
    }
    pod["volumes"] = [{"name": "tmp", "emptyDir": {"sizeLimit": "0.5Gi"}}]
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": pod["containers"][:1]}}
    template = deepcopy(template)
    template["spec"]["containers"][0].pop("volumeMounts")
    found = [
        {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **rest}
        for version, kind, name, rest in small_ones(labels, template)
    ]
    return [
        *(web, config_map(), secret(word="x"), role("fleet-e2e"), crd(), widget()),
        *(namespace("fleet-e2e-2"), autoscaler(1), *found),
    ]


def small_ones(labels: dict[str, str], template: Object) -> list[tuple[str, str, str, Object]]:
    """Version, kind, name and the rest of objects around `web`."""
    made: list[tuple[str, str, str, Object]] = [
        ("v1", "Service", "web", {"ports": [{"port": 80}], "selector": labels}),
        ("apps/v1", "StatefulSet", "db", {
            "replicas": 0, "serviceName": "db", "selector": {"matchLabels": labels},
            "template": template,
        }),
        ("apps/v1", "DaemonSet", "agent", {
            "selector": {"matchLabels": labels},
            "template": {**template, "spec": {**template["spec"], "nodeSelector": {"no": "node"}}},
        }),
        ("batch/v1", "CronJob", "nightly", {
            "schedule": "0 3 * * *", "suspend": True,
            "jobTemplate": {"spec": {"template": {"spec": {
                "restartPolicy": "Never", "containers": [{"name": "a", "image": "example/a:1"}],
            }}}},
        }),
        ("networking.k8s.io/v1", "Ingress", "web", {
            "rules": [{"host": "a.example", "http": {"paths": [{
                "path": "/", "pathType": "Prefix",
                "backend": {"service": {"name": "web", "port": {"number": 80}}},
            }]}}],
        }),
        ("networking.k8s.io/v1", "NetworkPolicy", "web", {"podSelector": {}, "ingress": []}),
        ("policy/v1", "PodDisruptionBudget", "web", {
            "maxUnavailable": 1, "selector": {"matchLabels": labels},
        }),
        ("v1", "ResourceQuota", "web", {"hard": {"limits.memory": "10240Mi", "pods": 50}}),
        ("v1", "LimitRange", "web", {
            "limits": [{"type": "Container", "default": {"cpu": "0.5"}}],
        }),
    ]  # fmt: skip
    said = [(version, kind, name, {"spec": spec}) for version, kind, name, spec in made]
    return [*said, ("v1", "ServiceAccount", "web", {})]
