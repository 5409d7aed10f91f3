"""Rights for what is deployed: enough, and nothing beside it."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

from agents.cli import agent
from agents.rights import NAME, plural_of, rights_for
from clusters.objects import Object, dump_yaml, read_yaml_documents
from tests.agents.samples import crd, deployment, secret, widget

RBAC = "rbac.authorization.k8s.io"


def placed(item: Object, namespace: str = "shop") -> Object:
    return {**item, "metadata": {**item["metadata"], "namespace": namespace}}


def role(kind: str, name: str, namespace: str = "", **more: Any) -> Object:
    meta = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": meta, **more}


def rules(objects: list[Object], namespace: str = "", accounts: tuple[str, ...] = ()) -> list[Any]:
    """The rules that hold in a namespace, or everywhere."""
    found = [
        item["rules"]
        for item in rights_for(objects, accounts)
        if item["kind"] in ("Role", "ClusterRole")
        and item["metadata"].get("namespace", "") == namespace
    ]
    assert len(found) == 1
    return list(found[0])


def allows(given: list[Any], group: str, resource: str, verb: str) -> bool:
    return any(
        group in rule.get("apiGroups", ())
        and resource in rule.get("resources", ())
        and verb in rule["verbs"]
        and "resourceNames" not in rule
        for rule in given
    )


def test_only_kinds_that_are_deployed_are_opened() -> None:
    given = rules([placed(deployment())])
    assert allows(given, "apps", "deployments", "patch")
    assert allows(given, "apps", "deployments", "watch")
    for group, resource in (("apps", "daemonsets"), ("", "configmaps"), ("batch", "jobs")):
        assert not allows(given, group, resource, "get"), resource
    assert all("*" not in value for rule in given for value in rule.values())


def test_secrets_are_opened_where_they_go_and_nowhere_else() -> None:
    objects = [placed(secret()), placed(deployment(), "other")]
    assert not allows(rules(objects), "", "secrets", "get")
    assert allows(rules(objects, "shop"), "", "secrets", "patch")
    assert allows(rules(objects, "fleet-system"), "", "secrets", "patch"), "the copy"
    spaces = {i["metadata"].get("namespace") for i in rights_for(objects) if i["kind"] == "Role"}
    assert spaces == {"fleet-system", "shop"}


def test_a_custom_resource_goes_by_the_plural_of_its_definition() -> None:
    definition = crd()
    definition["spec"]["names"]["plural"] = "widgetry"
    given = rules([definition, placed(widget())])
    assert allows(given, "example.com", "widgetry", "patch")
    assert allows(given, "apiextensions.k8s.io", "customresourcedefinitions", "patch")


def test_what_roles_hold_is_held_by_the_agent_and_not_escalate() -> None:
    rule = {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get"]}
    inner = {"apiGroups": [""], "resources": ["endpoints"], "verbs": ["list"]}
    objects = [
        role("ClusterRole", "reader", rules=[rule]),
        role("Role", "inner", "shop", rules=[inner]),
        role("RoleBinding", "inner", "shop", roleRef={"kind": "Role", "name": "inner"}),
        role("RoleBinding", "reads", "shop", roleRef={"kind": "ClusterRole", "name": "reader"}),
    ]
    assert rule in rules(objects)
    assert inner in rules(objects, "shop")
    assert inner not in rules(objects)
    said = [rule for item in rights_for(objects) for rule in item.get("rules", ())]
    verbs = {verb for rule in said for verb in rule["verbs"]}
    assert verbs.isdisjoint({"escalate", "bind", "impersonate", "*"})


def test_a_foreign_role_is_bound_by_name_in_its_place_alone() -> None:
    ref = {"kind": "ClusterRole", "name": "view"}
    bind = {
        "apiGroups": [RBAC],
        "resources": ["clusterroles"],
        "verbs": ["bind"],
        "resourceNames": ["view"],
    }
    inside = [role("RoleBinding", "viewer", "shop", roleRef=ref)]
    assert bind in rules(inside, "shop")
    assert bind not in rules(inside)
    assert bind in rules([role("ClusterRoleBinding", "viewer", roleRef=ref)])


def test_an_aggregating_role_may_be_escalated_by_name_alone() -> None:
    given = rules([role("ClusterRole", "sum", aggregationRule={}, rules=[])])
    assert not any("escalate" in rule["verbs"] for rule in given), "it aggregates nothing"
    said = {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]}
    (rule,) = [
        rule
        for rule in rules([role("ClusterRole", "sum", aggregationRule=said)])
        if "escalate" in rule["verbs"]
    ]
    assert rule["resourceNames"] == ["sum"]


def test_accounts_are_impersonated_by_name_and_only_in_the_agents_namespace() -> None:
    given = rules([], "fleet-system", ("team-b", "team-a", "team-a"))
    (rule,) = [rule for rule in given if "impersonate" in rule["verbs"]]
    assert (rule["resources"], rule["resourceNames"]) == (["serviceaccounts"], ["team-a", "team-b"])
    assert not any("impersonate" in rule["verbs"] for rule in rules([], "", ("team-a",)))


@pytest.mark.parametrize(
    ("kind", "plural"),
    [
        ("Deployment", "deployments"),
        ("Ingress", "ingresses"),
        ("StorageClass", "storageclasses"),
        ("NetworkPolicy", "networkpolicies"),
        ("Endpoints", "endpoints"),
        ("EndpointSlice", "endpointslices"),
    ],
)
def test_built_in_kinds_have_their_own_plurals(kind: str, plural: str) -> None:
    assert plural_of(kind) == plural


def test_the_command_reads_what_render_prints_and_prints_manifests() -> None:
    done = CliRunner().invoke(
        agent, ["rbac", "--service-account", "team-a"], input=dump_yaml([placed(deployment())])
    )
    assert done.exit_code == 0, done.output
    printed = read_yaml_documents(done.output)
    assert printed == rights_for([placed(deployment())], ["team-a"])
    assert {item["metadata"]["name"] for item in printed if item["kind"] != "Namespace"} == {NAME}


def test_the_command_refuses_what_is_no_manifest() -> None:
    done = CliRunner().invoke(agent, ["rbac"], input="- a\n- b\n")
    assert done.exit_code == 1
    assert "Traceback" not in done.output
