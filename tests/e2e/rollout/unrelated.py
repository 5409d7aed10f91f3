"""An image that failed stays where it is, under twenty commits that are not about it."""

from __future__ import annotations

from tests.e2e.rollout.story import Story, settled_on
from tests.e2e.rollout.world import World

POLICY = """
stages:
  - {name: staging, group: staging, gates: {after: [{soak: 5s}]}}
  - {name: production, group: production, parallelism: 2}
"""
BAD = "1.1-crashloop"
OTHERS = ("logs", "metrics", "ingress")
COMMITS = 20


async def unrelated(world: World) -> None:
    """A vetoed image under twenty unrelated commits: held everywhere, everything else ships."""
    for name in OTHERS:
        world.git.settings(name, "1.0")
    await settled_on(world, "1.0", POLICY)
    world.git.web(BAD)
    world.push("web 1.1")
    await world.until(world.has("web", "Paused"), "the stop in staging")
    assert world.true.got("web", BAD) == ["staging-1"]
    before = world.true.wanted("web")
    for number in range(1, COMMITS + 1):
        name = OTHERS[number % len(OTHERS)]
        world.git.settings(name, f"1.{number}")
        before_it = len(world.runs(name))
        world.push(f"{name} 1.{number}")
        await world.until(lambda: len(world.runs(name)) > before_it, "its run")  # noqa: B023
        await world.until(world.has(name, "Succeeded"), "what has nothing to do with it")
        assert set(world.true.wanted(name).values()) == {f"1.{number}"}, "everything else ships"
    world.board("after twenty commits", "bundles", "rollout status", "explain production-2 web")
    assert world.true.wanted("web") == before
    assert [str(w) for w in world.true.writes if w.app == "web"] == [f"staging-1 web:{BAD}"]
    assert len(world.runs("web")) == 2, "no commit repeats a run that is about something else"
    states = {run["state"] for name in OTHERS for run in world.runs(name)}
    assert states == {"Succeeded"}
    assert sum(len(world.runs(name)) for name in OTHERS) == len(OTHERS) + COMMITS

    world.git.web("1.2")
    world.push("web 1.2")
    await world.until(world.has("web", "Succeeded"), "the good release")
    world.board("other content ends it, by itself", "bundles")
    assert world.true.running("web") == {name: {"1.2"} for name in world.git.clusters}
    assert world.true.got("web", BAD) == ["staging-1"], "nobody else ever had it"


STORY = Story("unrelated", {"staging": 2, "production": 2}, unrelated)
