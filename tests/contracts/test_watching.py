"""A watch misses nothing, goes on from where it was, and says when that is too long ago."""

from __future__ import annotations

import pytest

from clusters.cluster import EventType
from clusters.errors import ExpiredError
from clusters.objects import Kind
from tests.contracts.subject import Subject, Watching, config_map, key, labelled

CONFIG_MAP = Kind("", "ConfigMap")
A = key("ConfigMap", "a")


async def now(subject: Subject) -> str:
    """The version to watch from."""
    return (await subject.cluster.list(CONFIG_MAP)).resource_version


async def test_changes_come_in_their_order(subject: Subject) -> None:
    start = await now(subject)
    async with Watching(subject, CONFIG_MAP, resource_version=start) as watch:
        await subject.cluster.apply(config_map("a", x="1"), manager="m")
        await subject.cluster.apply(config_map("b"), manager="m")
        await subject.cluster.apply(config_map("a", x="2"), manager="m")
        await subject.cluster.delete(A)
        assert await watch.names(4) == ["ADDED a", "ADDED b", "MODIFIED a", "DELETED a"]


async def test_an_event_carries_the_whole_object(subject: Subject) -> None:
    start = await now(subject)
    made = await subject.cluster.apply(config_map("a", x="1"), manager="m")
    async with Watching(subject, CONFIG_MAP, resource_version=start) as watch:
        event = await watch.next()
    assert event.type is EventType.ADDED
    assert event.object == made


async def test_what_writes_nothing_tells_nothing(subject: Subject) -> None:
    await subject.cluster.apply(config_map("a", x="1"), manager="m")
    start = await now(subject)
    async with Watching(subject, CONFIG_MAP, resource_version=start) as watch:
        await subject.cluster.apply(config_map("a", x="1"), manager="m")
        await subject.cluster.apply(config_map("a", x="9"), manager="m", dry_run=True)
        await subject.cluster.apply(config_map("b"), manager="m")
        assert await watch.names(1) == ["ADDED b"]


async def test_a_watch_goes_on_from_the_last_event_that_was_seen(subject: Subject) -> None:
    start = await now(subject)
    async with Watching(subject, CONFIG_MAP, resource_version=start) as watch:
        await subject.cluster.apply(config_map("a", x="1"), manager="m")
        seen = (await watch.next()).object["metadata"]["resourceVersion"]
    await subject.cluster.apply(config_map("a", x="2"), manager="m")
    await subject.cluster.delete(A)
    async with Watching(subject, CONFIG_MAP, resource_version=seen) as watch:
        assert await watch.names(2) == ["MODIFIED a", "DELETED a"]


async def test_a_version_that_is_compacted_is_expired(subject: Subject) -> None:
    start = await now(subject)
    await subject.compact()
    async with Watching(subject, CONFIG_MAP, resource_version=start) as watch:
        with pytest.raises(ExpiredError):
            await watch.next()
    async with Watching(subject, CONFIG_MAP, resource_version=await now(subject)) as watch:
        await subject.cluster.apply(config_map("a"), manager="m")
        assert await watch.names(1) == ["ADDED a"]


async def test_a_watch_is_of_one_namespace(subject: Subject) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    await subject.cluster.apply(namespace, manager="m")
    start = await now(subject)
    async with Watching(
        subject, CONFIG_MAP, resource_version=start, namespace="shop", labels="mine"
    ) as watch:
        await subject.cluster.apply(labelled(config_map("a"), mine="1"), manager="m")
        await subject.cluster.apply(labelled(config_map("b", "shop"), mine="1"), manager="m")
        assert await watch.names(1) == ["ADDED b"]


async def test_with_a_selector_an_object_comes_and_goes_with_its_labels(subject: Subject) -> None:
    start = await now(subject)
    async with Watching(subject, CONFIG_MAP, resource_version=start, labels="color=blue") as watch:
        await subject.cluster.apply(labelled(config_map("a"), color="red"), manager="m")
        await subject.cluster.apply(labelled(config_map("a"), color="blue"), manager="m")
        await subject.cluster.apply(labelled(config_map("a", x="1"), color="blue"), manager="m")
        await subject.cluster.apply(labelled(config_map("a", x="1"), color="red"), manager="m")
        await subject.cluster.delete(A)
        await subject.cluster.apply(labelled(config_map("b"), color="blue"), manager="m")
        assert await watch.names(4) == ["ADDED a", "MODIFIED a", "DELETED a", "ADDED b"]


async def test_metadata_alone_can_be_watched(subject: Subject) -> None:
    start = await now(subject)
    await subject.cluster.apply(config_map("a", x="1"), manager="m")
    async with Watching(subject, CONFIG_MAP, resource_version=start, metadata_only=True) as watch:
        event = await watch.next()
    assert event.object["kind"] == "PartialObjectMetadata"
    assert event.object["metadata"]["name"] == "a"
    assert "data" not in event.object


async def test_without_a_version_a_watch_begins_with_what_is_there(subject: Subject) -> None:
    await subject.cluster.apply(labelled(config_map("a"), mine="1"), manager="m")
    async with Watching(subject, CONFIG_MAP, labels="mine") as watch:
        assert await watch.names(1) == ["ADDED a"]
        await subject.cluster.apply(labelled(config_map("b"), mine="1"), manager="m")
        assert await watch.names(1) == ["ADDED b"]
