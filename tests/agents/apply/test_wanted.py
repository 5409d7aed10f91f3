"""From an artifact to what one cluster is to hold."""

from __future__ import annotations

from typing import Any

from agents.apply.wanted import Prepared, prepare
from agents.inventory import PART_OF, applyset_id
from agents.protocol import Artifact, BundleDeployment, Hook, HookEvent, Options
from clusters.cluster import Discovery, Resource
from clusters.objects import Kind, Object
from tests.agents.samples import SETTINGS, config_map, crd, job, key, namespace, widget


def _resource(group: str, kind: str, namespaced: bool = True, *versions: str) -> Resource:
    served = versions or ("v1",)
    return Resource(Kind(group, kind), served[0], kind.lower() + "s", namespaced, versions=served)


_KINDS = [
    _resource("", "ConfigMap"),
    _resource("", "Namespace", False),
    _resource("batch", "Job"),
    _resource("apiextensions.k8s.io", "CustomResourceDefinition", False),
]
DISCOVERY = Discovery({item.kind: item for item in _KINDS})


def _prepare(*objects: Object, variables: dict[str, str] | None = None, **options: Any) -> Prepared:
    said = Options(**{"namespace": "shop", **options})
    item = BundleDeployment.of("web", "sha256:1", variables or {}, said)
    return prepare(Artifact(bundle="web", objects=objects), item, DISCOVERY)


def test_a_namespaced_object_goes_to_the_default_namespace_and_is_labelled() -> None:
    made = _prepare(config_map()).objects[SETTINGS]
    assert made.object["metadata"]["namespace"] == "shop"
    assert made.object["metadata"]["labels"] == {PART_OF: applyset_id("web")}


def test_without_a_default_it_goes_to_default() -> None:
    assert list(_prepare(config_map(), namespace="").objects) == [
        key("ConfigMap", "settings", "default")
    ]


def test_its_own_namespace_stays_unless_forced() -> None:
    own = config_map()
    own["metadata"]["namespace"] = "own"
    assert list(_prepare(own).objects) == [key("ConfigMap", "settings", "own")]
    assert list(_prepare(own, force_namespace=True).objects) == [SETTINGS]


def test_a_cluster_scoped_object_loses_a_namespace_that_it_cannot_have() -> None:
    wrong = namespace("extra")
    wrong["metadata"]["namespace"] = "shop"
    (made,) = _prepare(wrong).objects.values()
    assert "namespace" not in made.object["metadata"]


def test_the_bundles_own_definitions_settle_the_scope() -> None:
    assert key("Widget", "one", group="example.com") in _prepare(widget(), crd()).objects
    made = _prepare(widget(), crd(scope="Cluster")).objects
    assert key("Widget", "one", "", "example.com") in made


def test_a_kind_or_version_that_is_not_served_fails_that_object_alone() -> None:
    old = {**job(), "apiVersion": "batch/v1beta1"}
    made = _prepare(widget(), old, config_map())
    assert [(item.code, item.key.kind) for item in made.failures] == [
        ("kind-not-found", "Widget"),
        ("kind-not-found", "Job"),
    ]
    assert "batch/v1beta1" in made.failures[1].message
    assert list(made.objects) == [SETTINGS]


def test_what_only_a_server_writes_is_dropped() -> None:
    raw = config_map()
    raw["status"] = {"a": 1}
    raw["metadata"] |= {"creationTimestamp": None, "uid": "u", "managedFields": []}
    (made,) = _prepare(raw).objects.values()
    assert set(made.object["metadata"]) == {"name", "namespace", "labels"}
    assert "status" not in made.object


def test_variables_change_the_digest_and_the_artifact_stays() -> None:
    raw = config_map(a="${region}")
    eu = _prepare(raw, variables={"region": "eu"}).objects[SETTINGS]
    us = _prepare(raw, variables={"region": "us"}).objects[SETTINGS]
    assert eu.object["data"] == {"a": "eu"}
    assert eu.digest != us.digest
    assert raw == config_map(a="${region}")


def test_the_same_object_twice_is_a_failure() -> None:
    (failure,) = _prepare(config_map(), config_map()).failures
    assert failure.code == "duplicate"


def test_hooks_are_settled_but_carry_no_owner_label() -> None:
    hook = Hook(events=(HookEvent.PRE_INSTALL,), object=job())
    item = BundleDeployment.of("web", "sha256:1", {}, Options(namespace="shop"))
    (made,) = prepare(Artifact(bundle="web", hooks=(hook,)), item, DISCOVERY).hooks
    assert made.key == key("Job", "migrate", group="batch")
    assert "labels" not in made.object["metadata"]
