"""A veto by hand, through the real store: what it names, whom it holds, and who lifts it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.errors import RequestError
from fleet.rollout.decisions import Actor, Verb
from tests.fleet.hub.rig import Rig, deployment_of, fleet

ANA = Actor("ana")
V1, V2 = (deployment_of("web", f"v{n}").digest for n in (1, 2))


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    rig = Rig(tmp_path)
    rig.push(fleet(2, 3, web="v1", lib="v1"))
    rig.look()
    rig.join(*fleet(2, 3))
    rig.converge()
    return rig


def begun(rig: Rig, **bundles: str) -> None:
    """A commit of which the first cluster has what it brings."""
    rig.push(fleet(2, 3, **bundles))
    rig.look()
    rig.release()
    rig.turn()


def decide(rig: Rig, verb: Verb, bundle: str = "web", **said: object) -> str:
    more = {"actor": ANA, "reason": "CVE-2030-1", **said}
    done = rig.hub.desk.decide_for_bundle(verb, bundle, **more)
    rig.release()
    return done


def test_a_veto_by_hand_stops_the_live_run_where_it_is_and_nothing_else(rig: Rig) -> None:
    begun(rig, web="v2", lib="v2")
    decide(rig, Verb.VETO)
    assert not any(o.run.startswith("web") for a in rig.agents.values() for o in a.target().offers)
    for _ in range(6):
        rig.turn()
    found = rig.runs_what("web")
    assert (list(found.values()).count(V2), list(found.values()).count(V1)) == (1, 4)
    assert set(rig.runs_what("lib").values()) == {deployment_of("lib", "v2").digest}


def test_a_vetoed_content_is_held_however_many_commits_follow(rig: Rig) -> None:
    begun(rig, web="v2", lib="v1")
    decide(rig, Verb.VETO, run=rig.live()[0])
    for number in (2, 3, 4):
        begun(rig, web="v2", lib=f"v{number}")
        rig.turn()
    assert list(rig.runs_what("web").values()).count(V2) == 1
    assert "vetoed" in rig.problems()
    begun(rig, web="v1", lib="v4")
    rig.converge()
    assert set(rig.runs_what("web").values()) == {V1}, "a revert ships by itself"


def test_only_people_lift_what_a_person_vetoed(rig: Rig) -> None:
    for agent in rig.agents.values():
        agent.refuses = {V2}
    begun(rig, web="v2", lib="v1")
    rig.turn()
    (run,) = rig.live()
    decide(rig, Verb.VETO, digests=[V2[:20]])
    for agent in rig.agents.values():
        agent.refuses = set()
    rig.hub.desk.decide(run, Verb.RETRY, actor=ANA)
    for _ in range(4):
        rig.turn()
    assert V2 not in set(rig.runs_what("web").values()) - {rig.runs_what("web")["staging-1"]}
    decide(rig, Verb.UNVETO)
    rig.converge()
    assert set(rig.runs_what("web").values()) == {V2}


@pytest.mark.parametrize(
    ("bundle", "said", "why"),
    [
        ("web", {"reason": " "}, "veto needs a reason"),
        ("web", {"actor": Actor(" ")}, "a decision needs a name"),
        ("nope", {}, "there is no content of bundle 'nope'"),
        ("web", {"digests": ["sha256:abc"]}, "names no single content"),
        ("web", {"digests": ["0123456789"]}, "names no single content"),
        ("web", {"run": "lib-0000000-3"}, "there is no content of bundle 'web'"),
    ],
)
def test_what_names_nothing_is_refused(
    rig: Rig, bundle: str, said: dict[str, object], why: str
) -> None:
    begun(rig, web="v1", lib="v2")
    with pytest.raises(RequestError, match=why):
        decide(rig, Verb.VETO, bundle, **said)


def test_one_content_of_several_is_released_again(rig: Rig) -> None:
    begun(rig, web="v2", lib="v1")
    decide(rig, Verb.VETO, digests=[V1, V2])
    decide(rig, Verb.UNVETO, digests=[V2])
    rig.converge()
    assert set(rig.runs_what("web").values()) == {V2}
    with rig.store.read() as c:
        rows = c.execute("SELECT digest, actor FROM veto WHERE lifted_at IS NULL").fetchall()
    assert [tuple(row) for row in rows] == [(V1, "ana")]


def test_the_decision_is_kept_with_who_and_why(rig: Rig, tmp_path: Path) -> None:
    decide(rig, Verb.VETO)
    with rig.store.read() as c:
        asked = "SELECT verb, actor, reason, bundle, digests FROM decision"
        (row,) = c.execute(asked).fetchall()
    assert tuple(row) == ("veto", "ana", "CVE-2030-1", "web", f'["{V1}"]')
