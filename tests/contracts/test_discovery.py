"""A cluster says which kinds it serves, and learns of new ones when asked again."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from clusters.cluster import Resource
from clusters.errors import KindNotFoundError
from clusters.objects import Kind, Object
from tests.contracts.subject import Subject, key

WIDGET = Kind("example.io", "Widget")


def definition() -> Object:
    """A CRD for widgets that hold anything."""
    anything = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    version = {"name": "v1", "served": True, "storage": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.io"},
        "spec": {
            "group": "example.io",
            "scope": "Namespaced",
            "names": {"kind": "Widget", "plural": "widgets", "listKind": "WidgetList"},
            "versions": [version | {"schema": {"openAPIV3Schema": anything}}],
        },
    }


def widget() -> Object:
    """One of them."""
    metadata = {"name": "w", "namespace": "default"}
    return {
        "apiVersion": "example.io/v1",
        "kind": "Widget",
        "metadata": metadata,
        "spec": {"size": 3},
    }


async def test_the_version_is_one_of_kubernetes(subject: Subject) -> None:
    assert (await subject.cluster.version()).startswith("v1.")


async def test_built_in_kinds_are_served_with_their_place_and_plural(subject: Subject) -> None:
    found = await subject.cluster.discover()
    deployment = found.find(Kind("apps", "Deployment"))
    namespace = found.find(Kind("", "Namespace"))
    assert deployment is not None
    assert namespace is not None
    assert (deployment.api_version, deployment.plural) == ("apps/v1", "deployments")
    assert (namespace.api_version, namespace.plural) == ("v1", "namespaces")
    assert (deployment.namespaced, namespace.namespaced) == (True, False)
    assert {"get", "list", "watch", "patch", "delete"} <= deployment.verbs
    assert "deploy" in deployment.short_names


async def test_a_kind_in_several_versions_names_the_preferred_one(subject: Subject) -> None:
    found = (await subject.cluster.discover()).find(Kind("autoscaling", "HorizontalPodAutoscaler"))
    assert found is not None
    assert found.version == "v2"
    assert set(found.versions) == {"v2", "v1"}


async def test_every_call_on_an_unknown_kind_says_so(subject: Subject) -> None:
    cluster = subject.cluster
    assert (await cluster.discover()).find(WIDGET) is None
    with pytest.raises(KindNotFoundError):
        await cluster.get(key("Widget", "w", group="example.io"))
    with pytest.raises(KindNotFoundError):
        await cluster.list(WIDGET)
    with pytest.raises(KindNotFoundError):
        await cluster.apply(widget(), manager="m")
    with pytest.raises(KindNotFoundError):
        await cluster.delete(key("Widget", "w", group="example.io"))
    with pytest.raises(KindNotFoundError):
        await anext(cluster.watch(WIDGET))


async def test_a_version_that_is_not_served_is_an_unknown_kind(subject: Subject) -> None:
    metadata = {"name": "web", "namespace": "default"}
    old = {"apiVersion": "apps/v1beta1", "kind": "Deployment", "metadata": metadata, "spec": {}}
    with pytest.raises(KindNotFoundError):
        await subject.cluster.apply(old, manager="m")


async def test_a_kind_whose_definition_arrives_is_usable_after_asking_again(
    subject: Subject,
) -> None:
    cluster = subject.cluster
    await cluster.discover()
    await cluster.apply(definition(), manager="m")
    crd = key("CustomResourceDefinition", "widgets.example.io", "", "apiextensions.k8s.io")
    await subject.until(crd, is_established)
    found = await served(subject)
    assert (found.plural, found.namespaced) == ("widgets", True)
    await cluster.apply(widget(), manager="m")
    live = await subject.live(key("Widget", "w", group="example.io"))
    assert live["spec"] == {"size": 3}
    assert len((await cluster.list(WIDGET)).items) == 1


async def test_a_kind_whose_definition_goes_takes_its_objects_along(subject: Subject) -> None:
    cluster = subject.cluster
    await cluster.apply(definition(), manager="m")
    crd = key("CustomResourceDefinition", "widgets.example.io", "", "apiextensions.k8s.io")
    await subject.until(crd, is_established)
    await served(subject)
    await cluster.apply(widget(), manager="m")
    await cluster.delete(crd)
    await subject.until(crd, lambda obj: obj is None)
    await until_discovered(subject, lambda found: found is None)
    with pytest.raises(KindNotFoundError):
        await cluster.get(key("Widget", "w", group="example.io"))


async def served(subject: Subject) -> Resource:
    """How the widgets' kind is served, once it is discovered."""
    found = await until_discovered(subject, lambda found: found is not None)
    assert found is not None
    return found


async def until_discovered(
    subject: Subject, holds: Callable[[Resource | None], bool]
) -> Resource | None:
    """What discovery says of widgets, once `holds`: a server tells of kinds a while late."""
    for _ in range(60):
        found = (await subject.cluster.discover(refresh=True)).find(WIDGET)
        if holds(found):
            return found
        await subject.pass_time(0.5)
    raise AssertionError(f"discovery does not tell of {WIDGET} what it should")


def is_established(obj: Object | None) -> bool:
    """Whether a CRD's kinds are served."""
    conditions = ((obj or {}).get("status") or {}).get("conditions") or ()
    return any(c["type"] == "Established" and c["status"] == "True" for c in conditions)
