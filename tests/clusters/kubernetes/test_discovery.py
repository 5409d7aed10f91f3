"""Which kinds are served: both forms of the answer are read alike, and asked for sparingly."""

from __future__ import annotations

from clusters.kubernetes.discovery import aggregated_resources, listed_resources
from clusters.objects import Kind, Object

HPA = Kind("autoscaling", "HorizontalPodAutoscaler")


def aggregated(group: str, **versions: list[Object]) -> Object:
    """One group of an APIGroupDiscoveryList."""
    found = [{"version": name, "resources": entries} for name, entries in versions.items()]
    return {"items": [{"metadata": {"name": group}, "versions": found}]}


def entry(kind: str, plural: str, scope: str = "Namespaced") -> Object:
    """One resource of it."""
    return {
        "resource": plural,
        "responseKind": {"group": "", "version": "", "kind": kind},
        "scope": scope,
        "shortNames": ["x"],
        "verbs": ["get", "list"],
        "subresources": [{"subresource": "status", "responseKind": {"kind": kind}}],
    }


def test_the_first_version_is_preferred_and_all_are_known() -> None:
    hpa = entry(HPA.kind, "horizontalpodautoscalers")
    found = aggregated_resources(aggregated("autoscaling", v2=[hpa], v1=[hpa]))[HPA]
    assert (found.api_version, found.versions) == ("autoscaling/v2", ("v2", "v1"))
    assert found.namespaced
    assert found.verbs == {"get", "list"}
    assert found.short_names == ("x",)


def test_a_kind_that_only_an_older_version_has_is_found_there() -> None:
    old = entry("Old", "olds", "Cluster")
    found = aggregated_resources(aggregated("g", v2=[entry("New", "news")], v1=[old]))
    assert found[Kind("g", "Old")].api_version == "g/v1"
    assert not found[Kind("g", "Old")].namespaced


def test_the_core_group_has_no_name() -> None:
    found = aggregated_resources(aggregated("", v1=[entry("Pod", "pods")]))
    assert found[Kind("", "Pod")].api_version == "v1"


def test_a_resource_without_a_kind_is_no_kind() -> None:
    assert aggregated_resources(aggregated("g", v1=[{"resource": "ghosts"}])) == {}


def test_the_old_lists_give_the_same_and_subresources_are_no_kinds() -> None:
    resource = {
        "name": "horizontalpodautoscalers",
        "kind": HPA.kind,
        "namespaced": True,
        "verbs": ["get", "list"],
        "shortNames": ["x"],
    }
    status = resource | {"name": "horizontalpodautoscalers/status"}
    lists: dict[str, Object] = {
        version: {"resources": [status, resource]} for version in ("v2", "v1")
    }
    hpa = entry(HPA.kind, "horizontalpodautoscalers")
    assert listed_resources("autoscaling", lists) == aggregated_resources(
        aggregated("autoscaling", v2=[hpa], v1=[hpa])
    )
