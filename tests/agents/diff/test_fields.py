"""Which fields differ, and which differences are none."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.diff import differences, path_text
from clusters.objects import Object
from tests.agents.samples import config_map, deployment, secret, widget


def _paths(wanted: Object, live: Object) -> list[str]:
    return [path_text(item.path) for item in differences(wanted, live)]


def _pod(wanted: Object) -> dict[str, Any]:
    spec: dict[str, Any] = wanted["spec"]["template"]["spec"]
    return spec


def test_equal_objects_have_no_differences() -> None:
    assert _paths(deployment(), deployment()) == []


def test_a_changed_field_is_named_by_its_path_with_both_values() -> None:
    live = deployment(replicas=5)
    (found,) = differences(deployment(), live)
    assert (path_text(found.path), found.wanted, found.live) == ("spec.replicas", 2, 5)


def test_a_list_that_is_a_map_is_compared_by_key_in_any_order() -> None:
    wanted, live = deployment(), deployment()
    _pod(live)["containers"].insert(0, {"name": "injected", "image": "mesh"})
    assert _paths(wanted, live) == []
    _pod(live)["containers"][1]["image"] = "other"
    assert _paths(wanted, live) == ["spec.template.spec.containers[name=main].image"]


def test_an_element_that_is_gone_is_one_difference() -> None:
    wanted, live = deployment(), deployment()
    _pod(wanted)["containers"].append({"name": "second", "image": "x"})
    (found,) = differences(wanted, live)
    assert path_text(found.path) == "spec.template.spec.containers[name=second]"
    assert found.live is None


def test_ports_are_named_with_their_default_protocol() -> None:
    wanted, live = deployment(), deployment()
    _pod(wanted)["containers"][0]["ports"] = [{"containerPort": 80}]
    _pod(live)["containers"][0]["ports"] = [
        {"containerPort": 80, "protocol": "UDP"},
        {"containerPort": 80, "protocol": "TCP"},
    ]
    assert _paths(wanted, live) == []


def test_service_ports_are_named_by_port_and_protocol() -> None:
    wanted: Object = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"ports": [{"port": 80}]},
    }
    live = copy.deepcopy(wanted)
    live["spec"]["ports"] = [{"port": 80, "protocol": "TCP", "targetPort": 80, "nodePort": 31000}]
    assert _paths(wanted, live) == []
    live["spec"]["ports"] = [{"port": 81, "protocol": "TCP"}]
    assert _paths(wanted, live) == ["spec.ports[port=80,protocol=TCP]"]


def test_an_atomic_list_differs_as_a_whole_when_its_length_does() -> None:
    wanted, live = deployment(), deployment()
    _pod(wanted)["containers"][0]["args"] = ["a", "b"]
    _pod(live)["containers"][0]["args"] = ["a"]
    (found,) = differences(wanted, live)
    assert (found.wanted, found.live) == (["a", "b"], ["a"])


def test_an_atomic_list_of_equal_length_differs_by_element() -> None:
    wanted, live = deployment(), deployment()
    _pod(wanted)["containers"][0]["args"] = ["a", "b"]
    _pod(live)["containers"][0]["args"] = ["a", "c"]
    assert _paths(wanted, live) == ["spec.template.spec.containers[name=main].args[1]"]


def test_lists_of_custom_resources_are_atomic() -> None:
    wanted, live = widget(), widget()
    wanted["spec"]["containers"] = [{"name": "a"}]
    live["spec"]["containers"] = [{"name": "b"}, {"name": "a"}]
    assert _paths(wanted, live) == ["spec.containers"]


@pytest.mark.parametrize("empty", [None, "", [], {}, False, 0, {"limits": {}}])
def test_what_is_empty_and_dropped_by_the_server_is_no_difference(empty: Any) -> None:
    wanted = deployment()
    _pod(wanted)["containers"][0]["resources"] = empty
    assert _paths(wanted, deployment()) == []


@pytest.mark.parametrize(("empty", "count"), [(None, 0), ("", 1), (False, 1)])
def test_a_custom_resource_keeps_its_empty_fields(empty: Any, count: int) -> None:
    wanted = widget()
    wanted["spec"]["extra"] = empty
    assert len(differences(wanted, widget())) == count


def test_quantities_are_compared_as_amounts_where_amounts_stand() -> None:
    wanted, live = deployment(), deployment()
    _pod(wanted)["containers"][0]["resources"] = {"limits": {"cpu": "1000m"}}
    _pod(live)["containers"][0]["resources"] = {"limits": {"cpu": "1"}}
    assert _paths(wanted, live) == []
    _pod(live)["containers"][0]["resources"] = {"limits": {"cpu": "2"}}
    assert len(_paths(wanted, live)) == 1


def test_text_that_looks_like_a_quantity_is_compared_as_text() -> None:
    assert _paths(config_map(version="1.0"), config_map(version="1")) == ["data.version"]


def test_true_is_not_one() -> None:
    wanted, live = widget(), widget()
    wanted["spec"]["on"], live["spec"]["on"] = True, 1
    assert _paths(wanted, live) == ["spec.on"]


def test_the_plain_data_of_a_secret_is_compared_as_the_server_stores_it() -> None:
    live = {**secret(), "data": {"word": "aGVsbG8="}}
    live.pop("stringData")
    assert _paths(secret(word="hello"), live) == []
    assert _paths(secret(word="bye"), live) == ["data.word"]


def test_status_and_what_only_the_server_writes_are_never_compared() -> None:
    wanted = deployment()
    wanted["status"] = {"replicas": 9}
    wanted["metadata"]["resourceVersion"] = "1"
    assert _paths(wanted, deployment()) == []


def test_further_finalizers_are_others_business() -> None:
    wanted, live = config_map(), config_map()
    wanted["metadata"]["finalizers"] = ["a/b"]
    live["metadata"]["finalizers"] = ["c/d", "a/b"]
    assert _paths(wanted, live) == []
    live["metadata"]["finalizers"] = ["c/d"]
    assert _paths(wanted, live) == ["metadata.finalizers"]


def test_a_field_whose_name_has_dots_is_quoted() -> None:
    wanted, live = config_map(), config_map()
    wanted["metadata"]["annotations"] = {"example.com/a.b": "x"}
    assert _paths(wanted, live) == ["metadata.annotations"]
    live["metadata"]["annotations"] = {"other": "y"}
    assert _paths(wanted, live) == ["metadata.annotations['example.com/a.b']"]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "1", "1000m"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["name", "containers", "a", "limits"]), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(spec=st.dictionaries(st.sampled_from(["a", "b", "containers"]), _JSON, max_size=3))
def test_an_object_never_differs_from_itself(spec: dict[str, Any]) -> None:
    for wanted in ({**deployment(), "spec": spec}, {**widget(), "spec": spec}):
        assert differences(wanted, copy.deepcopy(wanted)) == ()


@given(
    wanted=st.dictionaries(st.sampled_from(["a", "b"]), _JSON, max_size=2),
    live=st.dictionaries(st.sampled_from(["a", "b", "c"]), _JSON, max_size=3),
)
def test_every_difference_really_holds_two_values(
    wanted: dict[str, Any], live: dict[str, Any]
) -> None:
    for found in differences({**widget(), "spec": wanted}, {**widget(), "spec": live}):
        assert found.path
        same_type = isinstance(found.wanted, bool) == isinstance(found.live, bool)
        assert not (same_type and found.wanted == found.live) or found.path == ()
