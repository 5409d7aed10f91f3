"""Each story comes to its end, and on the way everything is as it says."""

from __future__ import annotations

from collections.abc import Callable

from tests.e2e.rollout import approval, canary, revert
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
