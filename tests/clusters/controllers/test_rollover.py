"""Replicas move from old to new within the strategy's limits, whatever happens on the way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from clusters.simulation.controllers.rollover import (
    Group,
    Limits,
    limits_of,
    recreate,
    roll,
    spread,
)
from tests.clusters.controllers.lab import deployment

counts = st.integers(0, 8)


def group(name: str, wanted: int, available: int | None = None) -> Group:
    """A group whose pods are all there, and all well unless said otherwise."""
    return Group(name, wanted, wanted, wanted if available is None else available)


def test_the_new_group_grows_by_the_surge_first() -> None:
    limits = Limits(desired=4, surge=1, unavailable=0)
    assert roll(group("new", 0), [group("old", 4)], limits) == {"new": 1}


def test_old_pods_go_only_for_new_ones_that_serve() -> None:
    limits = Limits(desired=4, surge=1, unavailable=0)
    assert roll(group("new", 1, 0), [group("old", 4)], limits) == {}
    assert roll(group("new", 1, 1), [group("old", 4)], limits) == {"old": 3}


def test_old_pods_that_serve_nobody_go_first() -> None:
    limits = Limits(desired=2, surge=1, unavailable=1)
    broken, well = group("broken", 1, 0), group("well", 2)
    assert roll(group("new", 0), [broken, well], limits)["broken"] == 0


def test_recreate_waits_until_the_last_old_pod_is_gone() -> None:
    assert recreate(group("new", 0), [group("old", 2)], 2) == {"old": 0}
    assert recreate(group("new", 0), [Group("old", 0, 1, 0)], 2) == {}
    assert recreate(group("new", 0), [group("old", 0)], 2) == {"new": 2}


def test_limits_round_in_favour_of_progress_and_never_stand_still() -> None:
    assert limits_of(deployment("i", 3)) == Limits(3, 1, 0)
    still = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}
    assert limits_of(deployment("i", 3, strategy=still)) == Limits(3, 0, 1)


@given(st.integers(0, 8), st.integers(0, 4), st.integers(0, 8), counts, st.lists(counts), st.data())
def test_no_move_ever_breaks_the_limits(
    desired: int, surge: int, unavailable: int, new: int, old: list[int], data: st.DataObject
) -> None:
    limits = Limits(desired, surge, min(unavailable, desired))
    first, *others = [
        Group(str(index), wanted, wanted, data.draw(st.integers(0, wanted)))
        for index, wanted in enumerate((new, *old))
    ]
    changes = roll(first, others, limits)
    groups = (first, *others)
    after = {group.name: changes.get(group.name, group.wanted) for group in groups}
    # Pods that serve are the last to go from each group.
    kept = sum(min(group.available, after[group.name]) for group in groups)
    available = sum(group.available for group in groups)
    scaled_down = first.available - min(first.available, after[first.name])
    floor = min(desired - limits.unavailable, available - scaled_down)
    assert kept >= floor
    asked_before = sum(group.wanted for group in groups)
    assert sum(after.values()) <= max(desired + surge, asked_before)
    assert all(count >= 0 for count in after.values())


@given(st.lists(st.integers(1, 8), min_size=2, max_size=4), st.integers(0, 20), counts)
def test_a_scaling_fills_the_room_and_turns_no_group_around(
    wanted: list[int], desired: int, surge: int
) -> None:
    groups = [group(str(n), count) for n, count in enumerate(wanted)]
    changes = spread(groups, Limits(desired, surge, 0), sum(wanted))
    room = desired + surge if desired else 0
    got = {g.name: changes.get(g.name, g.wanted) for g in groups}
    # Down, the rounding may leave some for the rollout to take away.
    assert sum(got.values()) == room or room < sum(got.values()) < sum(wanted)
    gained = [got[g.name] - g.wanted for g in groups]
    assert all(gain >= 0 for gain in gained) or all(gain <= 0 for gain in gained)


def test_of_equal_groups_the_newest_gains_and_the_oldest_loses() -> None:
    new, old = group("new", 3), group("old", 3)
    assert spread([new, old], Limits(7, 0, 0), 6) == {"new": 4, "old": 3}
    assert spread([new, old], Limits(5, 0, 0), 6) == {"old": 2, "new": 3}
