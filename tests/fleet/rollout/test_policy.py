"""Rollout documents: what is read, what is refused, and what is held because of it."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.model import Bundle, PolicyDocument, Severity, Source
from fleet.model import Form as SourceForm
from fleet.rollout import overlaps, read_policies
from fleet.rollout.gate_kinds import Approval, Proven, Soak
from fleet.rollout.policy import Unprotected
from fleet.rollout.rules import FailureAction
from fleet.rollout.stages import Policy, in_order

GROUPS = ("staging", "production")


def document(spec: Any, name: str = "default", kind: str = "Rollout") -> PolicyDocument:
    return PolicyDocument(kind, name, spec, f"clusters/{name}.yaml")


def with_stage(**said: Any) -> dict[str, Any]:
    return {"stages": [{"name": "all", "select": {"catchAll": True}, **said}]}


def read(spec: Any) -> Policy:
    book = read_policies([document(spec)], GROUPS)
    assert not book.problems, book.problems
    return book.policies[0]


def test_the_short_form_of_the_documentation_is_read() -> None:
    policy = read(
        {
            "stages": [
                {"name": "staging", "group": "staging", "gates": {"after": [{"soak": "30m"}]}},
                {
                    "name": "production",
                    "group": "production",
                    "parallelism": "25%",
                    "gates": {"before": [{"approval": {"groups": ["sre"]}}]},
                },
            ]
        }
    )
    staging, production = policy.stages
    assert (staging.after, staging.depends_on, staging.before) == ((Soak(1800),), (), ())
    assert production.depends_on == ("staging",)
    assert production.before == (Approval(groups=("sre",)),)
    assert str(production.parallelism[0]) == "25%"
    assert str(staging.parallelism[0]) == "1"
    assert (str(staging.failure_budget), str(staging.min_healthy)) == ("0", "1")
    assert staging.cluster_deadline_seconds == 1800
    assert policy.rules.connectivity.lease_seconds == 900


def test_ramps_budgets_and_deadlines_are_read_in_all_their_forms() -> None:
    stage = read(
        with_stage(
            parallelism={"ramp": [1, "5%", "25%"]},
            failureBudget={"count": "3%"},
            clusterDeadline="20m",
            minHealthy="90%",
            gates={"before": [{"approval": {}}], "after": [{"soak": {"min": "1h"}}]},
        )
    ).stages[0]
    assert [str(step) for step in stage.parallelism] == ["1", "5%", "25%"]
    assert (str(stage.failure_budget), str(stage.min_healthy)) == ("3%", "90%")
    assert (stage.cluster_deadline_seconds, stage.after) == (1200, (Soak(3600),))
    assert stage.before == (Approval(),)


def test_an_empty_list_of_dependencies_starts_at_once() -> None:
    stages = [
        {"name": "a", "group": "staging"},
        {"name": "b", "group": "production", "dependsOn": []},
        {"name": "c", "select": {"catchAll": True}, "dependsOn": ["b", "a"]},
    ]
    policy = read({"stages": stages})
    assert [stage.depends_on for stage in policy.stages] == [(), (), ("a", "b")]


def test_stages_may_depend_on_later_ones_and_are_put_in_order() -> None:
    stages = [
        {"name": "a", "group": "staging", "dependsOn": ["b"]},
        {"name": "b", "group": "production", "dependsOn": []},
    ]
    ordered = in_order(read({"stages": stages}).stages)
    assert ordered is not None
    assert [stage.name for stage in ordered] == ["b", "a"]


MISTAKES = {
    "unknown field": with_stage(paralelism=1),
    "a circle": {
        "stages": [
            {"name": "a", "group": "staging", "dependsOn": ["b"]},
            {"name": "b", "group": "production", "dependsOn": ["a"]},
        ]
    },
    "itself": with_stage(dependsOn=["all"]),
    "unknown stage": with_stage(dependsOn=["nowhere"]),
    "unknown group": {"stages": [{"name": "a", "group": "canary"}]},
    "no selection": {"stages": [{"name": "a"}]},
    "two selections": with_stage(group="staging"),
    "empty select": {"stages": [{"name": "a", "select": {}}]},
    "two catch-alls": {
        "stages": [
            {"name": "a", "select": {"catchAll": True}},
            {"name": "b", "select": {"catchAll": True}},
        ]
    },
    "same name": {
        "stages": [{"name": "a", "group": "staging"}, {"name": "a", "group": "production"}]
    },
    "bad name": {"stages": [{"name": "A b", "group": "staging"}]},
    "number as label": {"stages": [{"name": "a", "select": {"matchLabels": {"n": 1}}}]},
    "operator": {
        "stages": [{"name": "a", "select": {"matchExpressions": [{"key": "k", "operator": "Gt"}]}}]
    },
    "in nothing": {
        "stages": [{"name": "a", "select": {"matchExpressions": [{"key": "k", "operator": "In"}]}}]
    },
    "parallelism 0": with_stage(parallelism=0),
    "parallelism 0%": with_stage(parallelism="0%"),
    "parallelism 101%": with_stage(parallelism="101%"),
    "parallelism as text": with_stage(parallelism="15"),
    "parallelism true": with_stage(parallelism=True),
    "empty ramp": with_stage(parallelism={"ramp": []}),
    "budget -1": with_stage(failureBudget=-1),
    "minHealthy 0": with_stage(minHealthy=0),
    "deadline 1.s": with_stage(clusterDeadline="1.s"),
    "deadline -5m": with_stage(clusterDeadline="-5m"),
    "deadline 0s": with_stage(clusterDeadline="0s"),
    "deadline 1e9h": with_stage(clusterDeadline="1e9h"),
    "deadline 30": with_stage(clusterDeadline=30),
    "soak 0s": with_stage(gates={"after": [{"soak": "0s"}]}),
    "approval false": with_stage(gates={"before": [{"approval": False}]}),
    "approval null": with_stage(gates={"before": [{"approval": None}]}),
    "groups as text": with_stage(gates={"before": [{"approval": {"groups": "sre"}}]}),
    "gates as list": with_stage(gates=[]),
    "stages as mapping": {"stages": {"a": {}}},
    "stages and preset": {**with_stage(), "strategy": {"preset": "fast"}},
    "unknown preset": {"strategy": {"preset": "yolo"}},
    "unknown action": {**with_stage(), "onFailure": {"action": "Shrug"}},
}


@pytest.mark.parametrize("spec", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_a_problem_with_a_place_and_its_bundles_are_held(spec: Any) -> None:
    book = read_policies([document(spec)], GROUPS)
    assert book.problems
    for problem in book.problems:
        assert problem.code == "rollout-invalid"
        assert problem.severity is Severity.ERROR
        assert "spec" in problem.what
        assert problem.at == "clusters/default.yaml"
        assert problem.fix
    answer = book.policy_for({"team": "any"})
    assert isinstance(answer, Unprotected)
    assert "clusters/default.yaml" in answer.reason


def test_what_the_engine_does_anyway_may_be_written_down() -> None:
    read(
        {
            **with_stage(),
            "onFailure": {"action": "Pause", "scope": "Run"},
            "supersede": {"policy": "CoalesceLatest"},
            "connectivity": {"offline": "Skip", "lease": "5m", "catchUp": {"parallelism": 4}},
        }
    )


def test_a_budget_for_all_runs_with_an_error_releases_nothing() -> None:
    book = read_policies([document({"fleet": {"most": 3}}, "fleet", "RolloutBudget")], GROUPS)
    assert book.problems
    assert isinstance(book.policy_for({}), Unprotected)
    freeze = {"freeze": {"active": True, "reason": "year end"}}
    book = read_policies([document(freeze, "fleet", "RolloutBudget")], GROUPS)
    assert not book.problems
    assert [budget.freeze.reason for budget in book.budgets] == ["year end"]


def test_a_rollout_that_could_not_be_read_at_all_releases_nothing() -> None:
    book = read_policies([], GROUPS, unread={"Rollout"})
    assert isinstance(book.policy_for({}), Unprotected)
    assert not isinstance(read_policies([], GROUPS, unread={"Bundle"}).policy_for({}), Unprotected)


def test_only_the_bundles_of_a_broken_rollout_are_held() -> None:
    broken = {"source": {"bundles": {"matchLabels": {"team": "a"}}}, "stages": [{"name": "x"}]}
    book = read_policies([document(broken, "a"), document(with_stage(), "rest")], GROUPS)
    assert isinstance(book.policy_for({"team": "a"}), Unprotected)
    kept = book.policy_for({"team": "b"})
    assert isinstance(kept, Policy)
    assert kept.name == "rest"


def test_a_broken_selection_holds_all_that_no_other_rollout_names() -> None:
    broken = {"source": {"bundles": {"matchLabels": 7}}, **with_stage()}
    named = {"source": {"bundles": {"matchLabels": {"team": "b"}}}, **with_stage()}
    book = read_policies([document(broken, "a"), document(named, "b")], GROUPS)
    assert isinstance(book.policy_for({}), Unprotected)
    assert isinstance(book.policy_for({"team": "b"}), Policy)


def test_a_bundle_that_two_rollouts_name_is_held_and_told_of() -> None:
    named = {"source": {"bundles": {"matchLabels": {"team": "b"}}}, **with_stage()}
    book = read_policies([document(named, "a"), document(named, "b")], GROUPS)
    bundle = Bundle("web", (Source("apps/web", SourceForm.RAW),), {"team": "b"})
    (problem,) = overlaps(book, [bundle, Bundle("db", ())])
    assert (problem.code, problem.bundle) == ("rollout-overlap", "web")
    assert "a, b" in problem.what


def test_a_repository_without_a_rollout_gets_the_preset_default() -> None:
    policy = read_policies([], GROUPS).policy_for({})
    assert isinstance(policy, Policy)
    assert [stage.name for stage in policy.stages] == ["staging", "production", "rest"]
    assert [str(stage.failure_budget) for stage in policy.stages] == ["0", "2%", "2%"]
    ramps = [[str(step) for step in stage.parallelism] for stage in policy.stages]
    assert ramps == [["1"], ["1", "5%", "25%"], ["1", "5%", "25%"]]
    assert policy.stages[2].depends_on == ("production",)


def test_without_both_groups_the_preset_is_one_stage_that_ramps() -> None:
    policy = read_policies([], ("production-eu",)).policy_for({})
    assert isinstance(policy, Policy)
    (stage,) = policy.stages
    assert stage.catch_all
    assert [str(step) for step in stage.parallelism] == ["1", "5%", "25%"]
    assert stage.failure_budget.is_zero


def test_the_other_presets_differ_as_they_are_documented() -> None:
    fast = read({"strategy": {"preset": "fast"}})
    assert {str(stage.parallelism[0]) for stage in fast.stages} == {"50%"}
    book = read_policies([document({"strategy": {"preset": "safe"}})], GROUPS)
    assert not book.problems
    safe = book.policies[0]
    assert [stage.before for stage in safe.stages] == [(), (Approval(), Proven("staging")), ()]
    assert {stage.after for stage in safe.stages} == {(Soak(1800),)}
    ramps = [[str(step) for step in stage.parallelism] for stage in safe.stages]
    assert ramps == [["1"], ["1", "1", "5%", "10%"], ["1", "1", "5%", "10%"]]
    assert safe.rules.on_failure.action is FailureAction.ROLLBACK
