"""Plans that an older Fleet stored are read as today's, with the same meaning."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from fleet.rollout.gate_kinds import Approval, Soak
from fleet.rollout.rules import ConnectivityRules, Rules
from fleet.store import open_store
from fleet.store.codec import RUN_PLAN, dump
from fleet.store.old_plans import as_of_today
from fleet.store.runs import add_run, read_plan
from tests.fleet.rollout.builders import NOW, run, stage

OLD_STAGE = {
    "name": "one",
    "clusters": ["a"],
    "depends_on": [],
    "members": 1,
    "parallelism": {"steps": [1]},
    "failure_budget": 0,
    "min_healthy": 1,
    "cluster_deadline_seconds": 1800.0,
    "soak_seconds": 600.0,
    "approval": True,
    "approvers": ["sre"],
    "failure_budget_said": "0",
    "min_healthy_said": "1",
}
OLD_PLAN = {
    "uid": "r1",
    "rollout": "default",
    "commit": "abc",
    "bundles": ["app"],
    "created": "2030-01-01T00:00:00Z",
    "stages": [OLD_STAGE],
    "changes": {"a": [{"bundle": "app", "wanted": "v2", "previous": "v1", "was_unhealthy": False}]},
    "plan_hash": "h1",
    "lane": "Staged",
    "degraded_seconds": 60.0,
    "lease_seconds": 300.0,
    "restores": False,
    "title": "",
    "author": "",
    "number": 0,
}


def test_gates_and_lease_of_an_old_plan_mean_what_they_meant() -> None:
    plan = RUN_PLAN.validate_python(as_of_today(OLD_PLAN))
    (one,) = plan.stages
    assert one.before == (Approval(groups=("sre",)),)
    assert one.after == (Soak(600),)
    assert plan.lease_seconds == 300
    wanted = run(stage("one", "a", approval=True, approvers=("sre",), soak_seconds=600))
    said = replace(wanted.stages[0], failure_budget_said="0", min_healthy_said="1")
    rules = Rules(connectivity=ConnectivityRules(lease_seconds=300))
    assert plan == replace(wanted, stages=(said,), rules=rules)


def test_an_old_stage_without_gates_has_none() -> None:
    bare = {**OLD_STAGE, "approval": False, "approvers": [], "soak_seconds": 0.0}
    (one,) = RUN_PLAN.validate_python(as_of_today({**OLD_PLAN, "stages": [bare]})).stages
    assert (one.before, one.after) == ((), ())


def test_a_plan_of_today_is_stored_and_read_back_as_it_is(tmp_path: Path) -> None:
    plan = run(stage("one", "a", approval=True, soak_seconds=600))
    assert as_of_today(json.loads(dump(RUN_PLAN, plan))) == json.loads(dump(RUN_PLAN, plan))
    store = open_store(tmp_path)
    with store.write() as c:
        assert add_run(c, plan, NOW)
    with store.read() as c:
        assert read_plan(c, plan.uid) == plan
