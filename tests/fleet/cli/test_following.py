"""`fleet rollout status`, `history`, `explain` against a hub in process, over real HTTP."""

from __future__ import annotations

import asyncio
import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from fleet.cli import main
from fleet.cli.following import draw
from fleet.cli.following_text import because_text, eta_text, price_text, reason_text, ways_on
from fleet.model import PolicyDocument
from fleet.rollout.decisions import Verb
from tests.fleet.api.served import OPERATOR, Served, served
from tests.fleet.hub.rig import Rig, fleet

STAGES = [
    {"name": "staging", "group": "staging"},
    {
        "name": "production", "group": "production", "failureBudget": "50%",
        "gates": {"before": [{"approval": {"groups": ["sre"]}}]},
    },
]  # fmt: skip


def rig_of(folder: Path) -> Rig:
    """Two clusters in production that wait for staging's one, and for an approval after it."""
    policy = PolicyDocument("Rollout", "all", {"stages": STAGES}, "rollout.yaml")
    rig = Rig(folder)
    rig.push(fleet(1, 2, web="v1"), policies=(policy,))
    rig.look()
    rig.join("staging-1", "production-1", "production-2")
    rig.release()
    return rig


async def rollout(hub: Served, *words: str) -> Result:
    """A command of a person, in a thread of its own."""
    environment = {"FLEET_HUB": hub.url, "FLEET_TOKEN": OPERATOR}
    return await asyncio.to_thread(
        CliRunner().invoke, main, ["rollout", *words], env=environment, prog_name="fleet"
    )


async def document(hub: Served, *words: str) -> Any:
    done = await rollout(hub, *words, "-o", "json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


async def test_every_waiting_cluster_stands_in_the_status_with_its_reason(tmp_path: Path) -> None:
    async with served(rig_of(tmp_path)) as hub:
        (run,) = (await document(hub, "status"))["items"]
        text = (await rollout(hub, "status", run["run"][:5])).stdout
    (group,) = run["waiting"]
    assert group["clusters"] == ["production-1", "production-2"]
    assert [r["code"] for r in group["reasons"]] == ["StageWaiting", "GateAhead"]
    assert run["eta"]["unknown"] == "no cluster of stage staging was timed yet"
    assert "staging ▣ 0/1 │ production □□ 0/2" in text
    assert "stage production: waits for stage staging" in text


async def test_a_run_that_asks_for_the_hotfix_lane_says_who_opens_it(tmp_path: Path) -> None:
    spec = {"stages": STAGES, "supersede": {"hotfix": {"whenTrailer": "Class: hotfix"}}}
    rig = Rig(tmp_path)
    policy = PolicyDocument("Rollout", "all", spec, "rollout.yaml")
    rig.push(fleet(1, 2, web="v1"), policies=(policy,), trailers=(("Class", "hotfix"),))
    rig.look()
    rig.release()
    (uid,) = rig.live()
    async with served(rig) as hub:
        before = (await rollout(hub, "status")).stdout
        done = await rollout(hub, "approve", "--hotfix", uid, "-m", "CVE", "--as", "ana")
        after = (await rollout(hub, "status")).stdout
    assert f"`fleet rollout approve --hotfix {uid} -m WHY` opens it" in before
    assert done.exit_code == 0, done.output
    assert "Lane hotfix: no soak" in after


async def test_a_gate_shows_its_verdict_and_the_end_is_unknown_until_people_decide(
    tmp_path: Path,
) -> None:
    rig = rig_of(tmp_path)
    rig.turn(30)
    rig.turn(30)
    async with served(rig) as hub:
        (run,) = (await document(hub, "status"))["items"]
        staging, production = run["stages"]
        (gate,) = production["gates"]
        assert (gate["gate"], gate["kind"], gate["verdict"]) == (
            "production/before/0", "approval", "none",
        )  # fmt: skip
        assert staging["took"]["clusters"] == 1
        assert production["price"] == {"budget": 1, "spent": 0, "left": 1, "of": 2, "share": 0.0}
        assert run["eta"]["unknown"] == "stage production has to pass: approval"
        shown = (await rollout(hub, "explain", "production-2")).stdout
    assert "production-2 in run" in shown
    assert "[StageGatedBefore]" in shown
    assert "production/before/0   approval   none" in shown


async def test_a_paused_run_and_its_gate_are_both_reasons(tmp_path: Path) -> None:
    rig = rig_of(tmp_path)
    rig.turn(30)
    rig.turn(30)
    rig.decide(Verb.PAUSE)
    rig.release()
    async with served(rig) as hub:
        (answer,) = (await document(hub, "explain", "production-1"))["items"]
    assert [r["code"] for r in answer["reasons"]] == ["RunPaused", "StageGatedBefore"]


async def test_what_happened_in_the_runs_of_a_commit_is_told_in_order(tmp_path: Path) -> None:
    rig = rig_of(tmp_path)
    rig.turn()
    async with served(rig) as hub:
        (run,) = (await document(hub, "status"))["items"]
        events = await document(hub, "history", "--commit", run["commit"])
        assert events[0]["kind"] == "run-created"
        assert "cluster-offered" in [e["kind"] for e in events]
        assert [e["number"] for e in events] == sorted(e["number"] for e in events)
        assert {e["run"] for e in events} == {run["run"]}
        unknown = await rollout(hub, "status", "--commit", "nope")
        both = await rollout(hub, "status", run["run"], "--commit", run["commit"])
    assert unknown.stderr.startswith("fleet: no run brings commit 'nope'")
    assert both.exit_code == 2


def test_the_board_is_drawn_in_place_and_names_are_text() -> None:
    texts = iter(["one [bold]web[/]\n", "two\n", "three\n"])
    drawn = StringIO()
    waits = iter([True, True, False])
    draw(lambda: next(texts), Console(file=drawn, force_terminal=True), lambda: next(waits))
    said = drawn.getvalue()
    assert "one [bold]web[/]" in said
    assert said.index("one") < said.index("two") < said.index("three")
    assert "\x1b[1A" in said, "the cursor goes back up over what was drawn"


def test_a_time_is_said_once() -> None:
    soaks = {"what": "soaks", "until": "2030-01-01T09:00:00+00:00"}
    assert reason_text(soaks) == "soaks (until 2030-01-01 09:00:00)"
    assert reason_text({**soaks, "what": "closed until 9"}) == "closed until 9"
    assert reason_text({**soaks, "until": None}) == "soaks"


def test_what_one_reason_says_is_not_said_again_by_a_shorter_one() -> None:
    why = {"code": "x", "until": None}
    run, stage = (
        "stage two failed: 1 failed, the budget is 0",
        "stage two: 1 failed, the budget is 0",
    )
    both = [{**why, "what": run}, {**why, "what": stage}, {**why, "what": "frozen"}]
    assert because_text(both) == f"{run}; frozen"
    assert because_text([both[1], both[0]]) == run
    waits = [{**why, "what": text} for text in ("waits for run a", "stage two: waits for run a")]
    assert because_text(waits) == "waits for run a"


@pytest.mark.parametrize(
    ("price", "said"),
    [
        ({"spent": 0, "left": 0, "of": 9}, "0 (none may)"),
        ({"spent": 2, "left": 0, "of": 9}, "2 (no more may)"),
        ({"spent": 1, "left": 2, "of": 97}, "1 (2 more of 97 may)"),
    ],
)
def test_a_budget_says_what_is_left_of_it(price: dict[str, Any], said: str) -> None:
    assert price_text(price) == said


@pytest.mark.parametrize(
    ("run", "stage", "verdict", "said"),
    [
        ("Running", "GatedBefore", "none", "approve web-1"),
        ("Running", "GatedBefore", "pass", ""),
        ("Running", "Waiting", "none", ""),
        ("Paused", "Updating", "", "resume web-1"),
        ("Paused", "Failed", "", "retry|skip|forgive|rollback|abort web-1"),
    ],
)
def test_a_run_that_waits_for_people_says_what_they_can_do(
    run: str, stage: str, verdict: str, said: str
) -> None:
    gates = [{"kind": "approval", "verdict": verdict}] if verdict else []
    found = ways_on({"run": "web-1", "state": run, "stages": [{"state": stage, "gates": gates}]})
    assert [said in line for line in found] == ([True] if said else [])


@pytest.mark.parametrize(
    ("eta", "said"),
    [
        ({"p50": None, "work": None, "unknown": "x"}, "unknown: x"),
        ({"p50": None, "work": [90, 120], "unknown": "x"}, "unknown: x; 1m30s of work"),
        (
            {"p50": "2030-01-01T09:00:00", "p90": "2030-01-01T10:00:00"},
            "2030-01-01 09:00:00 (p90 2030-01-01 10:00:00)",
        ),
        ({"p50": "2030-01-01T09:00:00", "p90": "2030-01-01T09:00:00"}, "2030-01-01 09:00:00"),
    ],
)
def test_an_end_is_a_time_or_unknown_with_its_reason(eta: dict[str, Any], said: str) -> None:
    assert eta_text(eta) == said
