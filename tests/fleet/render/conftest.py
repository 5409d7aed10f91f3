"""One renderer for all tests of rendering: workers start once, each test has its own content."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fleet.render import Limits, Renderer


@pytest.fixture(scope="session")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Renderer]:
    """A renderer with an empty cache and the real tools."""
    with Renderer(tmp_path_factory.mktemp("renders"), limits=Limits(seconds=30)) as made:
        yield made
