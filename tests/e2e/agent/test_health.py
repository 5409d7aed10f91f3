"""Health as an agent reports it: every kind, declared rules, time-outs; on both implementations."""

from __future__ import annotations

from typing import Any

from agents.protocol import Health, HealthCheck, Options, SyncState
from clusters.objects import Object, ObjectKey
from tests.agents.samples import config_map, crd, deployment, job, secret, widget
from tests.e2e.agent.real_lab import SPACE, RealLab

WIDGET = ObjectKey("example.com", "Widget", SPACE, "one")


def _made(api: str, kind: str, name: str, **fields: Any) -> Object:
    return {"apiVersion": api, "kind": kind, "metadata": {"name": name}, **fields}


def _workload(kind: str, name: str, **spec: Any) -> Object:
    made = deployment(name, replicas=1)["spec"]
    template = {"selector": made["selector"], "template": made["template"]}
    return _made("apps/v1", kind, name, spec={**template, **spec})


def _every_kind() -> list[Object]:
    pod = deployment("bare")["spec"]["template"]
    on_demand = {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": job()["spec"]}}
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    return [
        deployment(),
        _workload("StatefulSet", "db", serviceName="db"),
        _workload("DaemonSet", "everywhere"),
        _workload("ReplicaSet", "set", replicas=1),
        _made("v1", "Pod", "bare", spec=pod["spec"]),
        job(),
        _made("batch/v1", "CronJob", "yearly", spec=on_demand),
        _made("v1", "Service", "web", spec={"selector": {"app": "web"}, "ports": [{"port": 80}]}),
        _made("networking.k8s.io/v1", "Ingress", "web", spec={"defaultBackend": backend}),
        _made("networking.k8s.io/v1", "NetworkPolicy", "all", spec={"podSelector": {}}),
        _made(
            "policy/v1",
            "PodDisruptionBudget",
            "web",
            spec={"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
        ),
        _made("v1", "ServiceAccount", "runner"),
        _made("rbac.authorization.k8s.io/v1", "Role", "reader", rules=[]),
        config_map(),
        secret(word="x"),
        crd(),
        widget(),
        _made(
            "autoscaling/v2",
            "HorizontalPodAutoscaler",
            "other",
            spec={"scaleTargetRef": {**target, "name": "none"}, "maxReplicas": 2},
        ),
    ]


async def test_every_kind_becomes_healthy_and_the_reports_count_says_so(either: RealLab) -> None:
    wanted = [obj for obj in _every_kind() if obj["kind"] != "HorizontalPodAutoscaler"]
    either.release("web", *wanted)
    await either.synced("web")
    await either.until(lambda: either.report("web").health is Health.HEALTHY)
    assert either.report("web").objects_ready == len(wanted)


async def test_an_autoscaler_without_its_target_is_degraded_with_the_clusters_own_words(
    either: RealLab,
) -> None:
    either.release("web", *[obj for obj in _every_kind() if obj["metadata"]["name"] == "other"])
    await either.synced("web")
    await either.until(lambda: either.report("web").health is Health.DEGRADED)
    assert "FailedGetScale" in either.report("web").message


async def test_an_image_that_cannot_be_pulled_is_degraded_at_once(either: RealLab) -> None:
    either.release("web", deployment(image="m:pullerror"))
    await either.synced("web")
    await either.until(lambda: either.report("web").health is Health.DEGRADED)
    assert "Pull" in either.report("web").message


async def test_a_custom_resource_is_judged_by_its_conditions(either: RealLab) -> None:
    either.release("web", crd(), widget())
    await either.synced("web")
    for kind, status, health in (
        ("Ready", "False", Health.PROGRESSING),
        ("Reconciling", "True", Health.PROGRESSING),
        ("Stalled", "True", Health.DEGRADED),
        ("Ready", "True", Health.HEALTHY),
        ("Available", "Unknown", Health.PROGRESSING),
        ("Available", "True", Health.HEALTHY),
    ):
        await _says(either, conditions=[{"type": kind, "status": status}])
        await either.until(lambda: either.report("web").health is health)  # noqa: B023


async def test_a_controller_that_has_not_seen_the_newest_version_is_waited_for(
    either: RealLab,
) -> None:
    either.release("web", crd(), widget())
    await either.synced("web")
    ready = [{"type": "Ready", "status": "True"}]
    await _says(either, observedGeneration=0, conditions=ready)
    await either.until(lambda: either.report("web").health is Health.PROGRESSING)
    await _says(either, observedGeneration=2**31, conditions=ready)
    await either.until(lambda: either.report("web").health is Health.HEALTHY)


async def test_a_declared_rule_is_asked_in_fluxs_order(either: RealLab) -> None:
    check = HealthCheck(
        api_version="example.com/v1",
        kind="Widget",
        in_progress="status.?busy.orValue(false)",
        failed="status.?phase.orValue('') in ['Broken', 'Lost']",
        current="status.conditions.filter(c, c.type == 'Up').all(c, c.status == 'True')",
    )
    options = Options(namespace=SPACE, health_checks=(check,))
    either.release("web", crd(), widget(), options=options)
    await either.synced("web")
    assert either.report("web").health is Health.PROGRESSING
    assert "has no answer yet" in either.report("web").message
    up = [{"type": "Up", "status": "True"}]
    for status, health in (
        ({"conditions": up}, Health.HEALTHY),
        ({"conditions": up, "phase": "Lost"}, Health.DEGRADED),
        ({"conditions": up, "phase": "Lost", "busy": True}, Health.PROGRESSING),
        ({"conditions": [{"type": "Up", "status": "False"}]}, Health.PROGRESSING),
    ):
        await _says(either, **status)
        await either.until(lambda: either.report("web").health is health)  # noqa: B023


async def test_a_rule_that_runs_on_or_is_none_troubles_its_own_bundle_alone(
    either: RealLab,
) -> None:
    ten = "[1,2,3,4,5,6,7,8,9,10]"
    loop = "".join(f"{ten}.all({name}, " for name in "abcdefg") + "true" + ")" * 7
    for bundle, text in (("loops", loop), ("broken", "status.("), ("nowhere", "status['']==1")):
        check = HealthCheck(api_version="v1", kind="ConfigMap", current=text)
        options = Options(namespace=SPACE, health_checks=(check,))
        either.release(bundle, config_map(bundle), options=options)
    either.release("web", config_map())
    await either.synced("web", "loops", "broken", "nowhere")
    assert either.report("web").health is Health.HEALTHY
    assert either.report("broken").health is Health.UNKNOWN
    assert "healthCheckExprs current is no CEL" in either.report("broken").message
    assert "Iteration budget exceeded" in either.report("loops").message
    assert either.report("nowhere").health is Health.PROGRESSING


async def test_what_progresses_past_its_time_out_is_degraded_until_it_is_mended(
    either: RealLab,
) -> None:
    options = Options(namespace=SPACE, timeout_seconds=3)
    either.release("web", deployment(image="m:neverready"), options=options)
    either.release("other", config_map("other"))
    await either.synced("web", "other")
    await either.until(lambda: either.report("web").health is Health.DEGRADED)
    assert "(for more than 3 s)" in either.report("web").message
    assert either.report("web").sync is SyncState.SYNCED
    patient = Options(namespace=SPACE, timeout_seconds=60)
    either.release("web", deployment(image="m:2"), options=patient)
    await either.synced("web")
    await either.until(lambda: either.report("web").health is Health.HEALTHY)


async def _says(lab: RealLab, **status: Any) -> None:
    """The widget's controller writes its status, all of it."""
    empty = dict.fromkeys(("conditions", "phase", "busy", "observedGeneration"))
    await lab.edit(WIDGET, {"status": {**empty, **status}}, manager="controller")
