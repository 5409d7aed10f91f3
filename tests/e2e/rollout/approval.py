"""Staging, then production with the approval of a person of the right group, for the right plan."""

from __future__ import annotations

import re

from tests.e2e.rollout.story import Story, settled_on
from tests.e2e.rollout.world import World

POLICY = """
stages:
  - {name: staging, group: staging, gates: {after: [{soak: 10m}]}}
  - name: production
    group: production
    parallelism: 2
    gates: {before: [{approval: {groups: [sre], notAuthor: true}}]}
supersede: {policy: Immediate}
"""
STAGING = ["staging-1", "staging-2"]


async def approval(world: World) -> None:
    """Staging → production with approval; an early one counts, one for an older plan does not."""
    await settled_on(world, "1.0", POLICY)
    world.git.web("1.1")
    world.push("web 1.1")
    await world.until(world.has("web", "Running"), "the run of 1.1")
    older = world.newest("web")["uid"]
    approve = ("rollout", "approve", older, "--stage", "production")
    world.board("ana approves early, while staging goes on", " ".join(approve))
    await world.run_for(200)
    seen = world.board("staging soaks; production is approved already")
    assert re.search(r"production/before/0 +approval +pass", seen), seen
    assert "unknown" not in seen, "nobody has to be waited for"

    world.git.web("1.2")
    world.push("web 1.2")
    await world.until(lambda: world.newest("web")["uid"] != older, "the run of 1.2")
    newer = world.newest("web")["uid"]
    await world.run_for(60)
    code, said = world.fleet("ana", *approve)
    assert code == 1, said
    world.board("1.2 replaced the run; its approval is not 1.2's", "runs", " ".join(approve))
    await world.until(world.gated("web", "production"), "the gate of 1.2")
    assert world.true.got("web", "1.2") == STAGING
    for person, why in (("cleo", "is an author"), ("ben", "may not approve")):
        seen = world.board(f"{person} approves", f"rollout approve {newer}", person=person)
        assert f"it opens nothing: {person} {why}" in seen, seen
    await world.run_for(60)
    assert world.true.wanted("web")["production-1"] == "1.0"
    seen = world.board("neither opened it")
    assert f"Go on  fleet rollout approve {newer}" in seen
    world.must("ana", "rollout", "approve", newer, "-m", "staging looks good")
    await world.until(world.has("web", "Succeeded"), "the release of 1.2")
    world.board("ana approved it", f"runs {newer}")

    assert world.true.got("web", "1.1") == STAGING, "production never saw what was replaced"
    assert world.true.got("web", "1.2")[:2] == STAGING
    assert world.true.running("web") == {name: {"1.2"} for name in world.git.clusters}
    assert world.true.moved_within(staging=1, production=2)


STORY = Story("approval", {"staging": 2, "production": 4}, approval)
