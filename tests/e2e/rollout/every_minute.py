"""A commit every minute, under every supersede policy: who gets what, and how old it becomes."""

from __future__ import annotations

from datetime import datetime

from tests.e2e.rollout.story import Story, settled_on
from tests.e2e.rollout.world import HOUR, World

POLICY = """
source: {{coalesce: 1s}}
stages:
  - {{name: staging, group: staging, gates: {{after: [{{soak: 3m}}]}}}}
  - {{name: production, group: production, parallelism: 1}}
supersede: {{policy: {policy}, maxDeferrals: 2, maxLiveUnbaked: 2}}
"""
MOST_DEFERRED = MOST_UNBAKED = 2
COMMITS = 7
EVERY = [f"1.{number}" for number in range(1, COMMITS + 1)]


async def every_minute(world: World, policy: str) -> list[str]:
    """Seven commits, one a minute; the revisions that production got, in order."""
    await settled_on(world, "1.0", POLICY.format(policy=policy), "feed")
    for tag in EVERY:
        world.git.component("feed", tag)
        world.push(f"feed {tag}")
        await world.run_for(60)
    world.board(f"{policy}: after seven minutes", "rollout status", "runs")
    await world.until(world.is_quiet, "the end of all runs", 2 * HOUR)
    staging, production = (world.true.history("feed", name) for name in ("staging", "production"))
    world.say(f"{policy}: staging got {' '.join(staging)}; production got {' '.join(production)}\n")
    assert world.true.wanted("feed") == dict.fromkeys(world.git.clusters, EVERY[-1])
    assert staging == sorted(staging, key=EVERY.index), "never back"
    assert world.true.moved_within(staging=1, production=1)
    assert max(len(tags) for tags in live_unbaked(world)) <= MOST_UNBAKED
    return production


def live_unbaked(world: World) -> list[set[str]]:
    """After every write: revisions that run somewhere where no stage was Done with them by then."""
    title = {run["uid"]: run["title"].rpartition(" ")[2] for run in world.runs("feed")}
    done = [
        (datetime.fromisoformat(event["at"]), event["stage"], title[event["run"]])
        for event in world.events(kind="stage-done")
        if event["run"] in title
    ]
    now: dict[str, str] = {}
    found = []
    for write in world.true.writes:
        if write.app == "feed":
            now[write.cluster] = write.tag
            baked = {(stage, tag) for at, stage, tag in done if at <= write.at}
            pairs = {(world.git.clusters[cluster], tag) for cluster, tag in now.items()}
            found.append({tag for _, tag in pairs - baked})
    return found


async def queue(world: World) -> None:
    """A commit every minute with supersede policy Queue: production gets every one."""
    assert await every_minute(world, "Queue") == EVERY
    assert {run["state"] for run in world.runs("feed")} == {"Succeeded"}


async def coalesce(world: World) -> None:
    """A commit every minute with CoalesceLatest: what runs ends, only the newest waits."""
    got = await every_minute(world, "CoalesceLatest")
    assert got[0] == EVERY[0]
    assert got[-1] == EVERY[-1]
    assert 2 < len(got) < COMMITS
    assert started(world, "Superseded") == [], "what has started comes to its end"


async def finish_stage(world: World) -> None:
    """A commit every minute with FinishStage: the stage is finished, production is not starved."""
    _bounded(await every_minute(world, "FinishStage"), world)


async def immediate(world: World) -> None:
    """A commit every minute with Immediate: the newest at once, production is not starved."""
    _bounded(await every_minute(world, "Immediate"), world)


def _bounded(production: list[str], world: World) -> None:
    """Between two revisions that production gets, at most `maxDeferrals` runs were cut short."""
    assert production[-1] == EVERY[-1]
    assert len(production) > 1, "production moves although nobody waits for it"
    assert started(world, "Superseded"), "the policy did replace something"
    cut_short = 0
    for run in world.runs("feed")[1:]:
        if run["state"] == "Succeeded":
            cut_short = 0
        elif run["uid"] in started(world, "Superseded"):
            cut_short += 1
        assert cut_short <= MOST_DEFERRED


def started(world: World, state: str) -> list[str]:
    """Runs in this state that changed something."""
    moved = {event["run"] for event in world.events(kind="started")}
    return [
        run["uid"] for run in world.runs("feed") if run["state"] == state and run["uid"] in moved
    ]


_GROUPS = {"staging": 2, "production": 2}
QUEUE = Story("queue", _GROUPS, queue)
COALESCE = Story("coalesce", _GROUPS, coalesce)
FINISH_STAGE = Story("finish-stage", _GROUPS, finish_stage)
IMMEDIATE = Story("immediate", _GROUPS, immediate)
