"""Each story comes to its end, and on the way everything is as it says."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.e2e.rollout import approval, canary, every_minute, return_of_half, revert, unrelated
from tests.e2e.rollout.story import Story
from tests.e2e.rollout.world import World

NewWorld = Callable[[Story], World]


async def test_production_waits_for_the_approval_of_the_right_person_for_the_right_plan(
    world: NewWorld,
) -> None:
    await approval.approval(world(approval.STORY))


async def test_a_bad_release_is_caught_in_the_canary_and_rolled_back(world: NewWorld) -> None:
    await canary.canary(world(canary.STORY))


async def test_a_git_revert_of_a_bad_commit_ships_without_a_decision(world: NewWorld) -> None:
    await revert.revert(world(revert.STORY))


async def test_what_failed_is_held_under_twenty_commits_that_all_ship(world: NewWorld) -> None:
    await unrelated.unrelated(world(unrelated.STORY))


async def test_half_the_fleet_comes_back_a_day_later_in_the_slots_of_the_lane(
    world: NewWorld,
) -> None:
    await return_of_half.return_of_half(world(return_of_half.STORY))


@pytest.mark.parametrize(
    "story",
    [
        every_minute.QUEUE,
        every_minute.COALESCE,
        every_minute.FINISH_STAGE,
        every_minute.IMMEDIATE,
    ],
    ids=lambda story: story.name,
)
async def test_a_commit_every_minute_starves_nobody(world: NewWorld, story: Story) -> None:
    await story.play(world(story))
