"""Half of production is away during releases and comes back a day later, all at once."""

from __future__ import annotations

from tests.e2e.rollout.story import Story, settled_on
from tests.e2e.rollout.world import DAY, HOUR, Pace, World

POLICY = """
stages:
  - {name: staging, group: staging, gates: {after: [{soak: 5m}]}}
  - {name: production, group: production, parallelism: 3}
connectivity: {catchUp: {parallelism: 1}}
"""
CUT, DARK = ["production-4"], ["production-5", "production-6"]
AWAY = CUT + DARK


async def return_of_half(world: World) -> None:
    """Half the fleet is offline during releases and comes back a day later at once."""
    await settled_on(world, "1.0", POLICY, "logs")
    world.cut(CUT, off=True)
    world.darken(DARK, off=True)
    await world.until(lambda: world.offline() == AWAY, "that the hub knows", 6 * HOUR)
    world.git.web("1.1")
    world.push("web 1.1")
    await world.until(world.gated("web", "production", "Updating"), "production")
    world.board("half of production is away", "rollout status", "rollout explain production-6")
    await world.until(world.has("web", "Succeeded"), "the release without them")
    world.git.web("1.2")
    world.git.component("logs", "1.2")
    world.push("web 1.2, logs 1.2")
    await world.until(lambda: world.runs("web")[2:] != [], "its runs")
    await world.until(world.is_quiet, "the second release")
    await world.run_for(5)
    world.board("two releases later", "status", "runs", "explain production-6 web")
    there = [name for name in world.git.clusters if name not in AWAY]
    assert sorted(world.true.got("web", "1.2")) == sorted(there)
    assert {world.true.wanted("web")[name] for name in AWAY} == {"1.0"}

    await world.run_for(DAY)
    world.true.forget()
    world.cut(CUT, off=False)
    world.darken(DARK, off=False)
    await world.until(lambda: world.live_lanes() != [], "the catch-up lane")
    await world.run_for(5)
    world.board("all are back at once; they catch up one at a time")
    await world.until(lambda: world.is_quiet() and world.is_converged(), "that all have caught up")
    world.board("everybody is there", "runs", "status")
    assert sorted(world.true.got("web", "1.2")) == AWAY
    assert world.true.got("web", "1.1") == [], "straight to what is current"
    for app in ("web", "logs"):
        assert world.true.running(app) == {name: {"1.2"} for name in world.git.clusters}
    assert world.true.moved_within(staging=0, production=1), "the slots of the lane"


STORY = Story(
    "return",
    {"staging": 1, "production": 6},
    return_of_half,
    pace=Pace(poll_seconds=300, heartbeat_seconds=600),
)
