"""In which order objects are written and removed."""

from __future__ import annotations

from agents.apply.order import Stage, stage_of, waves
from tests.agents.samples import SETTINGS, WEB, key

NAMESPACE = key("Namespace", "shop", "")
CRD = key("CustomResourceDefinition", "widgets.example.com", "", "apiextensions.k8s.io")
ROLE = key("ClusterRole", "all", "", "rbac.authorization.k8s.io")
HOOK = key("ValidatingWebhookConfiguration", "v", "", "admissionregistration.k8s.io")
WIDGET = key("Widget", "one", group="example.com")
GATEWAY = key("Gateway", "one", group="gateway.networking.k8s.io")
SERVICE = key("Service", "web")


def test_each_kind_has_its_stage() -> None:
    assert stage_of(NAMESPACE) is Stage.NAMESPACES
    assert stage_of(CRD) is Stage.CRDS
    assert stage_of(ROLE) is Stage.CLUSTER
    assert stage_of(WEB) is Stage.REST
    assert stage_of(HOOK) is Stage.EXTENSIONS
    assert stage_of(WIDGET) is Stage.CUSTOM


def test_a_group_that_only_sounds_built_in_is_custom() -> None:
    assert stage_of(GATEWAY) is Stage.CUSTOM


def test_waves_follow_stages_and_ranks_and_pruning_goes_backwards() -> None:
    keys = [WIDGET, WEB, HOOK, SERVICE, SETTINGS, ROLE, CRD, NAMESPACE]
    order = [[NAMESPACE], [CRD], [ROLE], [SETTINGS], [SERVICE], [WEB], [HOOK], [WIDGET]]
    assert waves(keys) == order
    assert waves(reversed(keys), backwards=True) == order[::-1]


def test_objects_of_one_rank_go_together_sorted() -> None:
    other = key("ConfigMap", "a")
    assert waves([SETTINGS, other]) == [[other, SETTINGS]]


def test_custom_classes_come_before_what_names_them_and_accounts_before_their_tokens() -> None:
    gateway_class = key("GatewayClass", "one", "", "gateway.networking.k8s.io")
    assert waves([GATEWAY, gateway_class, WIDGET]) == [[gateway_class], [WIDGET, GATEWAY]]
    account, token = key("ServiceAccount", "web"), key("Secret", "web-token")
    assert waves([token, account]) == [[account], [token]]
