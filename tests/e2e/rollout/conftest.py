"""One renderer for all stories: what one has rendered, the next one finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet.render import Renderer
from tests.e2e.rollout.story import Story
from tests.e2e.rollout.world import World


@pytest.fixture(scope="package")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Renderer]:
    """The real one, with Kustomize."""
    with Renderer(tmp_path_factory.mktemp("renders")) as renderer:
        yield renderer


@pytest.fixture
def world(renderer: Renderer, tmp_path: Path) -> Iterator[Callable[[Story], World]]:
    """Makes the world of a story; it ends with the test."""
    made: list[World] = []

    def make(story: Story) -> World:
        made.append(story.world(tmp_path, renderer))
        return made[-1].__enter__()

    yield make
    for one in made:
        one.close()
