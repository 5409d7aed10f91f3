"""A namespace that is to go says what holds it, until the last of it is released."""

from __future__ import annotations

from clusters.objects import Object, ObjectKey
from tests.clusters.controllers.lab import Lab, deployment, service

SHOP = ObjectKey("", "Namespace", "", "shop")


def config_map(name: str, *finalizers: str) -> Object:
    """A ConfigMap in the namespace."""
    metadata = {"name": name, "namespace": "shop", "finalizers": list(finalizers)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def lab_with(*objects: Object) -> Lab:
    """A lab with the namespace and these objects in it."""
    lab = Lab()
    lab.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
    for obj in objects:
        lab.apply(obj)
    lab.run(5)
    return lab


def message(lab: Lab, type_: str) -> str:
    """What one of its conditions says."""
    found = lab.status(SHOP)["conditions"]
    return str(next(c["message"] for c in found if c["type"] == type_))


def test_a_new_namespace_has_an_account_and_the_authority() -> None:
    lab = lab_with()
    assert lab.see(ObjectKey("", "ServiceAccount", "shop", "default"))
    assert lab.see(ObjectKey("", "ConfigMap", "shop", "kube-root-ca.crt"))


def test_a_namespace_goes_with_all_that_controllers_made_in_it() -> None:
    objects = [deployment("web:1"), service()]
    for obj in objects:
        obj["metadata"]["namespace"] = "shop"
    lab = lab_with(*objects)
    lab.server.delete(SHOP)
    assert lab.run(100) is None
    assert lab.server.peek(SHOP) is None
    assert lab.pods(app="web") == []


def test_what_finalizers_hold_is_told_until_the_last_is_released() -> None:
    lab = lab_with(
        config_map("a", "example.com/hold"),
        config_map("b", "example.com/hold", "example.com/keep"),
    )
    lab.server.delete(SHOP)
    lab.run(1)
    assert lab.status(SHOP)["phase"] == "Terminating"
    assert message(lab, "NamespaceContentRemaining") == (
        "Some resources are remaining: configmaps. has 2 resource instances"
    )
    assert message(lab, "NamespaceFinalizersRemaining") == (
        "Some content in the namespace has finalizers remaining: "
        "example.com/hold in 2 resource instances, example.com/keep in 1 resource instances"
    )
    assert lab.condition(SHOP, "NamespaceDeletionContentFailure") == ("False", "ContentDeleted")
    lab.server.patch(
        ObjectKey("", "ConfigMap", "shop", "b"), {"metadata": {"finalizers": None}}, manager="m"
    )
    lab.run(1)
    assert "has 1 resource" in message(lab, "NamespaceContentRemaining")
    lab.server.patch(
        ObjectKey("", "ConfigMap", "shop", "a"), {"metadata": {"finalizers": None}}, manager="m"
    )
    assert lab.server.peek(SHOP) is None
    assert lab.run(100) is None
