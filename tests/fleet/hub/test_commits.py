"""Which commit a run is of, over a real store: two teams that push within a moment."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.model import PolicyDocument
from fleet.rollout.decisions import EVERY_GROUP, Actor, Verb
from fleet.store.runs import read_plan
from tests.fleet.hub.rig import COALESCE_SECONDS, Rig, fleet

NOT_AUTHOR = {"before": [{"approval": {"notAuthor": True}}]}


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """One staging and one production cluster that run v1 of `web` and `api`."""
    rig = Rig(tmp_path)
    rig.push(fleet(1, 1, web="v1", api="v1"), policies=policies())
    rig.look()
    rig.join(*fleet(1, 1))
    rig.release()
    decide_all(rig, "zoe")
    return rig


def policies() -> tuple[PolicyDocument, ...]:
    stages = [
        {"name": "staging", "group": "staging"},
        {"name": "production", "group": "production", "gates": NOT_AUTHOR},
    ]
    return (PolicyDocument("Rollout", "default", {"stages": stages}, "clusters/rollout.yaml"),)


def push(rig: Rig, author: str, *trailers: tuple[str, str], **content: str) -> str:
    """A commit that the hub sees at once; the pushes have not settled."""
    said = {"policies": policies(), "author": author, "trailers": trailers}
    commit = rig.push(fleet(1, 1, **content), **said)
    assert rig.hub.look(rig.clock.now())
    rig.release()
    return commit


def decide_all(rig: Rig, who: str) -> None:
    for _ in range(4):
        rig.turn()
    for run in rig.live():
        rig.hub.desk.decide(run, Verb.APPROVE, actor=Actor(who, (EVERY_GROUP,)), stage="production")
    for _ in range(6):
        rig.turn()


def commits(rig: Rig) -> dict[str, tuple[str, str]]:
    """Bundles of live runs → the commit that the run is of, and its author."""
    with rig.store.read() as c:
        found = c.execute(
            "SELECT bundle, commit_id, author FROM run JOIN run_bundle ON run = uid"
            " WHERE ended_at IS NULL"
        ).fetchall()
    return {row["bundle"]: (row["commit_id"], row["author"]) for row in found}


def test_each_of_two_commits_in_one_burst_finds_its_own_run(rig: Rig) -> None:
    first = push(rig, "ana", web="v2", api="v1")
    second = push(rig, "bob", web="v2", api="v2")
    rig.clock.advance(COALESCE_SECONDS)
    rig.release()
    assert commits(rig) == {"web": (first, "ana"), "api": (second, "bob")}
    actor = Actor("zoe", (EVERY_GROUP,))
    said = rig.hub.desk.decide_commit(first, Verb.APPROVE, actor=actor, stage="production")
    assert len(said) == 1
    assert "web-" in said[0]


def test_what_a_commit_asks_for_is_not_lost_by_the_next_one_nor_given_to_it(rig: Rig) -> None:
    asks = ("Rollout-Class", "hotfix")
    push(rig, "ana", asks, web="v2", api="v1")
    push(rig, "bob", web="v2", api="v2")
    rig.clock.advance(COALESCE_SECONDS)
    rig.release()
    runs = rig.live()
    with rig.store.read() as c:
        plans = [read_plan(c, run) for run in runs]
    assert {plan.bundles: dict(plan.trailers) for plan in plans} == {
        ("web",): dict([asks]),
        ("api",): {},
    }


def test_nobody_approves_their_own_change_because_another_person_pushed_after(rig: Rig) -> None:
    push(rig, "ana", web="v2", api="v1")
    push(rig, "bob", web="v2", api="v1")  # nothing of the web: a README
    rig.clock.advance(COALESCE_SECONDS)
    rig.release()
    decide_all(rig, "ana")
    assert len(rig.live()) == 1, "it still waits for somebody else"
    decide_all(rig, "bob")
    assert rig.live() == []


def test_commits_that_came_between_two_looks_have_all_their_authors(rig: Rig) -> None:
    rig.push(fleet(1, 1, web="v2", api="v1"), policies=policies(), author="ana")
    push(rig, "bob", web="v2", api="v1")
    rig.clock.advance(COALESCE_SECONDS)
    rig.release()
    for who in ("ana", "bob"):
        decide_all(rig, who)
        assert len(rig.live()) == 1, who
    decide_all(rig, "zoe")
    assert rig.live() == []
