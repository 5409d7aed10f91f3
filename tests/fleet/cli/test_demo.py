"""The demo of a person's own repository: what cannot converge is named and is no error."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from fleet.cli.demo import Teller
from fleet.errors import FleetError
from fleet.world.session import Session


class ScriptedApi:
    """Answers of a hub, by path."""

    def __init__(self, answers: dict[str, list[dict[str, Any]]]) -> None:
        self.answers = answers

    def get(self, path: str) -> Any:
        """The listing of a path."""
        return {"items": self.answers.get(path, [])}


class ScriptedSession:
    """As much of a session as is asked for."""

    folder = Path("/somewhere")

    def __init__(self, **answers: list[dict[str, Any]]) -> None:
        self.api = ScriptedApi({f"/v1/{name}": rows for name, rows in answers.items()})


def teller_of(**answers: list[dict[str, Any]]) -> Teller:
    """Somebody who tells of a fleet that answers like this."""
    return Teller(cast(Session, ScriptedSession(**answers)))


def deployment(cluster: str, sync: str, health: str, message: str = "") -> dict[str, Any]:
    """A row of the API."""
    numbers = {"objects": 1, "objectsReady": 0, "drifted": 0, "contested": 0, "paused": 0}
    numbers |= {"healed": 0}
    words = {"sync": sync, "health": health, "message": message, "commit": ""}
    return {"cluster": cluster, "bundle": "web", **numbers, **words}


def run(state: str, ended: str | None = None) -> dict[str, Any]:
    """A row of the API."""
    return {"run": state, "bundles": ["web"], "state": state, "ended": ended, "stages": []}


def test_what_did_not_converge_is_named_with_reasons_first(
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = [
        deployment("fine", "Synced", "Healthy"),
        *(deployment(f"later-{n:02}", "Waiting", "Unknown") for n in range(25)),
        deployment("broken", "Synced", "Degraded", "CrashLoopBackOff"),
    ]
    teller_of(bundledeployments=rows).unconverged()
    lines = capsys.readouterr().out.splitlines()
    assert lines[2].split()[:2] == ["broken", "web"]
    assert "CrashLoopBackOff" in lines[2]
    assert lines[-1] == "… and 6 more"
    assert not [line for line in lines if line.startswith("fine")]


def test_a_converged_fleet_is_not_complained_about(capsys: pytest.CaptureFixture[str]) -> None:
    teller_of(bundledeployments=[deployment("fine", "Synced", "Healthy")]).unconverged()
    assert capsys.readouterr().out == ""


def test_waiting_ends_when_every_run_that_goes_on_waits_for_a_person() -> None:
    over = run("Succeeded", "2030-01-02T03:04:05Z")
    assert teller_of(runs=[over, run("Paused")]).all_paused()
    assert not teller_of(runs=[run("Running"), run("Paused")]).all_paused()
    assert not teller_of(runs=[over]).all_paused()


def test_only_the_story_of_the_example_fails_when_its_time_is_over() -> None:
    teller = teller_of()
    assert teller.watch(lambda: False, seconds=0) is False
    with pytest.raises(FleetError, match="the rollout did not come to its end"):
        teller.follow(lambda: False, "the rollout", seconds=0)


def test_a_problem_is_said_once_until_it_comes_back(capsys: pytest.CaptureFixture[str]) -> None:
    problem = {"severity": "error", "what": "no such bundle", "at": "apps/web"}
    rows = [problem]
    teller = teller_of(problems=rows)
    for _ in range(2):
        teller.problems()
    rows.clear()
    teller.problems()
    rows.append(problem)
    teller.problems()
    assert capsys.readouterr().out.splitlines() == ["error: no such bundle (apps/web)"] * 2
