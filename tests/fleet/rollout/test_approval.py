"""Who may approve, how many it takes, and for how long it holds. Promise I4.

Mutations that must fail here: `_may` answers True; `why_not` forgets `expiry`, or the authors;
`len(good) >= gate.min_approvers` becomes `len(yes)`; `answers_gate` forgets the plan hash or run.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.rollout.decisions import Decision, Verb
from fleet.rollout.evidence import Evidence
from fleet.rollout.gate_kinds import Approval
from fleet.rollout.gates import Verdict, approval
from fleet.rollout.gates.verdict import Judgement, Question
from fleet.rollout.memory import Memory
from tests.fleet.rollout.builders import NOW, after, run, stage

STAGE = stage("two", "b")
PLAN = replace(run(STAGE), authors=("Ana Lee", "ana@example.com", "GitHub"))
HOUR = 3600.0


def yes(actor: str, number: int = 1, at: float = 0, **said: object) -> Decision:
    given = Decision(number, "r1", Verb.APPROVE, actor, after(at), stage="two", plan_hash="h1")
    return replace(given, **said)  # type: ignore[arg-type]


def judged(gate: Approval, decisions: Iterable[Decision], at: float = 1) -> Judgement:
    evidence = Evidence({}, decisions=tuple(decisions))
    return approval.judge(
        Question(PLAN, STAGE, "two/before/0", evidence, Memory(), after(at)), gate
    )


@pytest.mark.parametrize(
    ("gate", "given", "verdict", "words"),
    [
        (Approval(groups=("sre",)), yes("bob", groups=("dev", "sre")), "pass", "approved by bob"),
        (Approval(groups=("sre",)), yes("bob", groups=("dev",)), "none", "bob: may not approve"),
        (Approval(groups=("sre",)), yes("bob", groups=("*",)), "pass", ""),
        (Approval(users=("bob",)), yes("bob"), "pass", ""),
        (Approval(users=("bob",)), yes("Bob"), "none", "by bob"),
        (Approval(groups=("sre",), users=("eve",)), yes("eve"), "pass", ""),
        (Approval(), yes("anybody"), "pass", ""),
        (Approval(not_author=True), yes("Ana lee"), "none", "is an author"),
        (Approval(not_author=True), yes("a", aliases=("ANA@example.com",)), "none", "is an author"),
        (Approval(not_author=True), yes("github"), "none", "is an author"),
        (Approval(not_author=True), yes("bob"), "pass", ""),
        (Approval(expires_seconds=HOUR), yes("bob", at=1 - HOUR), "none", "expired"),
        (Approval(expires_seconds=HOUR), yes("bob", at=2 - HOUR), "pass", ""),
        (Approval(), yes("bob", expires_at=after(1)), "none", "expired"),
        (Approval(), yes("bob", expires_at=after(2)), "pass", ""),
        (Approval(min_approvers=2), yes("bob"), "none", "by 2 people (1 of 2 so far)"),
        (Approval(), yes("bob", run="r0"), "none", "waits for approval"),
        (Approval(), yes("bob", stage="one"), "none", "waits for approval"),
        (Approval(), yes("bob", plan_hash="h0"), "none", "waits for approval"),
    ],
)
def test_who_may_approve(gate: Approval, given: Decision, verdict: str, words: str) -> None:
    found = judged(gate, [given])
    assert found.verdict.value == verdict
    assert words in found.reason


def test_two_approvers_are_two_people_however_often_one_approves() -> None:
    gate = Approval(min_approvers=2, expires_seconds=HOUR)
    twice = [yes("bob", 1), yes("bob", 2, at=5)]
    assert judged(gate, twice, 9).verdict is Verdict.NONE
    both = [*twice, yes("eve", 3, at=6)]
    assert judged(gate, both, 9).reason == "approved by bob and eve"
    waiting = judged(gate, [yes("bob")], 9)
    assert waiting.until == after(HOUR), "when the first one expires it asks again"


def test_where_people_are_known_the_operator_token_is_one_person_of_no_group() -> None:
    names = [yes(n, i, method="operator") for i, n in enumerate(("a", "b", "c"))]
    assert judged(Approval(min_approvers=2), names).verdict is Verdict.NONE
    assert judged(Approval(), names).verdict is Verdict.PASS
    assert judged(Approval(groups=("sre",)), names).verdict is Verdict.NONE


def test_one_person_who_rejects_outweighs_all_who_approve_until_they_change_their_mind() -> None:
    no = replace(yes("eve", 2), verb=Verb.REJECT, reason="not on a Friday")
    found = judged(Approval(), [yes("bob"), no, yes("joe", 3)])
    assert (found.verdict, found.code) == (Verdict.FAIL, "Rejected")
    assert found.reason == "rejected by eve: not on a Friday"
    assert judged(Approval(), [no, yes("eve", 4)]).verdict is Verdict.PASS


def test_a_commit_of_which_nobody_knows_the_author_passes_no_such_gate() -> None:
    unknown = replace(PLAN, authors=())
    question = Question(unknown, STAGE, "g", Evidence({}, decisions=(yes("bob"),)), Memory(), NOW)
    found = approval.judge(question, Approval(not_author=True))
    assert (found.verdict, "not known" in found.reason) == (Verdict.NONE, True)


PEOPLE = st.sampled_from(("ana", "bob", "eve", "Ana Lee"))
DECISIONS = st.lists(
    st.builds(
        yes,
        PEOPLE,
        number=st.integers(1, 9),
        at=st.integers(-200, 0).map(float),
        verb=st.sampled_from((Verb.APPROVE, Verb.APPROVE, Verb.REJECT, Verb.RETRY)),
        run=st.sampled_from(("r1", "r1", "r0")),
        stage=st.sampled_from(("two", "two", "one", "")),
        plan_hash=st.sampled_from(("h1", "h1", "h0", "")),
        groups=st.sampled_from(((), ("sre",), ("dev",))),
    ),
    max_size=6,
)
GATES = st.builds(
    Approval,
    groups=st.sampled_from(((), ("sre",))),
    users=st.sampled_from(((), ("eve",))),
    min_approvers=st.integers(1, 3),
    not_author=st.booleans(),
    expires_seconds=st.sampled_from((None, 100.0)),
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(GATES, DECISIONS)
def test_i4_the_gate_opens_only_with_enough_good_approvals(
    gate: Approval, decisions: list[Decision]
) -> None:
    """I4, worked out here once more: whoever counts approved exactly this, and it holds now."""
    if judged(gate, decisions).verdict is not Verdict.PASS:
        return
    exact = [d for d in decisions if (d.run, d.stage, d.plan_hash) == ("r1", "two", "h1")]
    good = {
        d.actor
        for d in exact
        if d.verb is Verb.APPROVE
        and (not (gate.groups or gate.users) or "sre" in d.groups or d.actor in gate.users)
        and not (gate.not_author and d.actor == "Ana Lee")
        and not (gate.expires_seconds and d.at <= after(1 - 100))
    }
    assert len(good) >= gate.min_approvers
