"""The hotfix lane through the real store: a frozen fleet, a live run, and a hub that is killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fleet.errors import RequestError
from fleet.model import PolicyDocument
from fleet.rollout.decisions import EVERY_GROUP, Actor, Verb
from tests.fleet.hub.rig import Rig, deployment_of, fleet

ANA, ALL = Actor("ana", ("sre",)), Actor("ops", (EVERY_GROUP,))
TRAILERS = (("Rollout-Class", "hotfix"),)
V3 = deployment_of("web", "v3").digest


def policy(name: str = "CoalesceLatest") -> tuple[PolicyDocument, ...]:
    soaks = {"after": [{"soak": "1h"}]}
    stages = [
        {"name": group, "group": group, "gates": soaks} for group in ("staging", "production")
    ]
    lane = {"policy": name, "hotfix": {"whenTrailer": "Rollout-Class: hotfix"}}
    spec: dict[str, Any] = {"stages": stages, "supersede": lane, "overrides": {"roles": ["sre"]}}
    return (PolicyDocument("Rollout", "default", spec, "clusters/rollout.yaml"),)


def released(folder: Path, name: str = "CoalesceLatest") -> Rig:
    rig = Rig(folder)
    rig.push(fleet(1, 2, web="v1"), policies=policy(name))
    rig.look()
    rig.join(*fleet(1, 2))
    rig.release()
    for _ in range(5):
        rig.turn(1900)
    assert not rig.live()
    return rig


def commit(rig: Rig, content: str, *, name: str = "CoalesceLatest", asks: bool = False) -> str:
    """A commit, and the run that is made for it."""
    trailers = TRAILERS if asks else ()
    rig.push(fleet(1, 2, web=content), policies=policy(name), trailers=trailers)
    rig.look()
    rig.release()
    return rig.live()[-1]


def opened(rig: Rig, run: str) -> None:
    rig.hub.desk.decide(run, Verb.HOTFIX, actor=ANA, reason="CVE-2030-1")
    rig.release()


def test_a_hotfix_passes_a_freeze_and_a_live_run_and_soaks_nowhere(tmp_path: Path) -> None:
    rig = released(tmp_path)
    first = commit(rig, "v2")
    rig.turn()
    rig.hub.desk.decide_for_fleet(Verb.FREEZE, actor=ALL, reason="year end")
    waiting = commit(rig, "v3", asks=True)
    rig.turn()
    assert rig.states()[waiting] == "Queued"
    opened(rig, waiting)
    rig.reopen()
    for _ in range(6):
        rig.turn(1)
    assert rig.states()[first] == "Superseded"
    assert rig.runs_what("web") == dict.fromkeys(fleet(1, 2), V3)
    assert not rig.live(), "no soak of an hour was waited for"
    with rig.store.read() as c:
        kinds = {row["kind"] for row in c.execute("SELECT kind FROM event")}
    assert {"hotfix-asked", "decided-hotfix"} <= kinds


@pytest.mark.parametrize(
    ("asks", "actor", "reason", "why"),
    [
        (False, ANA, "CVE", "does not ask for it"),
        (True, Actor("dev", ("dev",)), "CVE", "only sre may open the hotfix lane"),
        (True, ANA, "", "hotfix needs a reason"),
    ],
)
def test_who_may_not_open_the_lane_is_told_why(
    tmp_path: Path, asks: bool, actor: Actor, reason: str, why: str
) -> None:
    rig = released(tmp_path)
    run = commit(rig, "v2", asks=asks)
    with pytest.raises(RequestError, match=why):
        rig.hub.desk.decide(run, Verb.HOTFIX, actor=actor, reason=reason)
