"""ResourceQuota: what is counted, what is refused and in what words, what is given back."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.errors import AlreadyExistsError, InvalidError, QuotaError
from clusters.objects import Object, key_of
from tests.clusters.simulation.samples import (
    config_map,
    deployment,
    namespace,
    new_server,
    service,
    widget,
    widget_definition,
)
from tests.clusters.simulation.server.admission.policies import (
    QUOTA,
    claim,
    container,
    pod,
    quota,
    rule,
    used,
    webhook,
)

SMALL: dict[str, Any] = {
    "requests": {"cpu": "200m", "memory": "64Mi"},
    "limits": {"cpu": "1", "memory": "1Gi"},
}


def test_a_new_quota_counts_what_is_there_already() -> None:
    server = new_server()
    server.create(pod("one", containers=[container(**SMALL)]))
    server.create(quota({"pods": "3", "requests.cpu": "1000m", "services": "1"}))
    status = server.get(QUOTA)["status"]
    assert status["hard"] == {"pods": "3", "requests.cpu": "1", "services": "1"}
    assert status["used"] == {"pods": "1", "requests.cpu": "200m", "services": "0"}


def test_what_exceeds_a_quota_is_refused_in_the_words_of_kubernetes() -> None:
    server = new_server()
    server.create(quota({"pods": "1", "requests.cpu": "300m", "services": "9"}))
    server.create(pod("one", containers=[container(**SMALL)]))
    with pytest.raises(QuotaError) as refused:
        server.create(pod("two", containers=[container(**SMALL)]))
    assert str(refused.value) == (
        'pods "two" is forbidden: exceeded quota: budget, requested: pods=1,requests.cpu=200m, '
        "used: pods=1,requests.cpu=200m, limited: pods=1,requests.cpu=300m"
    )
    assert used(server) == {"pods": "1", "requests.cpu": "200m", "services": "0"}


def test_what_is_deleted_or_has_ended_is_given_back() -> None:
    server = new_server()
    server.create(quota({"pods": "2", "count/pods": "9"}))
    for name in ("one", "two"):
        server.create(pod(name))
    server.delete(key_of(pod("one")))
    assert used(server) == {"pods": "1", "count/pods": "1"}
    server.patch(key_of(pod("two")), {"status": {"phase": "Succeeded"}}, subresource="status")
    assert used(server) == {"pods": "0", "count/pods": "1"}


def test_a_pod_that_failed_or_is_on_its_way_out_takes_nothing() -> None:
    server = new_server()
    server.create(quota({"pods": "2"}))
    held = pod("two")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    for obj in (pod("one"), held):
        server.create(obj)
    server.patch(key_of(pod("one")), {"status": {"phase": "Failed"}}, subresource="status")
    assert used(server) == {"pods": "1"}
    server.delete(key_of(held))
    assert server.peek(key_of(held)) is not None
    assert used(server) == {"pods": "0"}


def test_what_takes_nothing_of_a_full_resource_passes() -> None:
    server = new_server()
    server.create(service(type="NodePort"))
    server.create(quota({"services.nodeports": "0", "services": "5"}))
    server.create(service("plain"))
    assert used(server) == {"services.nodeports": "1", "services": "2"}


def test_a_claim_that_grows_must_fit_but_its_status_may_say_what_it_will() -> None:
    server = new_server()
    server.create(quota({"requests.storage": "2Gi"}))
    server.create(claim("1Gi"))
    key = key_of(claim(""))
    server.patch(key, {"status": {"phase": "Bound"}}, subresource="status")
    with pytest.raises(QuotaError, match=r"requested: requests\.storage=2Gi, used: .*=1Gi"):
        server.patch(key, {"spec": {"resources": {"requests": {"storage": "3Gi"}}}})
    grown = {"status": {"allocatedResources": {"storage": "3Gi"}}}
    server.patch(key, grown, subresource="status")
    assert used(server) == {"requests.storage": "3Gi"}


def test_a_quota_is_kept_even_where_a_webhook_forbids_every_write() -> None:
    server = new_server()
    server.create(config_map("one"))
    server.create(quota({"configmaps": "1"}))
    server.create(
        webhook(rule("*/*", apiGroups=["*"], operations=["CREATE", "UPDATE"]), failurePolicy="Fail")
    )
    server.delete(key_of(config_map("one")))
    assert used(server) == {"configmaps": "0"}


def test_a_dry_run_is_refused_alike_and_charges_nothing() -> None:
    server = new_server()
    server.create(quota({"configmaps": "1"}))
    server.create(config_map("one"), dry_run=True)
    assert used(server) == {"configmaps": "0"}
    server.apply(config_map("one"), manager="m")
    with pytest.raises(QuotaError, match="requested: configmaps=1, used: configmaps=1"):
        server.apply(config_map("two"), manager="m", dry_run=True)


def test_a_full_quota_is_named_before_the_object_that_is_there_already() -> None:
    server = new_server()
    server.create(quota({"configmaps": "1"}))
    server.create(config_map("one"))
    with pytest.raises(QuotaError):
        server.create(config_map("one"))
    server.patch(QUOTA, {"spec": {"hard": {"configmaps": "2"}}})
    with pytest.raises(AlreadyExistsError):
        server.create(config_map("one"))
    assert used(server) == {"configmaps": "1"}


def test_a_write_that_fails_later_charges_nothing() -> None:
    server = new_server()
    server.create(quota({"services": "5"}))
    with pytest.raises(InvalidError, match="is invalid"):
        server.create(service(ports=[]))
    assert used(server) == {"services": "0"}


def test_an_update_is_charged_for_what_it_adds() -> None:
    server = new_server()
    server.create(quota({"services.nodeports": "1", "services.loadbalancers": "1"}))
    server.create(service())
    assert used(server) == {"services.nodeports": "0", "services.loadbalancers": "0"}
    server.apply(service(type="LoadBalancer"), manager="m", force=True)
    assert used(server) == {"services.nodeports": "1", "services.loadbalancers": "1"}
    server.apply(service(type="LoadBalancer"), manager="m", force=True)
    with pytest.raises(QuotaError, match=r"services\.nodeports=1, used: services\.nodeports=1"):
        server.create(service("other", type="NodePort"))


def test_an_update_that_adds_nothing_passes_even_if_the_quota_was_lowered() -> None:
    server = new_server()
    server.create(service(type="NodePort"))
    server.create(quota({"services.nodeports": "0"}))
    assert used(server) == {"services.nodeports": "1"}
    changed = service(type="NodePort", sessionAffinity="ClientIP")
    server.apply(changed, manager="m", force=True)


def test_a_changed_quota_is_counted_again() -> None:
    server = new_server()
    server.create(quota({"configmaps": "1"}))
    server.create(config_map("one"))
    server.patch(QUOTA, {"spec": {"hard": {"configmaps": "2", "secrets": "1"}}})
    status = server.get(QUOTA)["status"]
    assert status["hard"] == {"configmaps": "2", "secrets": "1"}
    assert status["used"] == {"configmaps": "1", "secrets": "0"}
    server.create(config_map("two"))


def test_a_status_that_somebody_else_wrote_is_put_right() -> None:
    server = new_server()
    server.create(quota({"configmaps": "1"}))
    server.patch(QUOTA, {"status": {"used": {"configmaps": "7"}}}, subresource="status")
    assert used(server) == {"configmaps": "0"}


def test_without_a_quota_nothing_is_limited_any_more() -> None:
    server = new_server()
    server.create(quota({"configmaps": "0"}))
    server.delete(QUOTA)
    server.create(config_map("one"))
    server.create(quota({"configmaps": "1"}))
    assert used(server) == {"configmaps": "1"}


def test_a_quota_is_of_its_namespace_alone() -> None:
    server = new_server()
    server.create(quota({"configmaps": "0"}))
    server.create(namespace("shop"))
    server.create(config_map("one", namespace="shop"))
    assert used(server) == {"configmaps": "0"}


def test_every_quota_of_a_namespace_must_be_kept() -> None:
    server = new_server()
    server.create(quota({"pods": "5"}))
    server.create(quota({"count/pods": "0"}, name="none"))
    with pytest.raises(QuotaError, match="exceeded quota: none, requested: count/pods=1"):
        server.create(pod())
    assert used(server) == {"pods": "0"}


def test_a_namespace_goes_with_its_quota_and_all_it_counts() -> None:
    server = new_server()
    server.create(namespace("shop"))
    body = quota({"configmaps": "3"})
    body["metadata"]["namespace"] = "shop"
    server.create(body)
    server.create(config_map("one", namespace="shop"))
    server.delete(key_of(namespace("shop")))
    assert server.peek(key_of(body)) is None
    server.create(namespace("shop"))
    server.create(config_map("one", namespace="shop"))


@pytest.mark.parametrize("field", ["containers", "initContainers"])
def test_a_quota_on_compute_makes_every_container_say_what_it_takes(field: str) -> None:
    server = new_server()
    server.create(quota({"limits.cpu": "4", "requests.memory": "1Gi", "pods": "9"}))
    silent = pod(
        containers=[container("app", **SMALL)], initContainers=[container("init", **SMALL)]
    )
    server.create(silent)
    silent["metadata"]["name"] = "two"
    silent["spec"][field] = [container("b"), container("a", limits={"cpu": "1"})]
    with pytest.raises(QuotaError) as refused:
        server.create(silent)
    assert str(refused.value) == (
        'pods "two" is forbidden: failed quota: budget: must specify limits.cpu for: b; '
        "requests.memory for: a,b"
    )


def test_resources_of_the_whole_pod_answer_for_its_containers() -> None:
    server = new_server()
    server.create(quota({"requests.cpu": "4", "limits.memory": "2Gi"}))
    whole = {"requests": {"cpu": "3"}, "limits": {"memory": "1Gi"}}
    server.create(pod(resources=whole))
    assert used(server) == {"requests.cpu": "3", "limits.memory": "1Gi"}


def requests(**amounts: str) -> dict[str, Any]:
    return {"requests": amounts}


@pytest.mark.parametrize(
    ("spec", "cpu"),
    [
        ({"containers": [container("a", **requests(cpu="1")), container("b", **SMALL)]}, "1200m"),
        ({"initContainers": [container("i", **requests(cpu="3"))]}, "3"),
        ({"initContainers": [container("i", **requests(cpu="100m"))]}, "500m"),
        (
            {
                "initContainers": [
                    {**container("side", **requests(cpu="1")), "restartPolicy": "Always"},
                    container("i", **requests(cpu="2")),
                ]
            },
            "3",
        ),
        ({"overhead": {"cpu": "250m"}}, "750m"),
    ],
)
def test_a_pod_takes_the_sum_of_its_containers_or_its_greediest_start(
    spec: dict[str, Any], cpu: str
) -> None:
    server = new_server()
    server.create(quota({"requests.cpu": "9"}))
    server.create(pod(**{"containers": [container("a", **requests(cpu="500m"))], **spec}))
    assert used(server) == {"requests.cpu": cpu}


def annotated(obj: Object, storage_class: str) -> Object:
    named = {"volume.beta.kubernetes.io/storage-class": storage_class}
    return {**obj, "metadata": {**obj["metadata"], "annotations": named}}


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (
            claim("10Gi", storageClassName="gold"),
            {
                "persistentvolumeclaims": "1",
                "requests.storage": "10Gi",
                "gold.storageclass.storage.k8s.io/requests.storage": "10Gi",
                "gold.storageclass.storage.k8s.io/persistentvolumeclaims": "1",
            },
        ),
        (claim("1500m"), {"requests.storage": "2"}),
        (
            annotated(claim("1", storageClassName="gold"), "silver"),
            {
                "silver.storageclass.storage.k8s.io/requests.storage": "1",
                "gold.storageclass.storage.k8s.io/requests.storage": "0",
            },
        ),
        (
            pod(containers=[container(**SMALL)], overhead={"cpu": "1", "memory": "1Mi"}),
            {"limits.cpu": "2", "requests.memory": "65Mi"},
        ),
        (
            pod(overhead={"ephemeral-storage": "1Gi"}),
            {"limits.ephemeral-storage": "0", "requests.ephemeral-storage": "1Gi"},
        ),
        (deployment(), {"count/deployments.apps": "1"}),
        (config_map("one"), {"configmaps": "1", "count/configmaps": "1"}),
        (
            pod(
                containers=[
                    container(**requests(**{"example.com/gpu": "2", "hugepages-2Mi": "4Mi"}))
                ]
            ),
            {"requests.example.com/gpu": "2", "hugepages-2Mi": "4Mi", "pods": "1"},
        ),
        (service(type="LoadBalancer", allocateLoadBalancerNodePorts=False), {"services": "1"}),
    ],
    ids=[
        "claim",
        "part",
        "class",
        "overhead",
        "unlimited",
        "deployment",
        "config-map",
        "pod",
        "service",
    ],
)
def test_what_is_counted(obj: Object, expected: dict[str, str]) -> None:
    server = new_server()
    server.create(quota(dict.fromkeys((*expected, "services.nodeports", "secrets"), "1Ti")))
    server.create(obj)
    assert used(server) == expected | {"services.nodeports": "0", "secrets": "0"}


def test_custom_objects_are_counted_too_and_events_never() -> None:
    server = new_server()
    server.create(widget_definition())
    server.create(quota({"count/widgets.example.com": "1", "count/events": "1"}))
    server.create(widget())
    event = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": "seen", "namespace": "default"},
        "involvedObject": {"namespace": "default"},
    }
    server.create(event)
    assert used(server) == {"count/widgets.example.com": "1", "count/events": "0"}
    another = widget()
    another["metadata"]["name"] = "red"
    with pytest.raises(QuotaError, match=r'^widgets\.example\.com "red" is forbidden: exceeded'):
        server.create(another)


BEST_EFFORT = pod("idle")
BURSTABLE = pod("busy", containers=[container(**SMALL)])
ENDING = pod("ending", activeDeadlineSeconds=60)
CRITICAL = pod("critical", priorityClassName="system-node-critical")
TERM = {"topologyKey": "zone", "labelSelector": {}, "namespaces": ["shop"]}
ABROAD = pod(
    "abroad",
    affinity={"podAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [TERM]}},
)
WEIGHTED = {"weight": 1, "podAffinityTerm": {**TERM, "namespaceSelector": {}}}
AWAY = pod(
    "away",
    affinity={"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [WEIGHTED]}},
)
HIGH = {"scopeName": "PriorityClass", "operator": "In", "values": ["system-node-critical"]}
NO_CLASS = {"scopeName": "PriorityClass", "operator": "DoesNotExist"}


@pytest.mark.parametrize(
    ("scope", "counted"),
    [
        ({"scopes": ["BestEffort"]}, {"idle", "ending", "critical", "abroad", "away"}),
        ({"scopes": ["NotBestEffort"]}, {"busy"}),
        ({"scopes": ["Terminating"]}, {"ending"}),
        ({"scopes": ["NotTerminating"]}, {"idle", "busy", "critical", "abroad", "away"}),
        ({"scopes": ["BestEffort", "Terminating"]}, {"ending"}),
        ({"scopes": ["CrossNamespacePodAffinity"]}, {"abroad", "away"}),
        ({"scopes": ["PriorityClass"]}, {"critical"}),
        ({"scopeSelector": {"matchExpressions": [HIGH]}}, {"critical"}),
        (
            {"scopeSelector": {"matchExpressions": [NO_CLASS]}},
            {"idle", "busy", "ending", "abroad", "away"},
        ),
    ],
)
def test_scopes_choose_the_pods_that_count(scope: dict[str, Any], counted: set[str]) -> None:
    server = new_server()
    server.create(quota({"pods": "9"}, **scope))
    found = set()
    for obj in (BEST_EFFORT, BURSTABLE, ENDING, CRITICAL, ABROAD, AWAY):
        before = int(used(server)["pods"])
        server.create(obj)
        if int(used(server)["pods"]) > before:
            found.add(obj["metadata"]["name"])
    assert found == counted


def test_a_pod_that_moves_into_a_scope_must_fit_there() -> None:
    server = new_server()
    server.create(quota({"pods": "0"}, scopes=["Terminating"]))
    server.create(pod())
    with pytest.raises(QuotaError, match="exceeded quota"):
        server.patch(key_of(pod()), {"spec": {"activeDeadlineSeconds": 5}})


def test_a_claim_counts_in_the_scope_of_its_attributes_class() -> None:
    server = new_server()
    term = {"scopeName": "VolumeAttributesClass", "operator": "In", "values": ["fast"]}
    chosen = {"matchExpressions": [term]}
    server.create(quota({"persistentvolumeclaims": "1"}, scopeSelector=chosen))
    server.create(claim("1Gi", "slow", volumeAttributesClassName="slow"))
    server.create(claim("1Gi", "fast", volumeAttributesClassName="fast"))
    assert used(server) == {"persistentvolumeclaims": "1"}
    status = {"status": {"currentVolumeAttributesClassName": "fast"}}
    server.patch(key_of(claim("", "slow")), status, subresource="status")
    assert used(server) == {"persistentvolumeclaims": "2"}
