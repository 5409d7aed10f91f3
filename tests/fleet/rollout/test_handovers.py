"""Bundles between which an object moves are found, and go in one run."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents.protocol import ABSENT
from fleet.rollout import propose
from fleet.rollout.handovers import Handovers, handovers
from tests.fleet.rollout.test_runs import NAMES, situation

OBJECTS = {
    "web-1": frozenset({"web", "cache"}),
    "web-2": frozenset({"web"}),
    "web-3": frozenset({"web", "cache", "logs"}),
    "api-1": frozenset({"api"}),
    "api-2": frozenset({"api", "cache"}),
    "api-3": frozenset({"api", "queue"}),
    "api-4": frozenset({"api", "cache", "queue"}),
    "jobs-1": frozenset({"cache"}),
    "jobs-2": frozenset({"jobs"}),
}


@pytest.mark.parametrize(
    ("granted", "wanted", "found"),
    [
        ({"web": "web-1", "api": "api-1"}, {"web": "web-2", "api": "api-2"}, {("web", "api")}),
        ({"web": "web-2", "api": "api-2"}, {"web": "web-1", "api": "api-1"}, {("api", "web")}),
        ({"web": "web-1"}, {"web": "web-2", "api": "api-2"}, {("web", "api")}),
        ({"web": "web-1", "api": "api-1"}, {"web": "web-2", "api": "api-3"}, set()),
        ({"web": "web-2", "api": "api-1"}, {"web": "web-1", "api": "api-2"}, set()),
        ({"web": "web-1", "api": "api-2"}, {"web": "web-2", "api": "api-2"}, set()),
        ({"web": "web-1", "api": "api-1"}, {"web": "web-3", "api": "api-2"}, set()),
        ({"web": "web-1", "api": "api-2"}, {"web": "web-2", "api": "api-4"}, set()),
        ({"jobs": "jobs-1", "api": "api-1"}, {"jobs": "jobs-2", "api": "api-2"}, {("jobs", "api")}),
        ({"web": "web-1", "api": "api-1"}, {"web": ABSENT, "api": "api-2"}, {("web", "api")}),
        ({"web": "web-1", "api": "api-1"}, {"api": "api-2"}, {("web", "api")}),
        ({"web": "web-1", "api": "api-1"}, {"api": "api-3"}, set()),
        ({"web": "web-1", "api": "api-1"}, {"web": None, "api": "api-2"}, set()),
        ({"web": "unknown", "api": "api-1"}, {"web": "web-2", "api": "api-2"}, set()),
        ({}, {"web": "web-1", "api": "api-2"}, set()),
    ],
)
def test_an_object_that_one_bundle_loses_and_another_gets_is_handed_over(
    granted: dict[str, str], wanted: dict[str, str | None], found: set[tuple[str, str]]
) -> None:
    moves = handovers({"c": wanted}, {"c": granted}, lambda d: OBJECTS.get(d, frozenset()))
    assert moves.pairs == found
    assert not moves.renamed


def test_what_moves_in_one_cluster_is_no_move_between_two_clusters() -> None:
    wanted = {"one": {"web": "web-2"}, "two": {"api": "api-2"}}
    granted = {"one": {"web": "web-1"}, "two": {"api": "api-1"}}
    assert handovers(wanted, granted, OBJECTS.__getitem__) == Handovers()


def test_a_bundle_of_which_others_take_all_is_renamed_and_no_removal_is_counted() -> None:
    moves = handovers({"s1": {"site": "web-1"}}, {"s1": {"web": "web-1"}}, OBJECTS.__getitem__)
    assert moves == Handovers(frozenset({("web", "site")}), frozenset({("s1", "web")}))
    renamed = Handovers(moves.pairs, frozenset((name, "web") for name in NAMES))
    found = propose(situation({"site": "web-1"}, {"web": "web-1"}, handovers=renamed))
    (run,) = found.runs
    assert run.bundles == ("site", "web")
    assert {len(changes) for changes in run.changes.values()} == {2}
    assert [stage.name for stage in run.stages] == ["staging", "production"]
    assert not found.held
    lost = propose(situation({"site": "web-1"}, {"web": "web-1"}))
    assert {held.code for held in lost.held} == {"TurndownSuspected"}


def test_bundles_between_which_an_object_moves_share_a_run() -> None:
    moves = Handovers(frozenset({("web", "api")}))
    wanted: dict[str, str | None] = {"api": "2", "db": "2", "web": "2"}
    runs = propose(situation(wanted, dict.fromkeys(wanted, "1"), handovers=moves)).runs
    assert [run.bundles for run in runs] == [("api", "web"), ("db",)]


def test_where_a_bundle_is_renamed_it_is_not_counted_among_its_removals() -> None:
    """Renamed in three clusters, removed in one, which is as many as may go without a word."""
    wanted = {name: {"site": "web-1"} for name in NAMES[1:]} | {NAMES[0]: {"db": "1"}}
    granted = {name: {"web": "web-1"} for name in NAMES} | {NAMES[0]: {"web": "web-1", "db": "1"}}
    moves = handovers(wanted, granted, lambda digest: OBJECTS.get(digest, frozenset()))
    assert moves.renamed == {(name, "web") for name in NAMES[1:]}
    base = situation({"site": "web-1"}, have=granted, handovers=moves)
    assert not propose(replace(base, wanted=wanted)).held
