"""Every story holds as it is written."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fleet.rollout.stories import STORIES


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_the_story_holds(story: Callable[[], None]) -> None:
    story()
