"""Fields that others fill in are left to them."""

from __future__ import annotations

from agents.diff import differences, scaled_by, settle
from clusters.objects import Object
from tests.agents.samples import WEB, deployment


def _webhook(ca: str | None = None, annotations: dict[str, str] | None = None) -> Object:
    client: dict[str, object] = {"url": "https://example.com"}
    if ca is not None:
        client["caBundle"] = ca
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "hook", "annotations": annotations or {}},
        "webhooks": [{"name": "a.example.com", "clientConfig": client}],
    }


def test_scaled_replicas_are_those_that_live_has() -> None:
    settled = settle(deployment(replicas=2), deployment(replicas=7), scaled=True)
    assert settled["spec"]["replicas"] == 7
    assert settle(deployment(replicas=2), deployment(replicas=7), scaled=False) == deployment()


def test_scaled_replicas_start_as_wanted() -> None:
    assert settle(deployment(), None, scaled=True) == deployment()


def test_replicas_that_are_not_wanted_are_not_made_up() -> None:
    wanted = deployment()
    del wanted["spec"]["replicas"]
    assert settle(wanted, deployment(replicas=7), scaled=True) == wanted


def test_the_wanted_object_is_not_changed() -> None:
    wanted = deployment()
    settle(wanted, deployment(replicas=7), scaled=True)
    assert wanted == deployment()


def test_rules_of_an_aggregated_role_are_the_controllers() -> None:
    role: Object = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "all"},
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]},
        "rules": [],
    }
    live = {**role, "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]}
    assert differences(settle(role, live, scaled=False), live) == ()
    plain = {name: value for name, value in role.items() if name != "aggregationRule"}
    plain["rules"] = [{"verbs": ["list"], "apiGroups": [""], "resources": ["pods"]}]
    assert differences(settle(plain, live, scaled=False), live)


def test_an_empty_ca_bundle_is_the_injectors() -> None:
    live = _webhook("TGl2ZQ==")
    for placeholder in ("", "Cg==", None):
        settled = settle(_webhook(placeholder), live, scaled=False)
        assert differences(settled, live) == ()
        assert "caBundle" not in settled["webhooks"][0]["clientConfig"]


def test_a_ca_bundle_that_is_wanted_stays_wanted() -> None:
    assert differences(settle(_webhook("QQ=="), _webhook("Qg=="), scaled=False), _webhook("Qg=="))


def test_a_ca_bundle_that_cert_manager_injects_is_never_drift() -> None:
    marked = _webhook("QQ==", {"cert-manager.io/inject-ca-from": "ns/cert"})
    settled = settle(marked, _webhook("Qg=="), scaled=False)
    assert "caBundle" not in settled["webhooks"][0]["clientConfig"]


def test_a_property_of_a_definitions_schema_named_ca_bundle_stays() -> None:
    schema = {"openAPIV3Schema": {"properties": {"caBundle": {"type": "string"}}}}
    definition: Object = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": "widgets.example.com",
            "annotations": {"cert-manager.io/inject-ca-from": "ns/cert"},
        },
        "spec": {
            "conversion": {"webhook": {"clientConfig": {"caBundle": "QQ=="}}},
            "versions": [{"name": "v1", "schema": schema}],
        },
    }
    settled = settle(definition, None, scaled=False)
    assert settled["spec"]["versions"][0]["schema"] == schema
    assert settled["spec"]["conversion"]["webhook"]["clientConfig"] == {}


def test_an_autoscaler_names_its_target() -> None:
    hpa: Object = {
        "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}},
    }
    assert scaled_by([hpa, {"metadata": {"name": "broken"}}]) == {WEB}
