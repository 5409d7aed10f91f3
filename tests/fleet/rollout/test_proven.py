"""The gates `proven` and `dependency`: nothing new runs that was not Healthy elsewhere. I27.

Mutations that must fail here: `is_proven` asks for any material instead of all (`not missing` →
`len(missing) < len(proofs)`); `proofs is None` passes; `>=` of `min` turned round; `_newly_run`
leaves out what is unknown (tests/fleet/hub/test_proofs.py).
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.model import PolicyDocument
from fleet.rollout import read_policies
from fleet.rollout.evidence import Evidence, Proof
from fleet.rollout.gate_kinds import Dependency, Proven
from fleet.rollout.gates import Verdict, proven
from fleet.rollout.gates.verdict import Judgement, Question
from fleet.rollout.memory import Memory
from tests.fleet.rollout.builders import after, run, stage, stage_states, tick

GATE = Proven("canary", min_seconds=60)
STAGE = stage("eu", "a", "b", before=(GATE,), parallelism=2)
PLAN = run(STAGE)
NAME = "eu/before/0"


def judged(*proofs: Proof, at: float = 100, gate: Proven = GATE) -> Judgement:
    evidence = Evidence({}, proofs={NAME: proofs})
    return proven.judge(Question(PLAN, STAGE, NAME, evidence, Memory(), after(at)), gate)


@pytest.mark.parametrize(
    ("proof", "verdict"),
    [
        (Proof("image:a", after(40)), "pass"),
        (Proof("image:a", after(41)), "none"),
        (Proof("image:a"), "none"),
        (Proof("image:a", None, 60), "pass"),
        (Proof("image:a", None, 59.9), "none"),
        (Proof("image:a", after(99), 60), "pass"),
    ],
)
def test_how_long_it_was_healthy_there(proof: Proof, verdict: str) -> None:
    assert judged(proof).verdict.value == verdict
    assert judged(Proof("image:good", after(0)), proof).verdict.value == verdict


def test_it_says_what_is_missing_and_when_time_alone_opens_it() -> None:
    late = judged(Proof("image:b", after(90)), Proof("image:a", after(80)))
    assert late.reason == "not yet Healthy for 60 s in canary: image:a, image:b"
    assert (late.code, late.until) == ("NotProven", after(150))
    never = judged(Proof("image:b", after(90)), *(Proof(f"image:{n}") for n in "cdef"))
    assert never.reason.endswith("image:b, image:c, image:d and 2 more")
    assert never.until is None
    assert never.again is not None


def test_what_nobody_looked_at_is_not_proven_and_nothing_new_needs_no_proof() -> None:
    step = tick(PLAN, {})
    assert (step.offer, stage_states(step)) == ((), {"eu": "GatedBefore"})
    assert step.wake_at == after(30)
    assert tick(PLAN, {}, proofs={NAME: ()}).offer == ("a", "b")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.builds(
            Proof,
            st.sampled_from(("image:a", "image:b", "chart:c")),
            st.none() | st.integers(0, 100).map(after),
            st.none() | st.integers(0, 100).map(float),
        ),
        max_size=5,
    )
)
def test_i27_nothing_is_offered_that_was_not_healthy_there_for_long_enough(
    proofs: list[Proof],
) -> None:
    step = tick(PLAN, {}, at=100, proofs={NAME: tuple(proofs)})
    good = all(
        (p.healthy_seconds or 0) >= 60
        or (p.healthy_since is not None and after(100) - p.healthy_since >= timedelta(seconds=60))
        for p in proofs
    )
    assert bool(step.offer) == good
    assert (judged(*proofs).verdict is Verdict.PASS) == good


def test_a_dependency_lets_through_the_clusters_in_which_the_other_rollout_is_baked() -> None:
    plan = run(stage("eu", "a", "b", before=(Dependency("crds"),), parallelism=2))
    step = tick(plan, {}, dependencies={NAME: frozenset({"b"})})
    assert step.offer == ("b",)
    assert (step.clusters[0].code, step.wake_at) == ("DependencyNotBaked", after(30))
    assert tick(plan, {}).offer == ()


@pytest.mark.parametrize(
    ("gate", "words"),
    [
        ({"proven": "nowhere"}, "proven.in: no stage 'nowhere'"),
        ({"proven": "one"}, "cannot be proven in itself"),
        ({"dependency": "nobody"}, "no other rollout 'nobody'"),
        ({"dependency": "mine"}, "no other rollout 'mine'"),
    ],
)
def test_gates_that_cannot_be_meant_so_hold_their_bundles(gate: dict[str, str], words: str) -> None:
    stages = [{"name": "one", "select": {"catchAll": True}, "gates": {"before": [gate]}}]
    book = read_policies([PolicyDocument("Rollout", "mine", {"stages": stages}, "x.yaml")], ())
    (problem,) = book.problems
    assert words in problem.what
    assert book.policies == ()
