"""What counts as a change of an object, and what does not."""

from __future__ import annotations

import copy
from typing import Any

from agents.apply import BundleState
from agents.apply.state import fingerprint
from agents.inventory import Inventory
from clusters.objects import Object, key_of
from clusters.simulation.cluster import partial_metadata
from tests.agents.samples import config_map, deployment


def _live(obj: Object, version: str = "10", **metadata: Any) -> Object:
    live = copy.deepcopy(obj)
    live["metadata"] |= {"namespace": "shop", "uid": "u", "resourceVersion": version, **metadata}
    return live


def _state(live: Object) -> BundleState:
    state = BundleState(Inventory("web"))
    state.remember("sha256:1", live)
    return state


def test_a_change_of_status_alone_keeps_the_fingerprint() -> None:
    before = _live(deployment(), generation=1)
    after = _live(deployment(), "11", generation=1)
    after["status"] = {"replicas": 1}
    after["metadata"]["managedFields"] = [
        {"manager": "controller", "subresource": "status", "fieldsV1": {"f:status": {}}}
    ]
    assert fingerprint(before) == fingerprint(after)


def test_every_other_change_changes_it() -> None:
    before = fingerprint(_live(deployment(), generation=1))
    changes: tuple[dict[str, Any], ...] = (
        {"generation": 2},
        {"labels": {"a": "b"}},
        {"annotations": {"a": "b"}},
        {"finalizers": ["a/b"]},
        {"uid": "another"},
        {"deletionTimestamp": "2030-01-01T00:00:00Z"},
        {"managedFields": [{"manager": "kubectl", "fieldsV1": {"f:spec": {}}}]},
    )
    for change in changes:
        metadata: dict[str, Any] = {"generation": 1, **change}
        assert fingerprint(_live(deployment(), **metadata)) != before


def test_a_kind_without_generations_is_known_by_its_version() -> None:
    assert fingerprint(_live(config_map(), "1")) != fingerprint(_live(config_map(), "2"))


def test_metadata_alone_has_the_same_fingerprint() -> None:
    live = _live(deployment(), generation=1)
    partial = {"kind": "PartialObjectMetadata", "metadata": live["metadata"]}
    assert fingerprint(live) == fingerprint(partial)


def test_an_own_write_stirs_nothing() -> None:
    live = _live(config_map())
    assert not _state(live).saw(key_of(live), live, whole=False)


def test_an_event_older_than_the_own_write_stirs_nothing() -> None:
    live = _live(config_map())
    assert not _state(live).saw(key_of(live), _live(config_map(), "9"), whole=False)


def test_a_newer_version_is_to_be_read() -> None:
    live = _live(config_map())
    state = _state(live)
    shown = partial_metadata(_live(config_map(), "11"))
    assert state.saw(key_of(live), shown, whole=False)
    assert state.touched == {key_of(live): shown}


def test_a_whole_object_need_not_be_read_again() -> None:
    live = _live(deployment(), generation=1)
    state = _state(live)
    newer = _live(deployment(), "11", generation=1)
    assert state.saw(key_of(live), newer, whole=True)
    assert state.touched == {key_of(live): newer}


def test_a_new_status_stirs_nothing_where_health_does_not_depend_on_it() -> None:
    policy: Object = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "web"},
    }
    live = _live(policy, generation=1)
    assert not _state(live).saw(key_of(live), _live(policy, "11", generation=1), whole=False)
    assert _state(live).saw(key_of(live), _live(policy, "11", generation=2), whole=False)


def test_a_deletion_always_stirs() -> None:
    live = _live(config_map())
    assert _state(live).saw(key_of(live), None, whole=False)


def test_other_wanted_bytes_are_not_known() -> None:
    live = _live(config_map())
    state = _state(live)
    assert state.is_known(key_of(live), "sha256:1", live)
    assert not state.is_known(key_of(live), "sha256:2", live)
    state.forget(key_of(live))
    assert not state.is_known(key_of(live), "sha256:1", live)
