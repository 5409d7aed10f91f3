"""One renderer for all stories: what one has rendered, the next one finds."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from fleet.render import Renderer


@pytest.fixture(scope="package")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Renderer]:
    """The real one, with Kustomize."""
    with Renderer(tmp_path_factory.mktemp("renders")) as renderer:
        yield renderer
