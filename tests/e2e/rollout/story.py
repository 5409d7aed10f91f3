"""What a story is, and the beginning that all of them share."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet.render import Renderer
from tests.e2e.rollout.world import USUAL, Pace, World


@dataclass(frozen=True, slots=True)
class Story:
    """A name to call it by, the fleet that it needs, and what happens; it asserts as it goes."""

    name: str
    groups: Mapping[str, int]
    play: Callable[[World], Coroutine[Any, Any, None]]
    pace: Pace = USUAL

    def world(self, folder: Path, renderer: Renderer, **more: Any) -> World:
        """A new world for it."""
        return World(folder, renderer, dict(self.groups), self.pace, **more)

    @property
    def about(self) -> str:
        """What it is about, in a line."""
        return (self.play.__doc__ or "").strip().splitlines()[0]


async def settled_on(world: World, tag: str, policy: str, *components: str) -> None:
    """Every cluster runs `web` at that tag, and these components at 1.0; approved as need be."""
    world.git.policy(policy)
    world.git.web(tag)
    for name in components:
        world.git.component(name, "1.0")
    world.begin()
    await world.until(lambda: bool(world.runs()), "the first runs")
    for run in world.runs():
        if any("approval" in gate for gate in world.gates_of(run)):
            world.must("ana", "rollout", "approve", run["uid"], "--stage", "production")
    await world.until(world.is_quiet, "the first release")
    assert world.true.running("web") == {name: {tag} for name in world.git.clusters}
    world.true.forget()
