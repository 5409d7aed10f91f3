"""The catch-up lane: who is tried again when, and who waits for a person.

Mutations that break these: `_tries` counts nothing, `PAUSES` ignored, `TRIES` one more, a try of
another digest counts, `_owed_since` for new clusters, `asked` ignored.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from fleet.model import Cluster, PolicyDocument
from fleet.rollout import Situation, propose, read_policies
from fleet.rollout.decisions import Verb
from fleet.rollout.lane import PAUSES, TRIES, asked
from fleet.rollout.situation import RunRecord
from fleet.rollout.states import Lane, RunState
from tests.fleet.rollout.builders import NOW, decision

NAMES = ("c0", "c1", "c2")


def situation(**said: Any) -> Situation:
    """Three clusters that want v2; c0 was passed by and still has v1."""
    spec = {"stages": [{"name": "all", "select": {"catchAll": True}}], **said.pop("spec", {})}
    book = read_policies([PolicyDocument("Rollout", "default", spec, "r.yaml")], [])
    assert not book.problems
    base = Situation(
        commit="abcdef0",
        now=NOW,
        wanted={name: {"app": "2"} for name in NAMES},
        assigned={name: {"app": "1"} for name in NAMES},
        policies=book,
        clusters=tuple(Cluster(name) for name in NAMES),
        bundles={"app": {}},
        online=frozenset(NAMES),
    )
    return replace(base, **said)


def late(**said: Any) -> Situation:
    """The staged run succeeded without c0."""
    first = propose(situation(**said)).runs[0]
    record = RunRecord(first, RunState.SUCCEEDED, ended_at=NOW)
    have = {"c0": {"app": "1"}, "c1": {"app": "2"}, "c2": {"app": "2"}}
    return replace(situation(**said), assigned=have, runs=(record,), next_number=2)


def tried(made: Situation, minutes: float) -> Situation:
    """The lane tried, and c0 did not get there by then."""
    at = NOW + timedelta(minutes=minutes)
    (run,) = propose(replace(made, now=at)).runs
    assert run.lane is Lane.CATCH_UP
    record = RunRecord(run, RunState.SUCCEEDED, ended_at=at, failed=frozenset({"c0"}))
    return replace(made, now=at, runs=(*made.runs, record), next_number=made.next_number + 1)


def test_a_cluster_that_never_starts_is_tried_three_times_with_longer_pauses() -> None:
    made = tried(late(), 1)
    held = propose(made)
    assert held.runs == ()
    assert [one.code for one in held.held] == ["CatchUpPauses"]
    assert held.wake_at == made.now + PAUSES[0]
    second = tried(made, 1 + PAUSES[0].total_seconds() / 60)
    assert propose(second).wake_at == second.now + PAUSES[1]
    third = tried(second, 60)
    assert len(third.runs) == 1 + TRIES
    given_up = propose(replace(third, now=NOW + timedelta(days=1)))
    assert given_up.runs == ()
    assert [one.code for one in given_up.held] == ["CatchUpFailed"]


def test_a_person_lets_it_be_tried_again_from_the_start() -> None:
    made = tried(tried(tried(late(), 1), 10), 60)
    said = decision(1, Verb.CATCH_UP, run="", clusters=("c0",), at=NOW + timedelta(hours=2))
    again = replace(made, now=NOW + timedelta(hours=3), catch_up_asked=asked([said]))
    assert [list(run.changes) for run in propose(again).runs] == [["c0"]]


def test_another_digest_is_another_matter() -> None:
    made = tried(tried(tried(late(), 1), 10), 60)
    wanted = {name: {"app": "3"} for name in NAMES}
    (run,) = propose(replace(made, wanted=wanted)).runs
    assert run.lane is Lane.STAGED


def test_what_is_late_for_too_long_waits_for_a_person() -> None:
    spec = {"connectivity": {"catchUp": {"within": "1d"}}}
    soon = propose(replace(late(spec=spec), now=NOW + timedelta(hours=23)))
    assert [run.lane for run in soon.runs] == [Lane.CATCH_UP]
    made = replace(late(spec=spec), now=NOW + timedelta(hours=25))
    assert [one.code for one in propose(made).held] == ["CatchUpOverdue"]
    meant = replace(made, catch_up_asked={"c0": NOW + timedelta(hours=24)})
    assert [run.lane for run in propose(meant).runs] == [Lane.CATCH_UP]


@pytest.mark.parametrize(("rule", "codes"), [("CatchUp", []), ("NextRun", ["WaitsForNextRun"])])
def test_a_joiner_is_caught_up_or_waits_for_the_next_run(rule: str, codes: list[str]) -> None:
    made = late(spec={"membership": {"onJoin": rule}})
    done = {name: {"app": "2"} for name in NAMES}
    joined = replace(
        made,
        now=NOW + timedelta(days=30),
        assigned=done,
        wanted={**made.wanted, "new": {"app": "2"}},
        clusters=(*made.clusters, Cluster("new")),
        online=frozenset({*NAMES, "new"}),
    )
    found = propose(joined)
    assert [one.code for one in found.held] == codes
    assert [list(run.changes) for run in found.runs] == ([] if codes else [["new"]])
    newer = replace(joined, wanted={name: {"app": "3"} for name in (*NAMES, "new")})
    assert "new" in propose(newer).runs[0].changes
