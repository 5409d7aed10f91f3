"""Server-side apply against a model: each leaf has a value and a set of owners, no more."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from clusters.errors import ConflictError
from clusters.objects import Object
from tests.clusters.simulation.samples import config_map, new_server

Path = tuple[str, ...]
Leaves = dict[Path, Any]
MANAGERS = ("one", "two", "three")
VALUES = st.sampled_from(["x", "y"])
ENTRIES = st.dictionaries(st.sampled_from(["A", "B", "C"]), VALUES, max_size=3)
LABELS = st.dictionaries(st.sampled_from(["a", "b"]), VALUES, max_size=2)


def job_template(images: dict[str, str], env: dict[str, str], labels: dict[str, str]) -> Object:
    """A PodTemplate: list maps in list maps, and nothing that validation would ask for."""
    containers = [
        {
            "name": name,
            "image": image,
            "env": [{"name": key, "value": value} for key, value in env.items()],
        }
        for name, image in images.items()
    ]
    # An empty list of containers would be refused, so there is one that no configuration names.
    containers.append({"name": "fixed"})
    metadata = {"name": "lab", "namespace": "default"}
    body: Object = {
        "apiVersion": "v1",
        "kind": "PodTemplate",
        "metadata": metadata | ({"labels": labels} if labels else {}),
        "template": {"spec": {"containers": containers}},
    }
    return body


TEMPLATES = st.builds(
    job_template, st.dictionaries(st.sampled_from("pqr"), VALUES, max_size=3), ENTRIES, LABELS
)
APPLIES = st.lists(st.tuples(st.sampled_from(MANAGERS), TEMPLATES), max_size=6)


def leaves(obj: Object) -> Leaves:
    """What of an object the generated configurations can name, leaf by leaf."""
    found: Leaves = {
        ("label", key): value for key, value in obj["metadata"].get("labels", {}).items()
    }
    spec = obj.get("template", {}).get("spec", {})
    for container in spec.get("containers", ()):
        name = container["name"]
        if name == "fixed":
            continue
        found[("container", name)] = name
        if "image" in container:  # its last owner may have let go of it, but not of the item
            found[("image", name)] = container["image"]
        for entry in container.get("env", ()):
            if "value" in entry:
                found[("env", name, entry["name"])] = entry["value"]
            found[("entry", name, entry["name"])] = entry["name"]
    return found


class Model:
    """Who owns which leaf, and what it holds."""

    def __init__(self) -> None:
        self.values: Leaves = {}
        self.owners: dict[Path, set[str]] = {}

    def conflicts(self, manager: str, wanted: Leaves) -> bool:
        return any(
            path in self.values and self.values[path] != value and self.owners[path] - {manager}
            for path, value in wanted.items()
        )

    def apply(self, manager: str, wanted: Leaves) -> None:
        for path in [path for path, owners in self.owners.items() if manager in owners]:
            if path not in wanted:
                self.owners[path].discard(manager)
                if not self.owners[path]:
                    del self.owners[path], self.values[path]
        for path, value in wanted.items():
            if self.values.get(path) != value:
                self.owners[path] = set()
            self.values[path] = value
            self.owners[path].add(manager)


@settings(max_examples=150, deadline=None)
@given(APPLIES)
def test_forced_applies_leave_what_somebody_still_wants_and_nothing_else(
    applies: list[tuple[str, Object]],
) -> None:
    server, model = new_server(), Model()
    for manager, body in applies:
        live = server.apply(body, manager=manager, force=True)
        model.apply(manager, leaves(body))
        assert leaves(live) == model.values


@settings(max_examples=150, deadline=None)
@given(APPLIES)
def test_an_apply_conflicts_exactly_when_it_would_change_what_another_owns(
    applies: list[tuple[str, Object]],
) -> None:
    server, model = new_server(), Model()
    for manager, body in applies:
        conflicts = model.conflicts(manager, leaves(body))
        try:
            server.apply(body, manager=manager)
        except ConflictError:
            assert conflicts
            continue
        assert not conflicts
        model.apply(manager, leaves(body))


@settings(max_examples=75, deadline=None)
@given(APPLIES, TEMPLATES)
def test_an_apply_repeated_is_never_a_write(
    applies: list[tuple[str, Object]], last: Object
) -> None:
    server = new_server()
    for manager, body in applies:
        server.apply(body, manager=manager, force=True)
    first = server.apply(last, manager="one", force=True)
    assert server.apply(last, manager="one") == first
    assert server.resource_version == first["metadata"]["resourceVersion"]


@settings(max_examples=75, deadline=None)
@given(ENTRIES, ENTRIES)
def test_an_update_owns_exactly_what_it_changed(old: dict[str, str], new: dict[str, str]) -> None:
    server = new_server()
    # Whose objects nobody owns any field of, nobody begins to own by an update.
    live = server.apply(config_map(kept="1", **old), manager="applier")
    live["data"] = {"kept": "1", **new}
    updated = server.update(live, manager="editor")
    owned = {
        entry["manager"]: set(entry["fieldsV1"].get("f:data", {})) - {"."}
        for entry in updated["metadata"].get("managedFields", ())
    }
    changed = {key for key, value in new.items() if old.get(key) != value}
    assert owned.get("editor", set()) == {f"f:{key}" for key in changed}
    assert owned.get("applier", set()) == {"f:kept"} | {f"f:{key}" for key in old if key in new} - {
        f"f:{key}" for key in changed
    }
