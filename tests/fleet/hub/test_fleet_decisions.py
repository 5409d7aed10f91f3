"""Freezes and removals that people decide, through a real store."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.errors import RequestError
from fleet.rollout.decisions import EVERY_GROUP, Actor, Verb
from tests.fleet.hub.rig import Rig, deployment_of, fleet

ANA = Actor("ana", (EVERY_GROUP,))
V2 = deployment_of("web", "v2").digest


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Three clusters that run v1 of `web`."""
    rig = Rig(tmp_path)
    rig.push(fleet(1, 2, web="v1"))
    rig.look()
    rig.join(*fleet(1, 2))
    rig.converge()
    return rig


def test_a_freeze_takes_offers_back_at_once_and_outlives_the_hub(rig: Rig) -> None:
    rig.push(fleet(1, 2, web="v2"))
    rig.look()
    rig.release()
    assert rig.offered() == {"staging-1"}
    rig.hub.desk.decide_for_fleet(Verb.FREEZE, actor=ANA, reason="incident 7")
    assert rig.offered() == set(), "before the loop has turned"
    rig.reopen()
    rig.turn()
    rig.turn()
    assert rig.offered() == set()
    rig.hub.desk.decide_for_fleet(Verb.UNFREEZE, actor=ANA)
    rig.converge()
    assert set(rig.runs_what("web").values()) == {V2}


def test_what_makes_no_sense_is_refused(rig: Rig) -> None:
    for verb, said in (
        (Verb.FREEZE, {}),
        (Verb.UNFREEZE, {}),
        (Verb.APPROVE_REMOVALS, {"bundle": "web"}),
    ):
        with pytest.raises(RequestError):
            rig.hub.desk.decide_for_fleet(verb, actor=ANA, **said)


def test_held_removals_go_when_a_person_says_so(rig: Rig) -> None:
    rig.push(fleet(1, 2, web="v1", api="v1"))
    rig.look()
    rig.converge()
    rig.push(fleet(1, 2, web="v1"))
    rig.look()
    rig.release()
    assert rig.live() == []
    said = rig.approve_removals("api")
    assert "from 3 clusters" in said
    rig.converge()
    assert rig.runs_what("api") == {}


def test_an_agent_that_never_starts_is_not_offered_the_same_thing_without_end(rig: Rig) -> None:
    """It is online and says so, and takes no offer: three runs of the lane, then a person."""
    stubborn = rig.agents.pop("production-2")
    rig.clock.advance(31)
    rig.turn()
    rig.push(fleet(1, 2, web="v2"))
    rig.look()
    rig.converge()
    for _ in range(400):
        stubborn.report(*stubborn.states())
        rig.turn(seconds=25)
    lanes = [uid for uid in rig.states() if uid.startswith("catch-up")]
    assert len(lanes) == 3
    rig.agents["production-2"] = stubborn
    rig.turn()
    assert rig.live() == []
    rig.hub.desk.decide_for_fleet(Verb.CATCH_UP, actor=ANA, clusters=["production-2"])
    rig.converge()
    assert rig.runs_what("web")["production-2"] == V2
