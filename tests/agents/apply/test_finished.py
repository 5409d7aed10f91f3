"""Jobs that remove themselves: done is done, and nothing else is taken for done."""

from __future__ import annotations

from typing import Any

from agents.protocol import SyncState
from clusters.objects import Object
from tests.agents.lab import Lab
from tests.agents.samples import config_map, job, key

JOB = key("Job", "migrate", group="batch")


def _vanishing(seconds: int = 0, **more: Any) -> Object:
    made = job(**more)
    made["spec"]["ttlSecondsAfterFinished"] = seconds
    return made


def _made(lab: Lab) -> int:
    return lab.recorder.writes.count("apply Job migrate")


async def test_a_job_that_removed_itself_is_not_made_again(lab: Lab) -> None:
    lab.release("web", _vanishing(), config_map())
    await lab.settled("web")
    await lab.until(lambda: lab.live("Job", "migrate", group="batch") is None, seconds=3600)
    await lab.run_for(600)
    assert _made(lab) == 1
    assert lab.is_settled("web")


async def test_neither_a_restart_nor_another_release_makes_it_again(lab: Lab) -> None:
    lab.release("web", _vanishing(), config_map())
    await lab.settled("web")
    lab.cluster.server.delete(JOB)
    lab.new_agent()
    await lab.run_for(120)
    lab.release("web", _vanishing(), config_map(colour="red"), run="second")
    await lab.settled("web")
    await lab.run_for(120)
    assert _made(lab) == 1


async def test_another_job_of_that_name_runs(lab: Lab) -> None:
    lab.release("web", _vanishing())
    await lab.settled("web")
    lab.cluster.server.delete(JOB)
    lab.release("web", _vanishing(image="example/migrate:2"), run="second")
    await lab.until(lambda: _made(lab) == 2)


async def test_a_job_that_goes_before_it_is_done_is_made_again(lab: Lab) -> None:
    lab.release("web", _vanishing(image="m:neverready"))
    await lab.until(lambda: lab.live("Job", "migrate", group="batch") is not None)
    await lab.run_for(5)
    lab.cluster.server.delete(JOB)
    await lab.until(lambda: _made(lab) == 2)


async def test_a_job_without_a_time_to_live_that_somebody_deletes_is_made_again(lab: Lab) -> None:
    lab.release("web", job())
    await lab.settled("web")
    lab.cluster.server.delete(JOB)
    await lab.until(lambda: _made(lab) == 2)


async def test_it_lives_long_enough_to_be_seen_and_as_long_as_it_asks(lab: Lab) -> None:
    lab.release("web", _vanishing(1))
    await lab.settled("web")
    assert lab.there("Job", "migrate", group="batch")["spec"]["ttlSecondsAfterFinished"] == 600
    lab.release("web", _vanishing(86_400), run="second")
    await lab.settled("web")
    assert lab.there("Job", "migrate", group="batch")["spec"]["ttlSecondsAfterFinished"] == 86_400
    assert lab.report("web").sync is SyncState.SYNCED


async def test_what_is_wanted_no_more_is_forgotten(lab: Lab) -> None:
    lab.release("web", _vanishing(), config_map())
    await lab.settled("web")
    lab.release("web", config_map(), run="second")
    await lab.settled("web")
    lab.release("web", _vanishing(), config_map(), run="third")
    await lab.settled("web")
    assert _made(lab) == 2
