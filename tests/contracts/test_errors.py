"""Refusals are the same everywhere: which error, what it names, and whether waiting helps."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest

from clusters.errors import ClusterError, ConflictError, ImmutableError, InvalidError
from clusters.objects import Kind, Object
from tests.contracts.subject import Subject, config_map, key, labelled

CONFIG_MAP = Kind("", "ConfigMap")
A = key("ConfigMap", "a")


def merged(obj: Object, more: Object) -> Object:
    """An object with more in its metadata."""
    return obj | {"metadata": obj["metadata"] | more["metadata"]}


@pytest.mark.parametrize("selector", ["a in", "=", "a b", "a in (b", "-a"])
async def test_a_selector_that_is_none_is_invalid(subject: Subject, selector: str) -> None:
    with pytest.raises(InvalidError):
        await subject.cluster.list(CONFIG_MAP, labels=selector)
    with pytest.raises(InvalidError):
        await anext(subject.cluster.watch(CONFIG_MAP, labels=selector))


@pytest.mark.parametrize(
    ("obj", "field"),
    [
        (config_map("Under_Score"), "metadata.name"),
        (labelled(config_map("a"), app="not a value"), "metadata.labels"),
        (labelled(config_map("a"), **{"-": "1"}), "metadata.labels"),
        (
            config_map("a")
            | {"metadata": config_map("a")["metadata"] | {"annotations": {"": "x"}}},
            "metadata.annotations",
        ),
        (config_map("a", **{"no/key": "1"}), "data[no/key]"),
    ],
    ids=["name", "label value", "label key", "annotation key", "data key"],
)
async def test_names_that_kubernetes_does_not_take_are_invalid_and_say_where(
    subject: Subject, obj: Object, field: str
) -> None:
    with pytest.raises(InvalidError) as caught:
        await subject.cluster.apply(obj, manager="m")
    assert caught.value.fields == (field,)
    assert not caught.value.retryable


async def test_annotations_have_a_limit_together(subject: Subject) -> None:
    obj = config_map("a")
    obj["metadata"]["annotations"] = {"big": "x" * (256 << 10)}
    with pytest.raises(InvalidError) as caught:
        await subject.cluster.apply(obj, manager="m")
    assert caught.value.fields == ("metadata.annotations",)


async def test_a_write_of_an_older_version_is_a_conflict_of_nobodys_fields(
    subject: Subject,
) -> None:
    made = await subject.cluster.apply(config_map("a", x="1"), manager="m")
    changed = await subject.cluster.apply(config_map("a", x="2"), manager="m")
    stale = {"metadata": {"resourceVersion": made["metadata"]["resourceVersion"]}}
    with pytest.raises(ConflictError) as caught:
        await subject.cluster.apply(merged(config_map("a", x="3"), stale), manager="m")
    assert caught.value.managers == ()
    with pytest.raises(ConflictError):
        await subject.cluster.patch(A, stale | {"data": {"x": "3"}}, manager="m")
    assert await subject.live(A) == changed


async def test_the_identity_of_an_object_never_changes(subject: Subject) -> None:
    made = await subject.cluster.apply(config_map("a", x="1"), manager="m")
    other = {"metadata": {"uid": "7b4dbbd6-3b0c-4e6f-9d3a-2f0f8f3f6f10"}}
    with pytest.raises(ImmutableError) as caught:
        await subject.cluster.apply(merged(config_map("a", x="2"), other), manager="m")
    assert caught.value.fields == ("metadata.uid",)
    with pytest.raises(ImmutableError):
        await subject.cluster.patch(A, other, manager="m")
    assert await subject.live(A) == made


async def test_a_way_of_deleting_that_does_not_exist_is_invalid(subject: Subject) -> None:
    await subject.cluster.apply(config_map("a"), manager="m")
    with pytest.raises(InvalidError):
        await subject.cluster.delete(A, propagation="Sideways")
    assert await subject.cluster.get(A) is not None


async def test_a_manager_whose_name_is_too_long_is_invalid(subject: Subject) -> None:
    with pytest.raises(InvalidError):
        await subject.cluster.apply(config_map("a"), manager="m" * 129)
    assert await subject.cluster.get(A) is None


async def test_every_call_without_a_namespace_that_needs_one_is_invalid(subject: Subject) -> None:
    homeless = config_map("a")
    del homeless["metadata"]["namespace"]
    nowhere = key("ConfigMap", "a", "")
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: subject.cluster.get(nowhere),
        lambda: subject.cluster.apply(homeless, manager="m"),
        lambda: subject.cluster.patch(nowhere, {"data": {}}, manager="m"),
        lambda: subject.cluster.delete(nowhere),
    ]
    for call in calls:
        with pytest.raises(InvalidError) as caught:
            await call()
        assert caught.value.fields == ("metadata.namespace",)


async def test_somebody_with_every_right_sees_and_does_the_same(subject: Subject) -> None:
    admin = subject.cluster.as_user("jane", ["system:masters"])
    made = await admin.apply(config_map("a", x="1"), manager="m")
    assert await subject.live(A) == made
    assert (await admin.list(CONFIG_MAP, namespace="default")).items
    await admin.close()
    await subject.cluster.delete(A)
    assert await subject.cluster.get(A) is None


@pytest.mark.parametrize(
    "names", [("",), (" jane",), ("jane\n",), ("jane", ""), ("jane", "a\r\nb")]
)
async def test_a_name_that_no_request_can_carry_is_refused_at_once(
    subject: Subject, names: tuple[str, ...]
) -> None:
    user, *groups = names
    with pytest.raises(InvalidError):
        subject.cluster.as_user(user, groups)


def test_every_error_has_a_code_of_its_own() -> None:
    found = [ClusterError]
    for error in found:
        found += error.__subclasses__()
    ours = [error for error in found if error.__module__ == "clusters.errors"]
    codes = [error.code for error in ours]
    assert len(set(codes)) == len(codes)
