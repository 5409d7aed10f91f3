"""Stages as a DAG: side by side where nothing joins them, each after all that it depends on."""

from __future__ import annotations

from tests.fleet.rollout.builders import failed, healthy, run, stage, stage_states, states, tick

DIAMOND = run(
    stage("canary", "c"),
    stage("eu", "e1", "e2", depends_on=("canary",)),
    stage("us", "u1", "u2", depends_on=("canary",)),
    stage("rest", "r", depends_on=("eu", "us")),
)


def test_stages_without_dependencies_start_at_once_side_by_side() -> None:
    step = tick(run(stage("one", "a"), stage("two", "b")), {})
    assert step.offer == ("a", "b")


def test_siblings_run_side_by_side_each_with_slots_of_its_own() -> None:
    first = tick(DIAMOND, {})
    assert first.offer == ("c",)
    step = tick(DIAMOND, {"c": healthy(1)}, first.marks, 2)
    assert step.offer == ("e1", "u1")
    assert stage_states(step) == {
        "canary": "Done",
        "eu": "Updating",
        "us": "Updating",
        "rest": "Waiting",
    }


def test_a_stage_waits_for_all_that_it_depends_on() -> None:
    seen = {"c": healthy(1)}
    step = tick(DIAMOND, seen, tick(DIAMOND, {}).marks, 2)
    seen |= {"e1": healthy(3), "e2": healthy(3)}
    step = tick(DIAMOND, seen, step.marks, 4)
    assert stage_states(step)["eu"] == "Done"
    assert "r" not in step.offer
    assert [s.reason for s in step.stages if s.name == "rest"] == ["waits for stage us"]
    seen |= {"u1": healthy(5), "u2": healthy(5)}
    assert tick(DIAMOND, seen, step.marks, 6).offer == ("r",)


def test_a_breach_stops_the_siblings_too() -> None:
    step = tick(DIAMOND, {"c": healthy(1)}, tick(DIAMOND, {}).marks, 2)
    step = tick(DIAMOND, {"c": healthy(1), "e1": failed()}, step.marks, 3)
    assert step.offer == ()
    assert states(step)["u2"] == "Queued"
