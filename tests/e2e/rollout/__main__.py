"""`python -m tests.e2e.rollout STORY …` plays stories and prints their boards; without one, all."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from fleet.render import Renderer
from tests.conftest import pytest_configure
from tests.e2e.rollout.stories import STORIES


def say(text: str) -> None:
    """One board for the person who reads."""
    sys.stdout.write(text + "\n")


def main(names: list[str]) -> int:
    """Exit code 0 when all of them came to their ends."""
    if set(names) - set(STORIES):
        say(f"{__doc__}\n\n" + "\n".join(f"  {s.name:<12}{s.about}" for s in STORIES.values()))
        return 2
    pytest_configure()  # the same environment as for tests
    with (
        tempfile.TemporaryDirectory(prefix="fleet-stories-") as folder,
        Renderer(Path(folder) / "renders") as renderer,
    ):
        for name in names or list(STORIES):
            story = STORIES[name]
            say(f"═══ {story.name}: {story.about}\n")
            with story.world(Path(folder) / name, renderer, say=say) as world:
                asyncio.run(story.play(world))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
