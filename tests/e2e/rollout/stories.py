"""Every story by its name."""

from __future__ import annotations

from tests.e2e.rollout import (
    approval,
    canary,
    every_minute,
    renamed,
    return_of_half,
    revert,
    unrelated,
)

STORIES = {
    story.name: story
    for story in (
        approval.STORY,
        canary.STORY,
        return_of_half.STORY,
        revert.STORY,
        unrelated.STORY,
        renamed.STORY,
        every_minute.QUEUE,
        every_minute.COALESCE,
        every_minute.FINISH_STAGE,
        every_minute.IMMEDIATE,
    )
}
