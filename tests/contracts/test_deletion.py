"""Deletion: of the object that was meant, with or without what depends on it, when it is free."""

from __future__ import annotations

import pytest

from clusters.errors import ConflictError, ForbiddenError
from clusters.objects import Object, ObjectKey
from tests.contracts.subject import Subject, config_map, key

A = key("ConfigMap", "a")
CHILD = key("ConfigMap", "child")
SHOP = key("Namespace", "shop", "")


def absent(obj: Object | None) -> bool:
    """Whether it is gone."""
    return obj is None


async def family(subject: Subject) -> None:
    """An owner `a` and its dependent `child`."""
    owner = await subject.cluster.apply(config_map("a"), manager="m")
    child = config_map("child")
    child["metadata"]["ownerReferences"] = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "name": "a",
            "uid": owner["metadata"]["uid"],
            "blockOwnerDeletion": True,
        }
    ]
    await subject.cluster.apply(child, manager="m")


def held(obj: Object, *finalizers: str) -> Object:
    """The object with finalizers."""
    return obj | {"metadata": obj["metadata"] | {"finalizers": list(finalizers)}}


async def release(subject: Subject, held_key: ObjectKey) -> None:
    """Take the finalizers away."""
    await subject.cluster.patch(held_key, {"metadata": {"finalizers": None}}, manager="m")


async def test_a_deleted_object_is_gone(subject: Subject) -> None:
    await subject.cluster.apply(config_map("a"), manager="m")
    await subject.cluster.delete(A)
    assert await subject.cluster.get(A) is None


async def test_deleting_what_is_gone_is_a_success(subject: Subject) -> None:
    await subject.cluster.delete(A)
    await subject.cluster.delete(key("ConfigMap", "a", "nowhere"))
    await subject.cluster.delete(A, uid="00000000-0000-0000-0000-000000000000")


async def test_only_the_very_object_is_deleted(subject: Subject) -> None:
    first = await subject.cluster.apply(config_map("a"), manager="m")
    await subject.cluster.delete(A)
    second = await subject.cluster.apply(config_map("a"), manager="m")
    with pytest.raises(ConflictError):
        await subject.cluster.delete(A, uid=first["metadata"]["uid"])
    assert await subject.live(A) == second
    await subject.cluster.delete(A, uid=second["metadata"]["uid"])
    assert await subject.cluster.get(A) is None


async def test_an_object_that_changed_meanwhile_is_not_deleted(subject: Subject) -> None:
    old = await subject.cluster.apply(config_map("a"), manager="m")
    new = await subject.cluster.apply(config_map("a", x="1"), manager="m")
    with pytest.raises(ConflictError):
        await subject.cluster.delete(A, resource_version=old["metadata"]["resourceVersion"])
    assert await subject.live(A) == new
    await subject.cluster.delete(A, resource_version=new["metadata"]["resourceVersion"])
    assert await subject.cluster.get(A) is None


async def test_a_dry_run_deletes_nothing_but_checks(subject: Subject) -> None:
    made = await subject.cluster.apply(config_map("a"), manager="m")
    await subject.cluster.delete(A, dry_run=True)
    assert await subject.live(A) == made
    with pytest.raises(ConflictError):
        await subject.cluster.delete(A, uid="other", dry_run=True)


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
async def test_what_depends_on_an_object_goes_with_it(subject: Subject, propagation: str) -> None:
    await family(subject)
    await subject.cluster.delete(A, propagation=propagation)
    await subject.until(A, absent)
    await subject.until(CHILD, absent)


async def test_orphans_stay_and_forget_their_owner(subject: Subject) -> None:
    await family(subject)
    await subject.cluster.delete(A, propagation="Orphan")
    await subject.until(A, absent)
    child = await subject.until(
        CHILD, lambda obj: not (obj or {"metadata": {}})["metadata"].get("ownerReferences")
    )
    assert child is not None


async def test_in_the_foreground_an_owner_waits_for_what_depends_on_it(subject: Subject) -> None:
    await family(subject)
    await subject.cluster.patch(
        CHILD, {"metadata": {"finalizers": ["example.io/hold"]}}, manager="m"
    )
    await subject.cluster.delete(A, propagation="Foreground")
    await subject.pass_time(2)
    assert (await subject.live(A))["metadata"]["deletionTimestamp"]
    await release(subject, CHILD)
    await subject.until(A, absent)


async def test_a_finalizer_holds_an_object_until_it_is_taken_away(subject: Subject) -> None:
    await subject.cluster.apply(held(config_map("a"), "example.io/hold"), manager="m")
    await subject.cluster.delete(A)
    leaving = await subject.live(A)
    assert leaving["metadata"]["deletionTimestamp"]
    await subject.cluster.delete(A)
    assert await subject.live(A) == leaving
    await release(subject, A)
    assert await subject.cluster.get(A) is None


async def test_a_namespace_takes_all_that_is_in_it(subject: Subject) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    await subject.cluster.apply(namespace, manager="m")
    await subject.cluster.apply(config_map("a", "shop"), manager="m")
    await subject.cluster.delete(SHOP)
    await subject.until(SHOP, absent)
    assert await subject.cluster.get(key("ConfigMap", "a", "shop")) is None


async def test_nothing_new_comes_into_a_namespace_that_is_leaving(subject: Subject) -> None:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}
    await subject.cluster.apply(namespace, manager="m")
    await subject.cluster.apply(held(config_map("a", "shop"), "example.io/hold"), manager="m")
    await subject.cluster.delete(SHOP)
    with pytest.raises(ForbiddenError):
        await subject.cluster.apply(config_map("b", "shop"), manager="m")
    assert (await subject.live(SHOP))["status"]["phase"] == "Terminating"
    await release(subject, key("ConfigMap", "a", "shop"))
    await subject.until(SHOP, absent)
