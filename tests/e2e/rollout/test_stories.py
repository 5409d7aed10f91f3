"""Each story comes to its end, and on the way everything is as it says.

The first four are played twice, the second time with a hub that is killed before and after its
transactions: what clusters get, and what people are told, is the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fleet.render import Renderer
from tests.e2e.rollout import (
    approval,
    canary,
    every_minute,
    renamed,
    return_of_half,
    revert,
    unrelated,
)
from tests.e2e.rollout.mortal_hub import AtTransactions, Fate
from tests.e2e.rollout.story import Story
from tests.e2e.rollout.trace import trace

STEPS = {"Desk.report", "Desk.start", "Releaser._advance_one"}


async def played(story: Story, folder: Path, renderer: Renderer, fate: Fate | None = None) -> Any:
    """Play a story to its end; what happened."""
    with story.world(folder, renderer, fate=fate or Fate()) as world:
        await story.play(world)
        return trace(world)


@pytest.mark.parametrize(
    ("story", "reports"),
    [
        (approval.STORY, 0.1),
        (canary.STORY, 0.2),
        (return_of_half.STORY, 0.01),
        (revert.STORY, 0.1),
    ],
    ids=lambda story: getattr(story, "name", ""),
)
async def test_a_story_is_the_same_with_a_hub_that_is_killed_at_every_kind_of_step(
    story: Story, reports: float, renderer: Renderer, tmp_path: Path
) -> None:
    fate = AtTransactions(seed=1, reports=reports)
    undisturbed = await played(story, tmp_path / "plain", renderer)
    killed = await played(story, tmp_path / "killed", renderer, fate)
    assert fate.died.total() > 40
    missed = {(when, who) for who in STEPS for when in ("before", "after")} - set(fate.died)
    assert not missed, f"it never died there: {missed}"
    for what, expected in undisturbed.items():
        assert killed[what] == expected, what


async def test_a_directory_that_is_renamed_hands_its_objects_over(
    renderer: Renderer, tmp_path: Path
) -> None:
    await played(renamed.STORY, tmp_path, renderer)


async def test_what_failed_is_held_under_twenty_commits_that_all_ship(
    renderer: Renderer, tmp_path: Path
) -> None:
    await played(unrelated.STORY, tmp_path, renderer)


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
async def test_a_commit_every_minute_starves_nobody(
    story: Story, renderer: Renderer, tmp_path: Path
) -> None:
    await played(story, tmp_path, renderer)
