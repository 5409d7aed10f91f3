"""What a breach stops: the scope of a failure, and how far it reaches in a DAG."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.rollout.memory import Memory
from fleet.rollout.rules import FailureAction, FailureRules, FailureScope, Rules
from fleet.rollout.states import RunState
from fleet.rollout.stops import stopped
from tests.fleet.rollout.builders import run, stage
from tests.fleet.rollout.fleet_values import Stored
from tests.fleet.rollout.pull_fleet import PullFleet
from tests.fleet.rollout.stories import only, released

SIDE_BY_SIDE = [
    {"name": "eu", "group": "eu", "dependsOn": [], "parallelism": 3},
    {"name": "us", "group": "us", "dependsOn": []},
    {"name": "rest", "group": "rest", "dependsOn": ["eu"]},
]


def world(**failure: Any) -> PullFleet:
    spec = {"stages": SIDE_BY_SIDE, "onFailure": failure}
    return released(PullFleet(spec, {"eu": 3, "us": 3, "rest": 2}))


def breached_in_eu(found: PullFleet, *clusters: str, rounds: int = 12) -> Stored:
    for name in clusters or ("eu-0",):
        found.bad[f"{name}:v2"] = "failed"
    found.want("app", "v2")
    found.tick()
    one = only(found)
    found.serve_all(rounds, seconds=10)
    return one


def updated(found: PullFleet, group: str) -> int:
    return sum(v == "v2" for c, v in found.running("app").items() if c.startswith(group))


def test_scope_run_stops_the_siblings_too() -> None:
    found = world(action="Pause", scope="Run", veto=False)
    one = breached_in_eu(found)
    assert one.state is RunState.PAUSED
    assert updated(found, "us") < 3


def test_scope_stage_lets_siblings_finish_and_stops_what_depends_on_it() -> None:
    found = world(action="Pause", scope="Stage", veto=False)
    one = breached_in_eu(found)
    assert one.state is RunState.PAUSED
    assert (updated(found, "us"), updated(found, "rest")) == (3, 0)


def test_scope_stage_takes_its_action_when_the_siblings_are_through() -> None:
    found = world(action="Abort", scope="Stage", veto=False)
    one = breached_in_eu(found, rounds=2)
    assert one.state == "Running"
    found.serve_all(10, seconds=10)
    assert one.state is RunState.ABORTED


def test_a_veto_stops_the_siblings_whatever_the_scope() -> None:
    found = world(action="Pause", scope="Stage", veto=True)
    one = breached_in_eu(found)
    assert one.state is RunState.PAUSED
    assert updated(found, "us") < 3


def test_continue_goes_on_past_every_failure() -> None:
    found = world(action="Continue", scope="Cluster")
    one = breached_in_eu(found, "eu-0", "us-1", rounds=20)
    assert one.state is RunState.SUCCEEDED
    assert (updated(found, "us"), updated(found, "rest")) == (3, 2)


def test_continue_does_not_go_past_a_stage_where_nobody_is_healthy() -> None:
    found = world(action="Continue", scope="Cluster", veto=False)
    one = breached_in_eu(found, "eu-0", "eu-1", "eu-2", rounds=20)
    assert one.state is RunState.PAUSED
    assert (updated(found, "us"), updated(found, "rest")) == (3, 0)


def test_scope_cluster_tries_every_cluster_of_the_stage_before_it_acts() -> None:
    stages = [{"name": "eu", "group": "eu"}]
    spec = {"stages": stages, "onFailure": {"action": "Rollback", "scope": "Cluster"}}
    found = released(PullFleet(spec, {"eu": 3}))
    one = breached_in_eu(found, rounds=30)
    assert one.state is RunState.ROLLED_BACK
    assert list(found.running("app").values()) == ["v1", "v2", "v2"], "only the failed one is back"


@pytest.mark.parametrize(
    ("scope", "action", "names"),
    [
        (FailureScope.RUN, FailureAction.PAUSE, {"a", "b", "c", "d"}),
        (FailureScope.STAGE, FailureAction.PAUSE, {"a", "c", "d"}),
        (FailureScope.STAGE, FailureAction.ROLLBACK, {"a", "b", "c", "d"}),
        (FailureScope.CLUSTER, FailureAction.CONTINUE, {"a", "c", "d"}),
    ],
)
def test_a_breach_reaches_as_far_as_its_scope_says(
    scope: FailureScope, action: FailureAction, names: set[str]
) -> None:
    rules = Rules(on_failure=FailureRules(action=action, scope=scope, veto=False))
    deps = [("c", ("a",)), ("d", ("c", "b"))]
    stages = [stage("a", "x1"), stage("b", "x2")]
    stages += [stage(name, f"{name}1", depends_on=on) for name, on in deps]
    assert stopped(run(*stages, rules=rules), Memory(breached={"a": "why"})) == names
