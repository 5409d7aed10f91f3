"""The inventory as other tools see it, and as the agent reads it back."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.errors import BundleError
from agents.inventory import (
    NAMESPACE,
    Inventory,
    InventoryStore,
    applyset_id,
    manager_of,
    parent_name,
    parent_of,
    read_parent,
)
from agents.protocol import ABSENT, Deletion
from tests.agents.lab import Lab
from tests.agents.samples import SETTINGS, WEB, key

FULL = Inventory(
    "web",
    objects=(SETTINGS, WEB, key("Namespace", "shop", "")),
    digest="sha256:1",
    generation=7,
    applied="sha256:0",
    operation="upgrade",
    hooks_done=("pre:Job.batch shop/migrate",),
    deletion=Deletion.ORPHAN,
    history=("sha256:x", "sha256:0"),
    finished=(("Job.batch shop/migrate", "sha256:job"),),
    delete_hooks="sha256:hooks",
    contested=(("Deployment.apps shop/web", "spec.replicas", "2030-01-01T00:00:00+00:00", 60),),
)


def test_it_reads_back_equal() -> None:
    assert read_parent(parent_of(FULL)) == FULL.owning(FULL.objects)


def test_the_parent_is_an_applyset_by_the_specification() -> None:
    parent = parent_of(FULL)
    digest = hashlib.sha256(f"bundle-web.{NAMESPACE}.ConfigMap.".encode()).digest()
    encoded = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    labels, annotations = parent["metadata"]["labels"], parent["metadata"]["annotations"]
    assert labels == {"applyset.kubernetes.io/id": f"applyset-{encoded}-v1"}
    assert annotations["applyset.kubernetes.io/tooling"] == "fleet/v1"
    kinds = annotations["applyset.kubernetes.io/contains-group-kinds"]
    assert kinds == "ConfigMap,Deployment.apps,Namespace"
    assert annotations["applyset.kubernetes.io/additional-namespaces"] == "shop"


@pytest.mark.parametrize(
    "spoil",
    [
        {"data": {}},
        {"data": {"state": "{"}},
        {"data": {"state": '{"bundle": "web", "surprise": 1}'}},
        {"data": {"state": '{"bundle": "web"}', "objects": "nonsense"}},
        {},
    ],
)
def test_a_broken_parent_is_an_error_and_never_an_empty_inventory(
    spoil: dict[str, object],
) -> None:
    with pytest.raises(BundleError) as caught:
        read_parent({"metadata": {"name": "bundle-web"}, **spoil})
    assert caught.value.code == "inventory"
    assert "bundle-web" in caught.value.at
    assert caught.value.fix


@given(one=st.text(min_size=1, max_size=300), other=st.text(min_size=1, max_size=300))
def test_every_bundle_has_a_parent_of_its_own_with_a_legal_name(one: str, other: str) -> None:
    name = parent_name(one)
    assert len(name) <= 253
    assert all(char in "abcdefghijklmnopqrstuvwxyz0123456789-." for char in name)
    assert name[-1].isalnum()
    if one != other:
        assert name != parent_name(other)
        assert applyset_id(one) != applyset_id(other)


def test_a_manager_never_exceeds_what_kubernetes_allows() -> None:
    assert manager_of("web") == "fleet/web"
    assert len(manager_of("x" * 200)) <= 128
    assert manager_of("x" * 200) != manager_of("x" * 201)


def test_an_installed_bundle_is_one_that_was_complete_and_not_removed() -> None:
    assert FULL.is_installed
    assert not Inventory("web").is_installed
    assert not Inventory("web", applied="absent").is_installed


async def test_the_store_makes_its_namespace_and_reads_what_it_saved(lab: Lab) -> None:
    store = InventoryStore(lab.cluster)
    assert await store.load_all() == ({}, {})
    await store.save(FULL)
    assert (await store.load_all())[0] == {"web": FULL.owning(FULL.objects)}
    await store.forget("web")
    assert await store.load_all() == ({}, {})


async def test_a_broken_parent_does_not_hide_the_others(lab: Lab) -> None:
    store = InventoryStore(lab.cluster)
    await store.save(FULL)
    await store.save(Inventory("other"))
    lab.edit(key("ConfigMap", "bundle-web", NAMESPACE), {"data": {"state": "?"}})
    found, broken = await store.load_all()
    assert list(found) == ["other"]
    assert list(broken) == ["bundle-web"]


def _complete(*digests: str) -> Inventory:
    inventory = Inventory("web")
    for digest in digests:
        inventory = replace(inventory, digest=digest).completed()
    return inventory


def test_an_inventory_of_an_older_agent_is_read() -> None:
    parent = parent_of(FULL)
    state = orjson.loads(parent["data"]["state"])
    for name in ("history", "finished", "delete_hooks", "contested"):
        del state[name]
    parent["data"]["state"] = orjson.dumps(state).decode()
    found = read_parent(parent)
    assert (found.history, found.finished, found.delete_hooks) == ((), (), "")


def test_going_back_is_to_what_was_complete_before_and_forward_again_is_not() -> None:
    held = _complete("a", "b", "c")
    assert [held.goes_back(digest) for digest in "abcd"] == [True, True, False, False]
    back = replace(held, digest="a").completed()
    assert back.history == ("a",)
    assert not back.goes_back("b"), "what comes after is new again"


def test_back_from_an_attempt_that_was_never_complete_is_back() -> None:
    held = replace(_complete("a"), digest="b")
    assert held.goes_back("a")
    assert not held.goes_back("b")


def test_a_bundle_that_was_never_complete_or_was_removed_goes_nowhere_back() -> None:
    assert not Inventory("web", digest="b", history=("a",)).goes_back("a")
    assert not replace(_complete("a", "b"), applied=ABSENT).goes_back("a")


def test_history_is_bounded() -> None:
    held = _complete(*(f"d{n}" for n in range(25)))
    assert held.history == tuple(f"d{n}" for n in range(15, 25))
