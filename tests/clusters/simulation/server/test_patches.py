"""JSON patch, merge patch and strategic merge patch do what their documents say."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.errors import InvalidError
from clusters.objects import Kind
from clusters.simulation.server.patches import json_patch, merge_patch, strategic_merge_patch
from clusters.simulation.server.rejections import BadRequestError, TypedPatchError
from clusters.simulation.server.schema import built_in_schema

DOCUMENT = {"a": {"b": [1, 2, 3]}, "x/y": {"~": 0}}
DEPLOYMENT = built_in_schema(Kind("apps", "Deployment"), "v1")


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ({"op": "add", "path": "/a/c", "value": 1}, {"a": {"b": [1, 2, 3], "c": 1}}),
        ({"op": "add", "path": "/a/b/0", "value": 0}, {"a": {"b": [0, 1, 2, 3]}}),
        ({"op": "add", "path": "/a/b/-", "value": 4}, {"a": {"b": [1, 2, 3, 4]}}),
        ({"op": "replace", "path": "/a/b/1", "value": 9}, {"a": {"b": [1, 9, 3]}}),
        ({"op": "remove", "path": "/a/b/0"}, {"a": {"b": [2, 3]}}),
        ({"op": "move", "from": "/a/b", "path": "/a/c"}, {"a": {"c": [1, 2, 3]}}),
        ({"op": "copy", "from": "/a/b/0", "path": "/a/c"}, {"a": {"b": [1, 2, 3], "c": 1}}),
        ({"op": "test", "path": "/a/b/0", "value": 1}, {"a": {"b": [1, 2, 3]}}),
    ],
)
def test_each_json_patch_operation(operation: dict[str, Any], expected: dict[str, Any]) -> None:
    assert json_patch(DOCUMENT, [operation]) == {**expected, "x/y": {"~": 0}}


def test_json_pointers_are_unescaped() -> None:
    patched = json_patch(DOCUMENT, [{"op": "replace", "path": "/x~1y/~0", "value": 1}])
    assert patched["x/y"] == {"~": 1}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "remove", "path": "/nothing"},
        {"op": "replace", "path": "/a/b/7", "value": 1},
        {"op": "add", "path": "/a/b/-1", "value": 1},
        {"op": "add", "path": "/a/b/0/c", "value": 1},
        {"op": "test", "path": "/a/b/0", "value": 2},
    ],
)
def test_a_json_patch_that_cannot_be_done_is_invalid(operation: dict[str, Any]) -> None:
    with pytest.raises(InvalidError):
        json_patch(DOCUMENT, [operation])


@pytest.mark.parametrize(
    "patch",
    [{}, [1], [{"op": "add"}], [{"op": "fly", "path": "/a"}], [{"op": "add", "path": "a"}],
     [{"op": "remove", "path": ""}]],
)  # fmt: skip
def test_what_is_no_json_patch_is_a_bad_request(patch: Any) -> None:
    with pytest.raises(BadRequestError):
        json_patch(DOCUMENT, patch)


def test_a_merge_patch_merges_objects_deletes_by_null_and_replaces_lists() -> None:
    before = {"a": {"b": 1, "c": 2}, "list": [1, 2]}
    after = merge_patch(before, {"a": {"b": None, "d": {"e": None, "f": 3}}, "list": [3]})
    assert after == {"a": {"c": 2, "d": {"f": 3}}, "list": [3]}
    assert before == {"a": {"b": 1, "c": 2}, "list": [1, 2]}


def pod(*containers: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": list(containers), **spec}}}}


BEFORE = pod(
    {"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}], "args": ["1"]},
    {"name": "b", "image": "b:1"},
)


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        (
            pod({"name": "b", "image": "b:2"}),
            pod(BEFORE["spec"]["template"]["spec"]["containers"][0], {"name": "b", "image": "b:2"}),
        ),
        (
            pod({"name": "a", "$patch": "delete"}),
            pod({"name": "b", "image": "b:1"}),
        ),
        (
            pod({"name": "c", "image": "c:1"}, {"$patch": "replace"}),
            pod({"name": "c", "image": "c:1"}),
        ),
    ],
)
def test_a_strategic_merge_patch_goes_by_the_merge_keys(
    patch: dict[str, Any], expected: dict[str, Any]
) -> None:
    assert strategic_merge_patch(BEFORE, patch, DEPLOYMENT) == expected


def test_a_strategic_merge_patch_replaces_atomic_lists_and_merges_nested_maps() -> None:
    patch = pod({"name": "a", "args": ["2"], "env": [{"name": "Y", "value": "2"}]})
    after = strategic_merge_patch(BEFORE, patch, DEPLOYMENT)
    container = after["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == ["2"]
    assert [entry["name"] for entry in container["env"]] == ["Y", "X"]  # new ones first


def test_the_order_that_kubectl_sends_is_kept() -> None:
    patch = {"spec": {"template": {"spec": {
        "$setElementOrder/containers": [{"name": "b"}, {"name": "c"}, {"name": "a"}],
        "containers": [{"name": "c", "image": "c:1"}],
    }}}}  # fmt: skip
    after = strategic_merge_patch(BEFORE, patch, DEPLOYMENT)
    names = [item["name"] for item in after["spec"]["template"]["spec"]["containers"]]
    assert names == ["b", "c", "a"]


def test_finalizers_are_added_and_deleted_one_by_one() -> None:
    before = {"metadata": {"finalizers": ["a", "b"]}}
    added = strategic_merge_patch(before, {"metadata": {"finalizers": ["c"]}}, DEPLOYMENT)
    assert added["metadata"]["finalizers"] == ["c", "a", "b"]
    patch = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}
    assert strategic_merge_patch(before, patch, DEPLOYMENT)["metadata"]["finalizers"] == ["b"]


def test_retain_keys_drops_the_fields_of_the_other_choice() -> None:
    before = {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}
    patch = {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}
    after = strategic_merge_patch(before, patch, DEPLOYMENT)
    assert after == {"spec": {"strategy": {"type": "Recreate"}}}


def test_an_item_without_its_merge_key_is_a_server_error_as_on_a_real_server() -> None:
    with pytest.raises(TypedPatchError, match="lacks its merge key name"):
        strategic_merge_patch(BEFORE, pod({"image": "no-name"}), DEPLOYMENT)


@pytest.mark.parametrize("patch", [[], "x"])
def test_what_is_no_strategic_merge_patch_is_a_bad_request(patch: Any) -> None:
    with pytest.raises(BadRequestError):
        strategic_merge_patch(BEFORE, patch, DEPLOYMENT)
