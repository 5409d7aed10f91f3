"""An object that moves to another bundle: both go to a cluster in one assignment, and so back."""

from __future__ import annotations

from pathlib import Path

from tests.fleet.hub.rig import Rig, fleet

FIRST = fleet(1, 1, web="v1&cache", api="v1")


def released(folder: Path, **newer: str) -> Rig:
    """A fleet where `web` has the object `cache`, and a newer commit."""
    rig = Rig(folder)
    rig.push(FIRST)
    rig.look()
    rig.join(*FIRST)
    rig.converge()
    rig.push(fleet(1, 1, **newer))
    rig.look()
    rig.release()
    return rig


def offered(rig: Rig, cluster: str) -> list[list[str]]:
    """The bundles of each offer."""
    offers = rig.agents[cluster].target().offers
    return [sorted(item.bundle for item in offer.deployments) for offer in offers]


def test_bundles_between_which_an_object_moves_come_and_go_as_one(tmp_path: Path) -> None:
    rig = released(tmp_path, web="v2", api="v2&cache")
    assert offered(rig, "staging-1") == [["api", "web"]]
    rig.converge()
    rig.push(FIRST)
    rig.look()
    rig.release()
    assert offered(rig, "staging-1") == [["api", "web"]]


def test_bundles_that_change_without_a_move_are_offered_apart(tmp_path: Path) -> None:
    rig = released(tmp_path, web="v2&cache", api="v2")
    assert offered(rig, "staging-1") == [["api"], ["web"]]


def test_a_hub_that_was_killed_knows_of_the_move(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.push(FIRST)
    rig.look()
    rig.join(*FIRST)
    rig.converge()
    rig.reopen()
    rig.push(fleet(1, 1, web="v2", api="v2&cache"))
    rig.look()
    rig.release()
    assert offered(rig, "staging-1") == [["api", "web"]]


def test_a_bundle_that_is_renamed_goes_and_comes_in_one_step_and_asks_nobody(
    tmp_path: Path,
) -> None:
    rig = released(tmp_path, api="v2&web&cache")
    assert offered(rig, "staging-1") == [["api", "web"]]
    rig.converge()
    assert rig.problems() == set()
    assert rig.runs_what("web") == {}


def test_a_bundle_of_which_something_is_lost_waits_for_a_person(tmp_path: Path) -> None:
    rig = released(tmp_path, api="v2&web")
    assert rig.problems() == {"removal-suspected"}
