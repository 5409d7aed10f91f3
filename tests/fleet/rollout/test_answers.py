"""Answers to a failure: retry, skip, forgive, override; who may give them, and what they change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fleet import rollout
from fleet.rollout import overrides
from fleet.rollout.decisions import EVERY_GROUP, Verb
from fleet.rollout.marks import Marks
from fleet.rollout.rules import Override, OverrideRules, Rules
from fleet.rollout.states import ClusterState, Intent, RunState
from tests.fleet.rollout import builders
from tests.fleet.rollout.fleet_values import Stored
from tests.fleet.rollout.pull_fleet import PullFleet
from tests.fleet.rollout.stories import fleet, only, released


def failed_in_staging(found: PullFleet) -> Stored:
    found.bad["staging-0:v2"] = "failed"
    found.want("app", "v2")
    found.tick()
    found.serve_all(4)
    run = only(found)
    assert run.state is RunState.PAUSED
    return run


def answered(found: PullFleet, run: Stored, verb: Verb, **said: Any) -> None:
    """The decision, and what the hub does with it besides."""
    found.decide(run, verb, **said)
    if verb in rollout.ANSWERS:
        found.lift(run)
    found.tick(1)


def states(run: Stored) -> dict[str, ClusterState]:
    return {one.cluster: one.state for one in run.step.clusters} if run.step else {}


def test_resuming_after_a_breach_is_refused_until_what_failed_is_answered() -> None:
    found = released(fleet())
    run = failed_in_staging(found)
    assert rollout.refusal(Verb.RESUME, run.plan, run.state, run.marks)
    answered(found, run, Verb.FORGIVE, reason="known")
    assert not rollout.refusal(Verb.RESUME, run.plan, run.state, run.marks)


def test_what_is_forgiven_stays_as_it_is_and_counted_and_the_run_goes_on() -> None:
    found = released(fleet())
    run = failed_in_staging(found)
    counted = run.marks.ever_failed
    answered(found, run, Verb.FORGIVE, reason="known")
    found.serve_all(10)
    assert run.state is RunState.SUCCEEDED
    assert states(run)["staging-0"] is ClusterState.FAILED
    assert run.marks.ever_failed == counted
    assert set(found.running("app").values()) == {"v2"}


def test_the_next_failure_after_a_forgiveness_breaches_again() -> None:
    """What is forgiven is charged to no budget; it does not make the budget larger."""
    found = released(fleet(staging=4))
    run = failed_in_staging(found)
    found.bad["staging-3:v2"] = "failed"
    answered(found, run, Verb.FORGIVE, reason="known")
    found.serve_all(6)
    assert run.state is RunState.PAUSED
    assert "staging-3" in dict(run.marks.breached)["staging"]


def test_a_cluster_that_failed_and_is_skipped_is_in_no_denominator() -> None:
    found = released(fleet())
    run = failed_in_staging(found)
    answered(found, run, Verb.SKIP, clusters=("staging-0",), reason="broken disk")
    found.serve_all(10)
    assert run.state is RunState.SUCCEEDED
    assert states(run)["staging-0"] is ClusterState.SKIPPED


def test_a_cluster_that_is_skipped_before_its_turn_gets_nothing_of_the_run() -> None:
    found = released(fleet())
    found.want("app", "v2")
    found.tick()
    run = only(found)
    answered(found, run, Verb.SKIP, clusters=("production-2",))
    found.serve_all(10)
    assert run.state is RunState.SUCCEEDED
    assert found.newest(run.plan.uid, "production-2") is None
    assert found.running("app")["production-2"] != "v2" or found.live("CatchUp") == []


def test_an_offer_that_lies_unstarted_is_withdrawn_by_a_skip() -> None:
    found = released(fleet())
    found.want("app", "v2")
    found.tick()
    run = only(found)
    found.fetch("staging-0")
    answered(found, run, Verb.SKIP, clusters=("staging-0",))
    found.start("staging-0")
    assert found.running("app")["staging-0"] == "v1"


def test_what_has_started_is_never_skipped() -> None:
    found = released(fleet())
    found.want("app", "v2")
    found.tick()
    run = only(found)
    found.fetch("staging-0")
    found.start("staging-0")
    answered(found, run, Verb.SKIP, clusters=("staging-0",))
    assert states(run)["staging-0"] is ClusterState.APPLYING
    said = builders.decision(1, Verb.SKIP, clusters=("staging-0",))
    assert "never skipped" in overrides.refusal(said, run.plan, run.marks)


def test_a_forced_gate_passes_and_says_who_forced_it() -> None:
    stages = [{"name": "all", "group": "staging", "gates": {"before": [{"approval": True}]}}]
    found = released(fleet(production=0, stages=stages))
    found.want("app", "v2")
    found.tick()
    run = only(found)
    found.oracle.approved.add((run.plan.uid, "all", run.plan.plan_hash))
    answered(found, run, Verb.OVERRIDE, gate="all/before/0", reason="the approver is ill")
    found.serve_all(3)
    assert run.state is RunState.SUCCEEDED


def test_a_rejection_is_answered_by_a_forgiveness_and_asked_anew() -> None:
    stages = [{"name": "all", "group": "staging", "gates": {"before": [{"approval": True}]}}]
    found = released(fleet(production=0, stages=stages))
    found.want("app", "v2")
    found.tick()
    run = only(found)
    found.decide(run, Verb.REJECT, stage="all", plan_hash=run.plan.plan_hash)
    found.tick(1)
    assert run.state == "Paused"
    assert not found.vetoed, "a rejected approval vetoes nothing"
    answered(found, run, Verb.FORGIVE, reason="a misunderstanding")
    assert run.state == "Running"
    found.approve(run, "all")
    found.tick(1)
    found.serve_all(3)
    assert run.intent is Intent.RUN
    assert not found.live()


PLAN = builders.run(builders.stage("one", "a", "b", approval=True))
FAILED = Marks(failed=(("one", "a", "Failed: x"),))


@pytest.mark.parametrize(
    ("rules", "verb", "said", "why"),
    [
        ({}, Verb.RETRY, {}, ""),
        ({"allow": ()}, Verb.RETRY, {}, "does not allow RetryCluster"),
        ({"require_reason": True}, Verb.RETRY, {}, "needs a reason"),
        ({"roles": ("sre",)}, Verb.RETRY, {"groups": ("dev",)}, "only sre may"),
        ({"roles": ("sre",)}, Verb.RETRY, {"groups": ("sre",)}, ""),
        ({"roles": ("sre",)}, Verb.RETRY, {"groups": (EVERY_GROUP,)}, ""),
        ({"roles": ("sre",)}, Verb.PAUSE, {}, ""),
        ({}, Verb.SKIP, {}, "which clusters"),
        ({}, Verb.SKIP, {"clusters": ("z",)}, "changes nothing in z"),
        ({}, Verb.SKIP, {"clusters": ("a",)}, ""),
        ({"allow": (Override.FORCE_GATE,)}, Verb.SKIP, {"clusters": ("a",)}, "not allow Skip"),
        ({}, Verb.OVERRIDE, {"gate": "one/before/0"}, "needs a reason"),
        ({}, Verb.OVERRIDE, {"gate": "one/before/0", "reason": "r"}, ""),
        ({}, Verb.OVERRIDE, {"gate": "two/before/0", "reason": "r"}, "has no gate"),
        ({}, Verb.FORGIVE, {}, "needs a reason"),
        ({}, Verb.FORGIVE, {"reason": "r"}, ""),
    ],
)
def test_the_policy_says_who_may_pass_it_and_how(
    rules: dict[str, Any], verb: Verb, said: dict[str, Any], why: str
) -> None:
    plan = replace(PLAN, rules=Rules(overrides=OverrideRules(**rules)))
    found = overrides.refusal(builders.decision(1, verb, **said), plan, FAILED)
    assert (why in found) if why else not found
