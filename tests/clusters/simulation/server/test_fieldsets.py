"""Field sets obey the laws of sets, and print their members as Kubernetes does."""

from __future__ import annotations

from functools import reduce
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from clusters.simulation.server.fieldsets import (
    FieldSet,
    difference,
    intersection,
    is_member,
    readable_paths,
    union,
    without,
)

Path = tuple[str, ...]
PATHS = st.lists(st.sampled_from(["f:a", "f:b", 'k:{"name":"x"}']), min_size=1, max_size=3)
SETS = st.frozensets(PATHS.map(tuple), max_size=8)


def trie(paths: frozenset[Path]) -> FieldSet:
    def single(path: Path) -> FieldSet:
        return {path[0]: single(path[1:]) if len(path) > 1 else {}}

    return reduce(union, (single(path) for path in sorted(paths)), {})


def members(fields: FieldSet, prefix: Path = ()) -> frozenset[Path]:
    found: set[Path] = set()
    for key, node in fields.items():
        if key == ".":
            continue
        path = (*prefix, key)
        if is_member(node):
            found.add(path)
        found |= members(node, path)
    return frozenset(found)


@given(SETS, SETS)
def test_the_operations_are_those_of_sets_of_paths(
    one: frozenset[Path], other: frozenset[Path]
) -> None:
    assert members(union(trie(one), trie(other))) == one | other
    assert members(difference(trie(one), trie(other))) == one - other
    assert members(intersection(trie(one), trie(other))) == one & other


@given(SETS, SETS)
def test_equal_sets_are_equal_dicts_however_they_came_about(
    one: frozenset[Path], other: frozenset[Path]
) -> None:
    assert difference(trie(one | other), trie(other)) == trie(one - other)
    assert intersection(trie(one), trie(other)) == trie(one & other)


@given(SETS, SETS)
def test_an_operation_leaves_its_arguments_as_they_are(
    one: frozenset[Path], other: frozenset[Path]
) -> None:
    left, right = trie(one), trie(other)
    union(left, right), difference(left, right), intersection(left, right)
    assert (members(left), members(right)) == (one, other)


def test_members_read_as_kubernetes_prints_them() -> None:
    fields: dict[str, Any] = {
        "f:spec": {
            "f:containers": {'k:{"name":"web"}': {".": {}, "f:image": {}}},
            "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {}},
        },
        "f:finalizers": {'v:"a/b"': {}},
    }
    assert list(readable_paths(fields)) == [
        '.finalizers[="a/b"]',
        '.spec.containers[name="web"]',
        '.spec.containers[name="web"].image',
        '.spec.ports[containerPort=80,protocol="TCP"]',
    ]


def test_without_drops_a_path_with_all_below_it_and_nothing_else() -> None:
    fields: FieldSet = {"f:metadata": {"f:name": {}, "f:labels": {"f:a": {}}}, "f:kind": {}}
    assert without(fields, ("metadata", "name"), ("kind",)) == {
        "f:metadata": {"f:labels": {"f:a": {}}}
    }
    assert without(fields, ("metadata", "labels"), ("spec",)) == {
        "f:metadata": {"f:name": {}},
        "f:kind": {},
    }
