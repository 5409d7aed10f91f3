"""Every story by its name."""

from __future__ import annotations

from tests.e2e.rollout import approval, canary, revert

STORIES = {story.name: story for story in (approval.STORY, canary.STORY, revert.STORY)}
