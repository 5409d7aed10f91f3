"""A directory that is renamed in Git: its objects get another owner, and nothing is made again."""

from __future__ import annotations

from tests.e2e.rollout.story import Story, settled_on
from tests.e2e.rollout.world import World

POLICY = """
stages:
  - {name: staging, group: staging}
  - {name: production, group: production}
"""


async def renamed(world: World) -> None:
    """apps/*/web becomes apps/*/site: each cluster hands its objects over, and asks nobody."""
    await settled_on(world, "1.0", POLICY)
    before = world.true.identities("web")
    world.true.forget()
    for group in ("staging", "production"):
        world.git.move(f"apps/{group}/web", f"apps/{group}/site")
    world.push("web is called site")
    await world.until(lambda: len(world.runs("site")) == 1, "one run for both")
    assert world.newest("site")["uid"] == world.newest("web")["uid"]
    await world.until(world.has("site", "Succeeded"), "the handover")
    await world.until(world.is_converged, "the end of web")
    world.board("web is site", "runs", "bundles", "status")
    assert world.true.identities("web") == before, "no Deployment or Pod was made again"
    assert not [write for write in world.true.writes if write.app == "web"], "no content changed"
    assert world.true.running("web") == {name: {"1.0"} for name in world.git.clusters}
    assert not world.decisions()


STORY = Story("renamed", {"staging": 1, "production": 2}, renamed)
