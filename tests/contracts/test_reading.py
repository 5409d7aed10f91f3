"""Getting and listing: whole, selected, and never a part."""

from __future__ import annotations

import pytest

from clusters.objects import Kind
from tests.contracts.subject import Subject, config_map, key, labelled

CONFIG_MAP = Kind("", "ConfigMap")


async def names(subject: Subject, labels: str = "", namespace: str = "default") -> set[str]:
    """Names of the ConfigMaps that a test made there."""
    listing = await subject.cluster.list(CONFIG_MAP, namespace=namespace, labels=labels)
    found = {item["metadata"]["name"] for item in listing.items}
    return {name for name in found if not name.startswith("kube-")}


async def test_what_is_not_there_is_none(subject: Subject) -> None:
    assert await subject.cluster.get(key("ConfigMap", "a")) is None
    assert await subject.cluster.get(key("ConfigMap", "a", "nowhere")) is None
    assert await subject.cluster.get(key("Namespace", "nowhere", "")) is None


async def test_what_is_there_comes_whole(subject: Subject) -> None:
    await subject.cluster.apply(config_map("a", x="1"), manager="m")
    live = await subject.live(key("ConfigMap", "a"))
    assert (live["apiVersion"], live["kind"], live["data"]) == ("v1", "ConfigMap", {"x": "1"})
    assert {"uid", "resourceVersion", "creationTimestamp", "managedFields"} <= set(live["metadata"])


async def test_a_listing_is_of_one_namespace_or_of_all(subject: Subject) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    await subject.cluster.apply(namespace, manager="m")
    await subject.cluster.apply(config_map("a"), manager="m")
    await subject.cluster.apply(config_map("b", "shop"), manager="m")
    assert await names(subject) == {"a"}
    assert await names(subject, namespace="shop") == {"b"}
    assert await names(subject, namespace="") == {"a", "b"}
    assert await names(subject, namespace="nowhere") == set()


async def test_items_of_a_listing_carry_their_kind(subject: Subject) -> None:
    await subject.cluster.apply(config_map("a"), manager="m")
    listing = await subject.cluster.list(CONFIG_MAP)
    assert {(item["apiVersion"], item["kind"]) for item in listing.items} == {("v1", "ConfigMap")}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("", {"blue", "green", "plain"}),
        ("color=blue", {"blue"}),
        ("color==blue", {"blue"}),
        ("color!=blue", {"green", "plain"}),
        ("color", {"blue", "green"}),
        ("!color", {"plain"}),
        ("color in (blue,green)", {"blue", "green"}),
        ("color notin (blue)", {"green", "plain"}),
        ("color,size=1", {"blue"}),
        ("color=red", set()),
    ],
)
async def test_selectors_are_those_of_kubectl(
    subject: Subject, selector: str, expected: set[str]
) -> None:
    await subject.cluster.apply(labelled(config_map("blue"), color="blue", size="1"), manager="m")
    await subject.cluster.apply(labelled(config_map("green"), color="green"), manager="m")
    await subject.cluster.apply(labelled(config_map("plain"), size="1"), manager="m")
    found = await subject.cluster.list(CONFIG_MAP, namespace="default", labels=selector)
    mine = {item["metadata"]["name"] for item in found.items} - {"kube-root-ca.crt"}
    assert mine == expected


async def test_a_listing_of_many_pages_is_whole_and_has_nothing_twice(subject: Subject) -> None:
    made = [f"c-{number:04}" for number in range(1100)]
    for name in made:
        await subject.cluster.apply(labelled(config_map(name), part="many"), manager="m")
    listing = await subject.cluster.list(CONFIG_MAP, labels="part=many")
    assert [item["metadata"]["name"] for item in listing.items] == made


async def test_metadata_alone_says_who_an_object_is_and_not_what_it_holds(
    subject: Subject,
) -> None:
    await subject.cluster.apply(labelled(config_map("a", x="1"), color="blue"), manager="m")
    listing = await subject.cluster.list(CONFIG_MAP, labels="color=blue", metadata_only=True)
    (item,) = listing.items
    assert (item["apiVersion"], item["kind"]) == ("meta.k8s.io/v1", "PartialObjectMetadata")
    assert (item["metadata"]["name"], item["metadata"]["labels"]) == ("a", {"color": "blue"})
    assert "data" not in item


async def test_what_is_handed_out_may_be_changed_without_harm(subject: Subject) -> None:
    await subject.cluster.apply(config_map("a", x="1"), manager="m")
    live = await subject.live(key("ConfigMap", "a"))
    live["data"]["x"] = "2"
    listing = await subject.cluster.list(CONFIG_MAP, namespace="default")
    for item in listing.items:
        item["metadata"]["name"] = "other"
    assert (await subject.live(key("ConfigMap", "a")))["data"] == {"x": "1"}
