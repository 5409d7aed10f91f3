"""Finalizers, owners, namespaces and definitions decide when an object is really gone."""

from __future__ import annotations

import pytest

from clusters.errors import ConflictError, ForbiddenError, KindNotFoundError, NotFoundError
from clusters.objects import Kind, Object, ObjectKey, key_of
from clusters.simulation.server import ApiServer
from tests.clusters.simulation.samples import (
    SETTINGS,
    WIDGET,
    config_map,
    namespace,
    new_server,
    owned_by,
    widget,
    widget_definition,
)

SHOP = ObjectKey("", "Namespace", "", "shop")
DEFINITION = ObjectKey(
    "apiextensions.k8s.io", "CustomResourceDefinition", "", "widgets.example.com"
)


def family(server: ApiServer, *, blocking: bool = False) -> tuple[ObjectKey, ObjectKey, ObjectKey]:
    """A parent, its child and its grandchild."""
    parent = server.create(config_map("parent"))
    child = server.create(owned_by(config_map("child"), parent, blocking=blocking))
    grandchild = server.create(owned_by(config_map("grandchild"), child, blocking=blocking))
    return key_of(parent), key_of(child), key_of(grandchild)


def held(obj: Object) -> Object:
    """`obj` with a finalizer."""
    return {**obj, "metadata": {**obj["metadata"], "finalizers": ["example.com/hold"]}}


def let_go(server: ApiServer, key: ObjectKey) -> None:
    """Take the finalizer away again."""
    server.patch(key, {"metadata": {"finalizers": None}}, manager="me")


def test_a_finalizer_holds_an_object_that_is_marked() -> None:
    server = new_server()
    server.create(held(config_map()))
    left = server.delete(SETTINGS)
    assert left["metadata"]["deletionTimestamp"] == "2030-01-01T00:00:00Z"
    again = server.delete(SETTINGS)
    assert again == left, "deleting it again changes nothing"
    let_go(server, SETTINGS)
    assert server.peek(SETTINGS) is None


def test_deleting_what_is_not_there_is_told() -> None:
    with pytest.raises(NotFoundError, match='configmaps "settings" not found'):
        new_server().delete(SETTINGS)


@pytest.mark.parametrize(("uid", "version"), [("other", ""), ("", "1")])
def test_a_precondition_that_does_not_hold_is_a_conflict(uid: str, version: str) -> None:
    server = new_server()
    server.create(config_map())
    with pytest.raises(ConflictError):
        server.delete(SETTINGS, uid=uid, resource_version=version)
    assert server.peek(SETTINGS) is not None


def test_preconditions_that_hold_let_the_delete_through() -> None:
    server = new_server()
    made = server.create(config_map())["metadata"]
    server.delete(SETTINGS, uid=made["uid"], resource_version=made["resourceVersion"])
    assert server.peek(SETTINGS) is None


def test_a_dry_run_deletes_nothing() -> None:
    server = new_server()
    server.create(config_map())
    server.delete(SETTINGS, dry_run=True)
    assert server.peek(SETTINGS) is not None


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
def test_dependents_go_with_their_owner(propagation: str) -> None:
    server = new_server()
    keys = family(server, blocking=True)
    server.delete(keys[0], propagation=propagation)
    assert [server.peek(key) for key in keys] == [None, None, None]


def test_orphans_stay_and_lose_the_reference() -> None:
    server = new_server()
    parent, child, grandchild = family(server)
    server.delete(parent, propagation="Orphan")
    assert server.peek(parent) is None
    assert "ownerReferences" not in server.get(child)["metadata"]
    assert "ownerReferences" in server.get(grandchild)["metadata"]


def test_a_dependent_with_another_owner_stays() -> None:
    server = new_server()
    one, two = server.create(config_map("one")), server.create(config_map("two"))
    child = key_of(server.create(owned_by(owned_by(config_map("child"), one), two)))
    server.delete(key_of(one))
    references = server.get(child)["metadata"]["ownerReferences"]
    assert [reference["name"] for reference in references] == ["two"]
    server.delete(key_of(two))
    assert server.peek(child) is None


def test_foreground_waits_for_a_blocking_dependent() -> None:
    server = new_server()
    parent = server.create(config_map("parent"))
    child = key_of(server.create(held(owned_by(config_map("child"), parent, blocking=True))))
    left = server.delete(key_of(parent), propagation="Foreground")
    assert left["metadata"]["finalizers"] == ["foregroundDeletion"]
    let_go(server, child)
    assert server.peek(key_of(parent)) is None


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
def test_objects_that_own_each_other_can_be_deleted(propagation: str) -> None:
    server = new_server()
    one = server.create(config_map("one"))
    two = server.create(owned_by(config_map("two"), one))
    references = owned_by(config_map("one"), two)["metadata"]["ownerReferences"]
    server.patch(key_of(one), {"metadata": {"ownerReferences": references}}, manager="me")
    server.delete(key_of(one), propagation=propagation)
    assert (server.peek(key_of(one)), server.peek(key_of(two))) == (None, None)


def test_a_namespace_takes_its_content_with_it_and_nothing_else() -> None:
    server = new_server()
    server.create(namespace("shop"))
    server.create(config_map(namespace="shop"))
    server.create(config_map())
    server.delete(SHOP)
    assert server.peek(SHOP) is None
    remaining = [key_of(obj) for obj in server.peek_all(Kind("", "ConfigMap"))]
    assert remaining == [SETTINGS]


def test_a_namespace_waits_for_what_its_finalizers_hold_and_takes_in_nothing_new() -> None:
    server = new_server()
    server.create(namespace("shop"))
    stuck = key_of(server.create(held(config_map(namespace="shop"))))
    server.delete(SHOP)
    assert server.get(SHOP)["status"]["phase"] == "Terminating"
    with pytest.raises(ForbiddenError, match="because it is being terminated"):
        server.apply(config_map("new", namespace="shop"), manager="m")
    let_go(server, stuck)
    assert server.peek(SHOP) is None
    server.create(namespace("shop"))
    assert server.get(SHOP)["status"]["phase"] == "Active"


def test_a_definition_takes_its_objects_and_its_kind_with_it() -> None:
    server = new_server()
    server.apply(widget_definition(), manager="m")
    server.apply(widget(), manager="m")
    server.delete(DEFINITION)
    with pytest.raises(KindNotFoundError):
        server.get(WIDGET)
    assert server.resources().find(WIDGET.kind_key) is None
    assert server.peek(DEFINITION) is None


def test_a_definition_waits_for_an_object_that_is_held() -> None:
    server = new_server()
    server.apply(widget_definition(), manager="m")
    server.apply(held(widget()), manager="m")
    left = server.delete(DEFINITION)
    assert left["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    assert server.resources().find(WIDGET.kind_key) is not None
    let_go(server, WIDGET)
    assert server.peek(DEFINITION) is None
    assert server.resources().find(WIDGET.kind_key) is None


def test_the_new_object_of_an_old_name_is_another_object() -> None:
    server = new_server()
    first = server.create(config_map())
    server.delete(SETTINGS)
    second = server.create(config_map())
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    assert int(second["metadata"]["resourceVersion"]) > int(first["metadata"]["resourceVersion"])
