"""Which of several mistakes in one request are told, and what only a dry run shows."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.errors import InvalidError
from clusters.objects import Object, ObjectKey, key_of
from clusters.simulation.server import ApiServer
from clusters.simulation.server.rejections import RejectedError, RejectedImmutableError
from tests.clusters.simulation.samples import (
    SETTINGS,
    config_map,
    namespace,
    new_server,
    service,
)
from tests.contracts.sequences import specimens, widgets

OTHER_UID = "00000000-0000-0000-0000-000000000000"
HELD = {"finalizers": ["example.com/hold"]}


def specimen(kind: str, **metadata: Any) -> Object:
    """A right object of a kind, called `a`."""
    obj = specimens()[kind].with_changes([])
    obj["metadata"] = {"name": "a", "namespace": "default", **metadata}
    return obj


def told(server: ApiServer, key: ObjectKey, patch: Any, subresource: str = "") -> set[str]:
    """The fields that a merge patch is refused for."""
    with pytest.raises((RejectedError, RejectedImmutableError)) as refused:
        server.patch(key, patch, subresource=subresource)
    return set(refused.value.fields)


@pytest.mark.parametrize("patch", [{"kind": "Odd"}, {"apiVersion": "v9", "data": {"a": 1}}])
def test_a_patch_is_to_blame_for_a_kind_that_is_not_served(patch: Object) -> None:
    server = new_server()
    server.create(config_map())
    assert told(server, SETTINGS, patch) == {"patch"}


def test_another_uid_is_told_with_what_else_is_wrong() -> None:
    server = new_server()
    key = key_of(server.create(specimen("LimitRange")))
    patch = {"metadata": {"uid": OTHER_UID}, "spec": {"limits": [{"type": "Odd"}]}}
    assert told(server, key, patch) == {"metadata.uid", "spec.limits[0].type"}


def test_what_is_being_deleted_takes_no_new_finalizer_and_keeps_its_time() -> None:
    server = new_server()
    key = key_of(server.create(specimen("PersistentVolumeClaim", **HELD)))
    server.delete(key)
    more = {"metadata": {"finalizers": [*HELD["finalizers"], "example.com/more"]}}
    assert told(server, key, more) == {"metadata.finalizers"}
    marked = server.get(key)["metadata"]["deletionTimestamp"]
    other = {"metadata": {"deletionTimestamp": "2020-01-01T00:00:00Z"}}
    assert server.patch(key, other)["metadata"]["deletionTimestamp"] == marked


def test_an_active_namespace_has_no_time_at_which_it_goes() -> None:
    server = new_server()
    key = key_of(server.create(namespace("shop")))
    patch = {"metadata": {"deletionTimestamp": "2020-01-01T00:00:00Z"}}
    fields = told(server, key, patch, subresource="status")
    assert fields == {"metadata.deletionTimestamp", "status.Phase"}


@pytest.mark.parametrize("address", ["text", "192.0.2.1"])
def test_the_address_a_service_asks_for_is_looked_at_before_all_else(address: str) -> None:
    with pytest.raises(RejectedError) as refused:
        new_server().create(service(clusterIP=address, ports=[], sessionAffinity="Odd"))
    assert all(cause.field.startswith("spec.clusterIPs") for cause in refused.value.causes)


@pytest.mark.parametrize(
    ("asked", "families", "policy"),
    [
        ({"clusterIP": "None", "selector": {}}, ["IPv4", "IPv6"], "RequireDualStack"),
        ({"clusterIP": "None", "selector": {"app": "a"}}, ["IPv4"], "SingleStack"),
        ({"selector": {}}, ["IPv4"], "SingleStack"),
        (
            {"clusterIP": "None", "selector": {}, "ipFamilyPolicy": "SingleStack"},
            ["IPv4"],
            "SingleStack",
        ),
    ],
)
def test_a_service_without_address_and_selector_is_for_both_families(
    asked: Object, families: list[str], policy: str
) -> None:
    made = new_server().apply(service(**asked), manager="m")["spec"]
    assert (made["ipFamilies"], made["ipFamilyPolicy"]) == (families, policy)


def test_a_service_keeps_the_families_that_nobody_asks_for_any_more() -> None:
    server = new_server()
    server.apply(service(ipFamilyPolicy="PreferDualStack"), manager="m")
    after = server.apply(service(), manager="m")
    assert after["spec"]["ipFamilyPolicy"] == "PreferDualStack"


def test_a_lease_takes_any_finalizer() -> None:
    made = new_server().create(specimen("Lease", finalizers=["bad"]))
    assert made["metadata"]["finalizers"] == ["bad"]
    with pytest.raises(InvalidError, match="neither a standard finalizer"):
        new_server().create(specimen("LimitRange", finalizers=["bad"]))


def test_text_in_the_way_to_the_replicas_of_a_custom_kind_is_told_as_such() -> None:
    server = new_server()
    server.create(widgets())
    with pytest.raises(RejectedError) as refused:
        server.create({**specimen("Widget"), "spec": "text"})
    assert {cause.field for cause in refused.value.causes} == {"spec", ".spec.size"}


def test_no_entry_at_all_resets_who_owns_what_of_a_built_in_kind() -> None:
    server = new_server()
    server.apply(config_map(a="1"), manager="m")
    patched = server.patch(SETTINGS, {"metadata": {"managedFields": []}})
    assert "managedFields" not in patched["metadata"]


def test_a_dry_run_shows_what_only_storing_takes_away() -> None:
    server, body = new_server(), config_map(a="1")
    body["metadata"]["resourceVersion"] = "7"
    tried = server.apply(body, manager="m", dry_run=True)
    assert tried["metadata"]["resourceVersion"] == "7"
    server.apply(config_map(a="1"), manager="m")
    patch = {"metadata": {"selfLink": "/x"}}
    assert server.patch(SETTINGS, patch, dry_run=True)["metadata"]["selfLink"] == "/x"
    assert "selfLink" not in server.patch(SETTINGS, patch)["metadata"]


def test_an_update_to_items_without_their_key_leaves_who_owns_what() -> None:
    server = new_server()
    applied = specimen("ServiceAccount") | {"automountServiceAccountToken": False}
    before = server.apply(applied, manager="m")["metadata"]["managedFields"]
    after = server.update({**applied, "secrets": [{}]}, manager="n")
    assert after["secrets"] == [{}]
    assert after["metadata"]["managedFields"] == before


def test_bounds_of_a_rolling_update_that_is_not_followed_are_there_all_the_same() -> None:
    body = specimen("DaemonSet")
    body["spec"]["updateStrategy"] = {"type": "OnDelete", "rollingUpdate": {"maxUnavailable": 2}}
    made = new_server().create(body)
    assert made["spec"]["updateStrategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 2}


@pytest.mark.parametrize(("kind", "group"), [("CronJob", "batch"), ("Job", "batch")])
def test_a_wrong_finalizer_in_a_write_of_status_is_told_but_of_a_cron_job(
    kind: str, group: str
) -> None:
    server = new_server()
    server.create(specimen(kind))
    key = ObjectKey(group, kind, "default", "a")
    patch = {"metadata": {"finalizers": ["bad"]}}
    if kind == "CronJob":
        assert server.patch(key, patch, subresource="status")["metadata"]["finalizers"] == ["bad"]
    else:
        assert told(server, key, patch, "status") == {"metadata.finalizers[0]"}
