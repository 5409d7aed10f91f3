"""What `fleet rollout plan` says of a commit before anything moves."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agents.protocol import ABSENT
from fleet.model import Cluster, ClusterGroup, PolicyDocument
from fleet.rollout import propose, read_policies
from fleet.rollout.policy import full_spec, read_policy
from fleet.rollout.presets import spec
from fleet.rollout.preview import Declared, gate_words, preview, price
from fleet.rollout.stages import in_order
from tests.fleet.rollout.builders import stage
from tests.fleet.rollout.test_runs import GROUPS, NAMES, situation

NAMED = ("staging", "production")


def previewed(said: dict[str, Any], wanted: str = "2", **more: Any) -> dict[str, Any]:
    documents = (PolicyDocument("Rollout", "default", said, "rollout.yaml"),)
    clusters = tuple(Cluster(n, {"zone": n[-1]}) for n in NAMES)
    book = read_policies(documents, NAMED)
    assert all(p.severity != "error" for p in book.problems), book.problems
    base = situation({"app": wanted}, {"app": "1"}, policies=book, clusters=clusters, **more)
    return preview(Declared(book, documents, clusters, GROUPS), propose(base).runs)


def test_every_number_of_a_stage_is_shown_resolved_with_its_price() -> None:
    found = previewed(
        {
            "stages": [
                {
                    "name": "all",
                    "select": {"catchAll": True},
                    "parallelism": {"ramp": [1, "75%"], "max": 2},
                    "failureBudget": {"count": "25%", "consecutive": 2},
                    "minHealthy": "60%",
                    "clusterDeadline": "90s",
                    "stageDeadline": "2h",
                    "spread": {"key": "zone", "maxInFlight": "50%"},
                    "gates": {"before": [{"approval": True}], "after": [{"soak": "30m"}]},
                }
            ]
        }
    )
    (run,) = found["runs"]
    (shown,) = run["stages"]
    assert (run["bundles"], run["clusters"], run["rollout"]) == (["app"], 4, "default")
    assert shown["clusters"] == ["p1", "p2", "s1", "s2"]
    assert (shown["parallelism"], shown["failureBudget"], shown["minHealthy"]) == ([1, 2], 1, 3)
    assert (shown["clusterDeadline"], shown["stageDeadline"]) == ("1m30s", "2h")
    assert shown["spread"] == {"key": "zone", "maxInFlight": {"1": 1, "2": 1}}
    assert shown["price"] == "one more failure than 1 of 4, or 2 in a row stops it"
    assert gate_words(shown["gates"]) == "approval → then soak 30m"
    assert run["removals"] == {"count": 0, "withoutAsking": 1}


def test_a_stage_in_which_nothing_changes_has_no_price() -> None:
    found = previewed({"strategy": {"preset": "fast"}})
    last = found["runs"][0]["stages"][-1]
    assert (last["stage"], last["clusters"]) == ("rest", [])
    assert last["price"] == "no cluster changes here"


def test_removals_are_counted_against_what_may_go_without_asking() -> None:
    said = situation({"app": "1"}, {"app": "1", "web": "1"}, bundles={"app": {}})
    meant = replace(said, removals_approved=frozenset((n, "web", "1") for n in NAMES))
    (run,) = propose(meant).runs
    assert {change.wanted for some in run.changes.values() for change in some} == {ABSENT}
    documents: tuple[PolicyDocument, ...] = ()
    clusters = tuple(Cluster(n) for n in NAMES)
    found = preview(Declared(said.policies, documents, clusters, GROUPS), [run])
    assert found["runs"][0]["removals"] == {"count": 4, "withoutAsking": 1}


def test_the_query_of_a_url_is_left_out_since_keys_stand_there() -> None:
    url = "https://change.example/ok?key=c4n4ry"
    gates = {"before": [{"webhook": url}]}
    found = previewed({"stages": [{"name": "all", "group": "staging", "gates": gates}]})
    assert "c4n4ry" not in str(found)
    (rollout,) = found["rollouts"]
    (gate,) = rollout["spec"]["stages"][0]["gates"]["before"]
    assert gate["webhook"]["url"] == "https://change.example/ok?…"


def test_the_price_is_said_in_words() -> None:
    assert price(stage("a", *"xyz")) == "one more failure than 0 of 3 stops it"


@pytest.mark.parametrize("preset", ["default", "safe", "fast"])
@pytest.mark.parametrize("groups", [(), NAMED])
def test_a_whole_spec_reads_back_as_the_policy_it_was_made_of(
    preset: str, groups: tuple[str, ...]
) -> None:
    short = PolicyDocument("Rollout", "default", {"strategy": {"preset": preset}}, "r.yaml")
    whole = replace(short, spec=full_spec(short.spec, groups))
    one, _ = read_policy(short, groups)
    other, problems = read_policy(whole, groups)
    assert problems == ()
    assert one == other


def test_a_whole_spec_says_every_default_that_holds() -> None:
    found = full_spec({"stages": [{"name": "a", "group": "staging"}]}, NAMED)
    (one,) = found["stages"]
    assert one["dependsOn"] == []
    assert (one["parallelism"]["ramp"], one["minHealthy"]) == ([1], 1)
    assert one["failureBudget"] == {"count": 0}
    assert one["clusterDeadline"] == "30m"
    assert found["connectivity"]["lease"] == "15m"
    assert found["source"] == {"coalesce": "10s", "unit": "Bundle"}
    assert found["membership"]["unmatched"] == "Hold"
    assert found["supersede"]["policy"] == "CoalesceLatest"


def test_the_presets_are_those_of_the_text() -> None:
    careful, safe = {"ramp": [1, "5%", "25%"]}, {"ramp": [1, 1, "5%", "10%"]}
    default = {s["name"]: s for s in spec("default", NAMED)["stages"]}
    assert list(default) == ["staging", "production", "rest"]
    assert [default[n].get("parallelism") for n in default] == [None, careful, careful]
    assert [default[n].get("failureBudget", 0) for n in default] == [0, "2%", "2%"]
    assert not any("gates" in one for one in default.values())
    (alone,) = spec("default", ("production",))["stages"]
    assert (alone["select"], alone["parallelism"]) == ({"catchAll": True}, careful)
    whole = spec("safe", NAMED)
    assert whole["onFailure"] == {"action": "Rollback"}
    stages = {s["name"]: s for s in whole["stages"]}
    assert [stages[n].get("parallelism") for n in stages] == [None, safe, safe]
    assert all(s["gates"]["after"] == [{"soak": "30m"}] for s in stages.values())
    assert stages["production"]["gates"]["before"] == [
        {"approval": True},
        {"proven": {"in": "staging"}},
    ]
    assert "before" not in stages["rest"]["gates"]
    fast = spec("fast", NAMED)
    assert {s["parallelism"] for s in fast["stages"]} == {"50%"}
    assert "onFailure" not in fast


def test_the_stages_of_a_preset_come_one_after_the_other() -> None:
    book = read_policies([], [g.name for g in (*GROUPS, ClusterGroup("other"))])
    ordered = in_order(book.fallback.stages)
    assert ordered is not None
    assert [s.depends_on for s in ordered] == [(), ("staging",), ("production",)]
