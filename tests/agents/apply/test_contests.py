"""A field that another manager sets back three times is left to it for a while."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson

from agents.apply.contests import (
    FIRST_BACKOFF,
    LONGEST_BACKOFF,
    NONE,
    WINDOW,
    Contests,
    held,
    set_back,
    sighted,
)
from agents.protocol import SyncState
from tests.agents.lab import Lab
from tests.agents.samples import WEB, deployment, key

NOW = datetime(2030, 1, 1, tzinfo=UTC)
FIELD = ("spec", "replicas")
SECOND = timedelta(seconds=1)


def fought(contests: Contests, at: datetime, times: int) -> tuple[Contests, datetime]:
    """Seen to differ and set back, so many times, a second apart."""
    for _ in range(times):
        contests = set_back(sighted(contests, [FIELD], at), at)
        at += SECOND
    return contests, at


def test_the_third_time_is_contested_and_not_before() -> None:
    contests, at = fought(NONE, NOW, 2)
    assert held(contests, at) == {}
    third = sighted(contests, [FIELD], at)
    assert held(third, at)[FIELD].until == at + FIRST_BACKOFF


def test_looking_again_counts_nothing() -> None:
    contests, at = fought(NONE, NOW, 2)
    third = sighted(contests, [FIELD], at)
    for seconds in range(1, 59):
        assert sighted(third, [FIELD], at + seconds * SECOND) == third
    seen = sighted(NONE, [FIELD], NOW)
    for _ in range(9):
        seen = sighted(seen, [FIELD], NOW + SECOND)
    assert held(seen, NOW + SECOND) == {}, "a write that failed is no fight"


def test_after_the_back_off_it_is_tried_once_and_then_left_for_twice_as_long() -> None:
    contests, at = fought(NONE, NOW, 2)
    contests = sighted(contests, [FIELD], at)
    expected = FIRST_BACKOFF
    for _ in range(12):
        at += expected
        assert held(sighted(contests, [FIELD], at), at) == {}
        contests = set_back(sighted(contests, [FIELD], at), at)
        contests = sighted(contests, [FIELD], at + SECOND)
        expected = min(expected * 2, LONGEST_BACKOFF)
        at += SECOND
        assert held(contests, at)[FIELD].until == at + expected


def test_what_stays_is_forgotten() -> None:
    contests, at = fought(NONE, NOW, 2)
    later = at + WINDOW + SECOND
    assert held(sighted(contests, [FIELD], later), later) == {}
    assert sighted(contests, [], later) == {}


def test_three_edits_in_a_day_are_no_contest() -> None:
    contests: Contests = NONE
    for hour in range(0, 24, 4):
        at = NOW + timedelta(hours=hour)
        seen = sighted(contests, [FIELD], at)
        assert held(seen, at) == {}
        contests = set_back(seen, at)


def test_a_fight_over_one_field_is_no_fight_over_another() -> None:
    contests, at = fought(NONE, NOW, 2)
    both = sighted(contests, [FIELD, ("spec", "paused")], at)
    assert set(held(both, at)) == {FIELD}
    again = set_back(both, at)
    assert held(again, at) == held(both, at), "what is held was not set back"


async def test_what_is_contested_is_tried_again_after_the_back_off_and_not_before(
    lab: Lab,
) -> None:
    lab.settings = replace(lab.settings, check_interval_seconds=7)
    lab.new_agent()
    lab.release("web", deployment())
    await lab.settled("web")
    for healed in (1, 2):
        lab.edit(WEB, {"spec": {"replicas": 5}}, manager="rival")
        await lab.until(lambda wanted=healed: lab.report("web").healed == wanted)  # type: ignore[misc]
    lab.edit(WEB, {"spec": {"replicas": 5}}, manager="rival")
    await lab.until(lambda: lab.report("web").contested == 1)
    lab.edit(WEB, {"metadata": {"labels": {"app": "other"}}}, manager="somebody")
    await lab.until(lambda: lab.report("web").healed == 3)
    await lab.run_for(40)
    assert lab.report("web").contested == 1
    assert lab.there("Deployment", "web", group="apps")["spec"]["replicas"] == 5
    await lab.until(lambda: lab.report("web").contested == 0, seconds=30)
    assert lab.report("web").healed == 4
    assert lab.there("Deployment", "web", group="apps")["spec"]["replicas"] == 2
    lab.edit(WEB, {"spec": {"replicas": 5}}, manager="rival")
    await lab.until(lambda: lab.report("web").contested == 1)
    await lab.run_for(110)
    assert lab.report("web").healed == 4, "for twice as long"
    await lab.until(lambda: lab.report("web").healed == 5, seconds=20)


async def test_a_fight_ends_in_a_report_and_other_fields_are_still_healed(lab: Lab) -> None:
    lab.release("web", deployment())
    await lab.settled("web")
    for healed in (1, 2):
        lab.edit(WEB, {"spec": {"replicas": 5}}, manager="rival")
        await lab.until(lambda wanted=healed: lab.report("web").healed == wanted)  # type: ignore[misc]
    lab.recorder.writes.clear()
    lab.edit(WEB, {"spec": {"replicas": 5}}, manager="rival")
    await lab.until(lambda: lab.report("web").contested == 1, seconds=61)
    report = lab.report("web")
    assert (report.sync, report.code, report.drifted) == (SyncState.OUT_OF_SYNC, "contested", 1)
    assert report.objects[0].code == "contested"
    assert report.objects[0].drift[0].manager == "rival"
    assert "rival keeps setting spec.replicas back" in report.objects[0].message
    await lab.run_for(5)
    assert lab.recorder.writes == ["apply ConfigMap bundle-web"], "it is only noted"
    image = [{"name": "main", "image": "example/other:1"}]
    lab.edit(WEB, {"spec": {"template": {"spec": {"containers": image}}}}, manager="somebody")
    await lab.until(lambda: lab.report("web").healed == 3, seconds=61)
    live = lab.there("Deployment", "web", group="apps")["spec"]
    assert live["replicas"] == 5
    assert live["template"]["spec"]["containers"][0]["image"] == "example/web:1"
    assert lab.report("web").contested == 1
    await lab.until(lambda: lab.report("web").contested == 0, seconds=61)
    assert lab.there("Deployment", "web", group="apps")["spec"]["replicas"] == 2
    await lab.settled("web")


async def _contested(lab: Lab) -> None:
    """Two healings, and a third time."""
    lab.release("web", deployment())
    await lab.settled("web")
    for healed in (1, 2):
        lab.edit(WEB, {"spec": {"replicas": 5}}, manager="rival")
        await lab.until(lambda wanted=healed: lab.report("web").healed == wanted)  # type: ignore[misc]
    lab.edit(WEB, {"spec": {"replicas": 5}}, manager="rival")
    await lab.until(lambda: lab.report("web").contested == 1, seconds=61)


def _replicas(lab: Lab) -> int:
    return int(lab.there("Deployment", "web", group="apps")["spec"]["replicas"])


async def test_an_agent_that_starts_anew_does_not_take_the_fight_up_again(lab: Lab) -> None:
    await _contested(lab)
    await lab.run_for(20)
    lab.new_agent()
    await lab.until(lambda: "web" in lab.agent.reports and lab.report("web").contested == 1)
    await lab.run_for(20)
    assert (lab.report("web").contested, _replicas(lab)) == (1, 5)
    await lab.until(lambda: lab.report("web").healed == 1, seconds=40)
    assert _replicas(lab) == 2
    lab.edit(WEB, {"spec": {"replicas": 5}}, manager="rival")
    await lab.until(lambda: lab.report("web").contested == 1, seconds=61)
    lab.recorder.writes.clear()
    await lab.run_for(100)
    assert lab.report("web").contested == 1, "for twice as long as before the restart"
    assert lab.recorder.writes == []


async def test_what_stays_is_forgotten_in_the_inventory_too(lab: Lab) -> None:
    await _contested(lab)
    await lab.until(lambda: lab.report("web").contested == 0, seconds=70)
    await lab.run_for(1200)
    parent = lab.there("ConfigMap", "bundle-web", "fleet-system")
    assert "contested" not in parent["data"]["state"]


async def test_a_clock_that_was_wrong_leaves_no_field_alone_for_longer_than_its_back_off(
    lab: Lab,
) -> None:
    await _contested(lab)
    parent = lab.there("ConfigMap", "bundle-web", "fleet-system")
    state = orjson.loads(parent["data"]["state"])
    ((name, path, _, seconds),) = state["contested"]
    state["contested"] = [[name, path, "2999-01-01T00:00:00+00:00", seconds]]
    data = {"state": orjson.dumps(state).decode()}
    lab.edit(key("ConfigMap", "bundle-web", "fleet-system"), {"data": data})
    lab.new_agent()
    await lab.until(lambda: "web" in lab.agent.reports and lab.report("web").contested == 1)
    await lab.until(lambda: lab.report("web").healed == 1, seconds=70)


async def test_a_release_ends_every_fight(lab: Lab) -> None:
    await _contested(lab)
    lab.settings = replace(lab.settings, check_interval_seconds=5)
    lab.new_agent()
    lab.release("web", deployment(image="example/web:2"), run="second")
    await lab.settled("web")
    assert _replicas(lab) == 2
    parent = lab.there("ConfigMap", "bundle-web", "fleet-system")
    assert "contested" not in parent["data"]["state"]
    lab.edit(WEB, {"spec": {"replicas": 5}}, manager="rival")
    await lab.until(lambda: lab.report("web").healed + lab.report("web").contested > 0, seconds=10)
    assert lab.report("web").healed == 1, "it is the first time again"
