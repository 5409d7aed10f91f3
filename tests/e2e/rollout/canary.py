"""A release that crashes is caught in the canary, taken back there and kept from everybody."""

from __future__ import annotations

import re

from tests.e2e.rollout.story import Story, settled_on
from tests.e2e.rollout.world import World

POLICY = """
stages:
  - {name: canary, group: canary, gates: {after: [{soak: 5m}]}}
  - {name: production, group: production, parallelism: 2}
onFailure: {action: Rollback}
"""
BAD = "1.1-crashloop"


async def canary(world: World) -> None:
    """A bad release is caught in the canary and rolled back; production never sees it."""
    await settled_on(world, "1.0", POLICY)
    world.git.web(BAD)
    world.push("web 1.1")
    await world.until(lambda: world.true.wanted("web")["canary-1"] == BAD, "the canary")
    await world.run_for(30)
    seen = world.board("the canary crashes; it is given a minute")
    assert re.search(r"\(Degraded; failed if it still is at 09:0\d:\d\d UTC\)", seen), seen
    await world.until(world.has("web", "RollingBack"), "the rollback")
    seen = world.board("it is taken back")
    assert "RollingBack: 0 of 1 clusters are back (stage canary failed: 1 failed" in seen
    await world.until(world.has("web", "RolledBack"), "the end of the rollback")
    bad = world.newest("web")["uid"]
    await world.run_for(300)
    world.board(
        "the canary runs 1.0 again, and 1.1 is vetoed",
        f"runs {bad}",
        "explain production-1 web",
        "query 'SELECT * FROM vetoes'",
    )
    assert world.true.running("web") == {name: {"1.0"} for name in world.git.clusters}
    assert world.true.got("web", BAD) == ["canary-1"], "nobody but the canary ever had it"
    assert world.newest("web")["uid"] == bad, "what is vetoed makes no run"

    world.git.web("1.2")
    world.push("web 1.2: does not crash")
    await world.until(world.has("web", "Succeeded"), "the good release")
    world.board("1.2 ships, and the veto is of no matter any more", "runs", "bundles")
    assert world.true.running("web") == {name: {"1.2"} for name in world.git.clusters}
    assert world.true.got("web", BAD) == ["canary-1"]


STORY = Story("canary", {"canary": 1, "production": 4}, canary)
