"""A bad commit and its `git revert`: what goes back where it was needs nobody's word."""

from __future__ import annotations

from tests.e2e.rollout.fleet_repository import IMAGE, OVERLAY
from tests.e2e.rollout.story import Story, settled_on
from tests.e2e.rollout.world import World

POLICY = """
stages:
  - {name: staging, group: staging, gates: {after: [{soak: 5m}]}}
  - name: production
    group: production
    parallelism: 2
    gates: {before: [{approval: {groups: [sre]}}]}
"""
ONLY_BAD_IN_PRODUCTION = OVERLAY + f'images: [{{{{name: {IMAGE}, newTag: "1.1-crashloop"}}}}]\n'


async def revert(world: World) -> None:
    """A bad commit stops in production; its `git revert` ships by itself, with no Decision."""
    await settled_on(world, "1.0", POLICY)
    world.git.web("1.1")
    overlay = ONLY_BAD_IN_PRODUCTION.format(group="production")
    world.git.write("apps/production/web/kustomization.yaml", overlay)
    bad = world.push("web 1.1, with another build for production")
    await world.until(world.gated("web", "production"), "the gate")
    run = world.newest("web")["uid"]
    world.must("ana", "rollout", "approve", run)
    await world.until(world.has("web", "Paused"), "the stop")
    seen = world.board("production stops at the first failures", "rollout status")
    assert "Go on  revert or mend it in Git, or fleet rollout retry|skip|forgive" in seen
    touched = {*world.true.got("web", "1.1"), *world.true.got("web", "1.1-crashloop")}
    assert touched == {"staging-1", "staging-2", "production-1", "production-2"}
    decided = len(world.decisions())

    world.revert(bad)
    await world.until(lambda: world.newest("web")["uid"] != run, "the run of the revert")
    await world.run_for(2)
    world.board("git revert, nothing else", "runs", "rollout status")
    began = world.clock.now()
    await world.until(world.has("web", "Succeeded"), "the way back", 300)
    world.board("everything is back", f"runs {world.newest('web')['uid']}", "runs")
    assert (world.clock.now() - began).total_seconds() < 120, "no soak, no gate"
    assert world.true.running("web") == {name: {"1.0"} for name in world.git.clusters}
    assert set(world.true.got("web", "1.0")) == touched, "nobody else was written to"
    assert world.true.moved_within(staging=1, production=2), "those that failed are their own"
    assert len(world.decisions()) == decided, "nobody decided anything"


STORY = Story("revert", {"staging": 2, "production": 4}, revert)
