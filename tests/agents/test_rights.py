"""Rights for what is deployed: enough, and nothing beside it."""

from __future__ import annotations

from typing import Any

import pytest

from agents.protocol import Artifact, BundleDeployment, Options
from agents.protocol.needs import Needs, needs_of_deployments, needs_of_manifests
from agents.rights import HANDS_OUT, NAME, plural_of, rights_of
from clusters.objects import Object
from tests.agents.samples import config_map, crd, deployment, hook, job, namespace, secret, widget

RBAC = "rbac.authorization.k8s.io"
HOLD = {"create", "delete", "get", "patch"}


def placed(item: Object, namespace: str = "shop") -> Object:
    return {**item, "metadata": {**item["metadata"], "namespace": namespace}}


def role(kind: str, name: str, namespace: str = "", **more: Any) -> Object:
    meta = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": meta, **more}


def rules(needs: Needs, namespace: str = "", name: str = NAME) -> list[Any]:
    """The rules that hold in a namespace, or everywhere."""
    found = [
        item["rules"]
        for item in rights_of(needs)
        if item["kind"] in ("Role", "ClusterRole")
        and item["metadata"]["name"] == name
        and item["metadata"].get("namespace", "") == namespace
    ]
    return [rule for some in found for rule in some]


def verbs(needs: Needs, group: str, resource: str, namespace: str = "") -> set[str]:
    """What may be done with all objects of a resource."""
    return {
        verb
        for rule in rules(needs, namespace)
        if group in rule["apiGroups"]
        and resource in rule["resources"]
        and "resourceNames" not in rule
        for verb in rule["verbs"]
    }


def of(*objects: Object) -> Needs:
    return needs_of_manifests(objects)


def test_only_kinds_that_are_deployed_are_opened_and_written_only_where_they_go() -> None:
    needs = of(placed(deployment()))
    assert verbs(needs, "apps", "deployments") == {"list", "watch"}
    assert verbs(needs, "apps", "deployments", "shop") == HOLD
    for space in ("", "shop"):
        for group, resource in (("apps", "daemonsets"), ("", "configmaps"), ("batch", "jobs")):
            assert not verbs(needs, group, resource, space), resource
        assert all("*" not in value for rule in rules(needs, space) for value in rule.values())


def test_secrets_are_opened_where_they_go_and_nowhere_else() -> None:
    needs = of(placed(secret()), placed(deployment(), "other"))
    assert not verbs(needs, "", "secrets")
    assert not verbs(needs, "", "secrets", "other")
    assert verbs(needs, "", "secrets", "shop") == {*HOLD, "list", "watch"}
    assert verbs(needs, "", "secrets", "fleet-system") == {*HOLD, "list"}, "the copy"


def test_what_is_kept_in_any_case_cannot_be_deleted_unless_one_of_them_says_otherwise() -> None:
    keep, go = crd(), crd()
    go["metadata"]["annotations"] = {"fleet.dev/prune": "enabled"}
    resource = ("apiextensions.k8s.io", "customresourcedefinitions")
    assert verbs(of(keep), *resource) == {"create", "get", "list", "patch", "watch"}
    assert "delete" in verbs(of(go), *resource)


def test_hooks_are_run_and_removed_but_never_watched() -> None:
    artifact = Artifact(bundle="web", hooks=(hook(job(), "post-install"),))
    item = BundleDeployment.of("web", artifact.digest(), {}, Options(namespace="shop"))
    needs = needs_of_deployments([item], {artifact.digest(): artifact})
    assert verbs(needs, "batch", "jobs", "shop") == HOLD
    assert not verbs(needs, "batch", "jobs")
    annotated = placed(job())
    annotated["metadata"]["annotations"] = {"helm.sh/hook": "post-install"}
    assert rules(of(annotated), "shop") == rules(needs, "shop")


def test_namespaces_are_opened_by_name() -> None:
    needs = of(placed(deployment()), namespace("empty"))
    assert not verbs(needs, "", "namespaces") - {"list", "watch"}
    named = {
        verb: rule["resourceNames"]
        for rule in rules(needs)
        if rule["resources"] == ["namespaces"] and "resourceNames" in rule
        for verb in rule["verbs"]
    }
    known = ["empty", "fleet-system", "shop"]
    assert named == {"get": known, "patch": known, "create": ["empty"]}
    made = [item["metadata"]["name"] for item in rights_of(needs) if item["kind"] == "Namespace"]
    assert made == ["fleet-system", "shop"], "and not what every cluster has"


def test_pods_and_autoscalers_are_looked_at_where_there_is_something_to_scale() -> None:
    assert not verbs(of(placed(config_map())), "", "pods", "shop")
    assert not verbs(of(placed(config_map())), "autoscaling", "horizontalpodautoscalers")
    needs = of(placed(deployment()))
    assert verbs(needs, "", "pods", "shop") == {"list"}
    assert not verbs(needs, "", "pods")
    assert verbs(needs, "autoscaling", "horizontalpodautoscalers") == {"list"}


def test_a_custom_resource_goes_by_the_plural_of_its_definition() -> None:
    definition = crd()
    definition["spec"]["names"]["plural"] = "widgetry"
    needs = of(definition, placed(widget()))
    assert verbs(needs, "example.com", "widgetry", "shop") == HOLD
    assert "patch" in verbs(needs, "apiextensions.k8s.io", "customresourcedefinitions")


def test_a_kind_of_which_nobody_knows_whether_it_is_namespaced_is_opened_everywhere() -> None:
    assert verbs(of(widget()), "example.com", "widgets") == {*HOLD, "list", "watch"}


def test_what_roles_hold_is_held_by_the_agent_and_not_escalate() -> None:
    rule = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}
    inner = {"apiGroups": [""], "resources": ["endpoints"], "verbs": ["list"]}
    needs = of(
        role("ClusterRole", "reader", rules=[rule]),
        role("Role", "inner", "shop", rules=[inner]),
        role("RoleBinding", "inner", "shop", roleRef={"kind": "Role", "name": "inner"}),
        role("RoleBinding", "reads", "shop", roleRef={"kind": "ClusterRole", "name": "reader"}),
    )
    assert rules(needs, name=HANDS_OUT) == [rule]
    assert rules(needs, "shop", name=HANDS_OUT) == [inner]
    assert rule not in rules(needs), "whoever reads them sees which is which"
    said = [rule for item in rights_of(needs) for rule in item.get("rules", ())]
    found = {verb for rule in said for verb in rule["verbs"]}
    assert found.isdisjoint({"escalate", "bind", "impersonate", "*"})


def test_what_has_no_sensible_form_gives_no_rights_and_holds_up_no_others() -> None:
    needs = of(
        role("Role", "odd", "shop", rules="all"),
        role("Role", "odder", "shop", rules=["all"], aggregationRule=None),
        role("RoleBinding", "odd", "shop", roleRef="Role/odd"),
        {**crd(), "spec": {"names": "widgets"}},
        {**deployment(), "spec": None},
        placed(config_map()),
    )
    assert not rules(needs, "shop", HANDS_OUT)
    assert verbs(needs, "", "configmaps", "shop") == HOLD


def test_a_foreign_role_is_bound_by_name_in_its_place_alone() -> None:
    ref = {"kind": "ClusterRole", "name": "view"}
    bind = {
        "apiGroups": [RBAC],
        "resources": ["clusterroles"],
        "verbs": ["bind"],
        "resourceNames": ["view"],
    }
    inside = of(role("RoleBinding", "viewer", "shop", roleRef=ref))
    assert rules(inside, "shop", HANDS_OUT) == [bind]
    assert not rules(inside, name=HANDS_OUT)
    outside = of(role("ClusterRoleBinding", "viewer", roleRef=ref))
    assert rules(outside, name=HANDS_OUT) == [bind]


def test_an_aggregating_role_may_be_escalated_by_name_alone() -> None:
    given = rules(of(role("ClusterRole", "sum", aggregationRule={}, rules=[])), name=HANDS_OUT)
    assert not given, "it aggregates nothing"
    said = {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}
    (rule,) = rules(of(role("ClusterRole", "sum", aggregationRule=said)), name=HANDS_OUT)
    assert (rule["verbs"], rule["resourceNames"]) == (["escalate"], ["sum"])


def test_accounts_are_impersonated_by_name_and_only_in_the_agents_namespace() -> None:
    needs = needs_of_manifests([], ("team-b", "team-a", "team-a"))
    (rule,) = [r for r in rules(needs, "fleet-system") if "impersonate" in r["verbs"]]
    assert (rule["resources"], rule["resourceNames"]) == (["serviceaccounts"], ["team-a", "team-b"])
    assert not any("impersonate" in rule["verbs"] for rule in rules(needs))


def test_what_a_bundle_brings_with_an_account_of_its_own_is_only_looked_at() -> None:
    item = role("Role", "inner", rules=[{"apiGroups": ["a"], "resources": ["b"], "verbs": ["c"]}])
    artifact = Artifact(bundle="team", objects=(deployment(), secret(), item))
    options = Options(namespace="shop", service_account="team-a")
    wanted = BundleDeployment.of("team", artifact.digest(), {}, options)
    needs = needs_of_deployments(
        [wanted, BundleDeployment.absent("left")], {artifact.digest(): artifact}
    )
    assert needs.accounts == ("team-a",)
    assert verbs(needs, "apps", "deployments") == {"list", "watch"}
    assert verbs(needs, "apps", "deployments", "shop") == {"get"}
    assert verbs(needs, "", "secrets", "shop") == {"get", "list", "watch"}
    assert not rules(needs, "shop", HANDS_OUT)
    assert not verbs(needs, "", "pods", "shop")


def test_variables_and_the_bundles_namespace_are_filled_in() -> None:
    inside = {**config_map(), "metadata": {"name": "a", "namespace": "of-${REGION}"}}
    artifact = Artifact(bundle="web", objects=(inside, secret()))
    options = Options(namespace="shop")
    item = BundleDeployment.of("web", artifact.digest(), {"REGION": "eu"}, options)
    needs = needs_of_deployments([item], {artifact.digest(): artifact})
    assert verbs(needs, "", "configmaps", "of-eu") == HOLD
    assert "patch" in verbs(needs, "", "secrets", "shop")


@pytest.mark.parametrize(
    ("kind", "plural"),
    [
        ("Deployment", "deployments"),
        ("Ingress", "ingresses"),
        ("StorageClass", "storageclasses"),
        ("NetworkPolicy", "networkpolicies"),
        ("Endpoints", "endpoints"),
        ("EndpointSlice", "endpointslices"),
        ("Gateway", "gateways"),
        ("Mesh", "meshes"),
    ],
)
def test_kinds_have_their_own_plurals(kind: str, plural: str) -> None:
    assert plural_of(kind) == plural
