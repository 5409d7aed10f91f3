"""What somebody who watches a run reads: boxes, and words only where boxes do not say it."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.rollout.progress import AND_KEPT
from fleet.world.board import LEGEND, Board, run_line, stage_text


def stage(name: str = "staging", state: str = "Updating", **more: Any) -> dict[str, Any]:
    """A stage as the API answers it."""
    row = {"stage": name, "state": state, "total": 3, "healthy": 0, "failed": 0, "inFlight": 0}
    return {**row, "reason": "0 of 3 Healthy", **more}


def run(*stages: dict[str, Any], name: str = "web-1", state: str = "Running") -> dict[str, Any]:
    """A run as the API answers it."""
    ended = state in ("Succeeded", "Aborted", "Superseded")
    return {
        "run": name, "bundles": [name.split("-")[0]], "state": state, "ended": ended,
        "stages": list(stages), "reason": "",
    }  # fmt: skip


def test_every_cluster_is_one_box() -> None:
    text = stage_text(stage(total=5, healthy=1, inFlight=2, failed=1))
    assert text == "staging ■▣▣✗□ 1/5"


def test_in_a_large_stage_a_box_is_several_clusters_and_one_failure_is_still_seen() -> None:
    text = stage_text(stage(total=10_000, healthy=5000, inFlight=250, failed=1))
    assert text == f"staging {'■' * 20}▣✗{'□' * 19} 5000/10000 (a box: up to 250 clusters)"
    assert stage_text(stage(total=40)) == f"staging {'□' * 40} 0/40"


def test_the_legend_explains_every_box() -> None:
    assert all(sign in LEGEND for sign in "□▣■✗✓")


@pytest.mark.parametrize(
    ("state", "reason", "said"),
    [
        ("Updating", "0 of 3 Healthy", ""),
        (
            "Updating",
            f"0 of 3 Healthy{AND_KEPT}the window is closed until 09:00",
            " (the window is closed until 09:00)",
        ),
        ("Verifying", "2 of 3 Healthy", ""),
        ("Waiting", "waits for stage staging", ""),
        ("Waiting", "no cluster of this stage is online", " (no cluster of this stage is online)"),
        ("GatedBefore", "waits for approval by sre", " (waits for approval by sre)"),
        ("GatedAfter", "soaks", " (soaks)"),
        ("Failed", "1 failed, the budget is 0", " (1 failed, the budget is 0)"),
        ("Done", "3 of 3 Healthy", " ✓"),
    ],
)
def test_words_stand_only_where_boxes_do_not_say_it(state: str, reason: str, said: str) -> None:
    assert stage_text(stage(state=state, reason=reason)) == f"staging □□□ 0/3{said}"


def test_a_stage_in_which_nothing_changes_has_no_boxes() -> None:
    assert stage_text(stage(total=0, state="Done")) == "staging unchanged"


def test_what_a_whole_run_waits_for_is_said_once() -> None:
    waits = {"state": "Waiting", "reason": "waits for run web-1"}
    queued = run(stage(**waits), stage("rest", **waits), state="Queued")
    line = run_line({**queued, "reason": "waits for run web-1"})
    assert line == "web  Queued (waits for run web-1)  staging □□□ 0/3 │ rest □□□ 0/3"


def test_a_run_that_is_running_does_not_say_so_and_any_other_does() -> None:
    assert run_line(run(stage())) == "web  staging □□□ 0/3"
    assert run_line(run(stage(), state="Paused")) == "web  Paused  staging □□□ 0/3"


def test_one_run_alone_is_told_cluster_by_cluster() -> None:
    board = Board()
    told = [board.changes([run(stage(healthy=n, inFlight=1))]) for n in (0, 0, 1, 2)]
    assert [len(lines) for lines in told] == [1, 0, 1, 1]


def test_several_runs_are_told_stage_by_stage() -> None:
    board = Board()
    other = run(stage(), name="api-1")
    moves = [
        stage(inFlight=1),
        stage(healthy=1, inFlight=1),
        stage(healthy=2, state="Verifying"),
        stage(healthy=3, state="GatedAfter", reason="soaks"),
        stage(healthy=3, state="Done"),
    ]
    told = [board.changes([run(move), other]) for move in moves]
    assert told == [
        ["web  staging ▣□□ 0/3", "api  staging □□□ 0/3"],
        [],
        [],
        ["web  staging ■■■ 3/3 (soaks)"],
        ["web  staging ■■■ 3/3 ✓"],
    ]


def test_a_failure_is_told_even_among_several_runs() -> None:
    board = Board()
    other = run(stage(), name="api-1")
    board.changes([run(stage()), other])
    assert board.changes([run(stage(failed=1)), other]) == ["web  staging ✗□□ 0/3"]


def test_the_end_of_a_run_is_told() -> None:
    board = Board()
    done = stage(healthy=3, state="Done")
    board.changes([run(done)])
    assert board.changes([run(done, state="Succeeded")]) == ["web  Succeeded  staging ■■■ 3/3 ✓"]
    assert board.changes([run(done, state="Succeeded")]) == []
