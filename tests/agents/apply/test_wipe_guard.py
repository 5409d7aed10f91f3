"""Nothing is deleted by accident: neither most of a bundle nor most of a cluster."""

from __future__ import annotations

import pytest

from agents.apply.ownership import Claims
from agents.apply.wipe_guard import doomed, is_wipe, wiped_bundles
from agents.inventory import NAMESPACE, Inventory, parent_name
from agents.protocol import BundleDeployment, Deletion, Options, SyncState
from clusters.objects import Object
from tests.agents.lab import Lab
from tests.agents.samples import SETTINGS, config_map, key

MANY = 12


def maps(count: int, prefix: str = "settings") -> list[Object]:
    """So many ConfigMaps."""
    return [config_map(f"{prefix}-{number}") for number in range(count)]


@pytest.mark.parametrize(
    ("owned", "deleted", "held"),
    [
        (12, 9, False),
        (12, 10, True),
        (9, 9, False),
        (100, 75, False),
        (100, 76, True),
        (0, 0, False),
    ],
)
def test_what_is_a_wipe(owned: int, deleted: int, held: bool) -> None:
    assert is_wipe(owned, deleted) is held


def test_what_another_bundle_takes_or_what_stays_anyhow_is_not_deleted() -> None:
    keys = [SETTINGS, key("Namespace", "shop", ""), key("ConfigMap", "moved")]
    claims = Claims(by_key={key("ConfigMap", "moved"): ("next",)})
    assert doomed(keys, claims, "web") == [SETTINGS]


def test_removing_nearly_all_bundles_at_once_is_a_wipe_and_one_of_them_is_not() -> None:
    owned = {
        name: Inventory(name, tuple(key("ConfigMap", f"{name}-{n}") for n in range(10)))
        for name in ("a", "b", "c", "d", "e")
    }
    assert wiped_bundles(owned, {"a", "b", "c", "d"}, Claims()) == {"a", "b", "c", "d"}
    assert wiped_bundles(owned, {"a", "b", "c"}, Claims()) == frozenset()
    alone = {"a": owned["a"]}
    assert wiped_bundles(alone, {"a"}, Claims()) == frozenset(), "one bundle is meant"
    moved = Claims(by_key={item: ("z",) for name in "ab" for item in owned[name].objects})
    assert wiped_bundles(owned, {"a", "b", "c", "d"}, moved) == frozenset()
    kept = {**owned, "a": Inventory("a", owned["a"].objects, deletion=Deletion.ORPHAN)}
    assert wiped_bundles(kept, {"a", "b", "c", "d"}, Claims()) == frozenset()


async def test_a_drastically_shrunk_revision_is_held_before_anything_is_written(lab: Lab) -> None:
    lab.release("web", *maps(MANY))
    await lab.settled("web")
    lab.recorder.writes.clear()
    lab.release("web", config_map("new"), run="second")
    await lab.until(lambda: lab.report("web").sync is SyncState.FAILED)
    await lab.run_for(60)
    assert lab.report("web").code == "wipe-guard"
    assert "12 of 12" in lab.report("web").message
    assert lab.recorder.writes == []


async def test_a_shrinking_that_is_meant_is_said_in_git(lab: Lab) -> None:
    lab.release("web", *maps(MANY))
    await lab.settled("web")
    options = Options(namespace="shop", allow_wipe=True)
    lab.release("web", options=options, run="second")
    await lab.settled("web")
    assert [lab.live("ConfigMap", item["metadata"]["name"]) for item in maps(MANY)] == [None] * 12


async def test_a_shrinking_that_is_meant_is_said_on_the_cluster(lab: Lab) -> None:
    lab.release("web", *maps(MANY))
    await lab.settled("web")
    lab.release("web", config_map("new"), run="second")
    await lab.until(lambda: lab.report("web").code == "wipe-guard")
    _allow(lab, "web")
    await lab.settled("web")
    assert lab.live("ConfigMap", "settings-0") is None


async def test_a_bundle_whose_objects_all_move_to_another_is_no_wipe(lab: Lab) -> None:
    lab.release("old", *maps(MANY))
    await lab.settled("old")
    uid = lab.there("ConfigMap", "settings-3")["metadata"]["uid"]
    lab.hub.offer("move", lab.deployment("old"), lab.deployment("new", *maps(MANY)))
    await lab.settled("old", "new")
    assert lab.there("ConfigMap", "settings-3")["metadata"]["uid"] == uid


async def test_everything_removed_from_git_at_once_is_held_until_it_is_confirmed(lab: Lab) -> None:
    for name in ("one", "two", "three"):
        lab.release(name, *maps(5, name), run=name)
    await lab.settled("one", "two", "three")
    lab.hub.offer("removal", *(BundleDeployment.absent(name) for name in ("one", "two", "three")))
    await lab.run_for(60)
    for name in ("one", "two", "three"):
        assert (lab.report(name).sync, lab.report(name).code) == (SyncState.FAILED, "wipe-guard")
        assert lab.live("ConfigMap", f"{name}-0") is not None
    assert not any(line.startswith("delete") for line in lab.recorder.writes)
    lab.new_agent()
    await lab.run_for(10)
    assert lab.live("ConfigMap", "one-0") is not None, "a restart is no confirmation"
    for name in ("one", "two", "three"):
        _allow(lab, name)
    await lab.until(lambda: not lab.agent.reports)
    assert lab.live("ConfigMap", "one-0") is None


async def test_an_empty_target_deletes_nothing(lab: Lab) -> None:
    lab.release("one", *maps(MANY, "one"))
    lab.release("two", *maps(MANY, "two"), run="b")
    await lab.settled("one", "two")
    lab.hub.remove_from_target("one")
    lab.hub.remove_from_target("two")
    await lab.run_for(130)
    assert not any(line.startswith("delete") for line in lab.recorder.writes)
    assert {lab.report(name).code for name in ("one", "two")} == {"not-in-target"}


def _allow(lab: Lab, bundle: str) -> None:
    where = key("ConfigMap", parent_name(bundle), NAMESPACE)
    lab.edit(where, {"metadata": {"annotations": {"fleet.dev/allow-wipe": "true"}}})
