"""Gates over a real store: what the hub keeps, grants and forgets when it is killed."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from fleet.errors import RequestError
from fleet.model import PolicyDocument
from fleet.rollout.forecast import nearest_rank
from tests.fleet.hub.rig import Rig, fleet


def policy(gates: dict[str, object]) -> PolicyDocument:
    stages = [
        {"name": "staging", "group": "staging"},
        {"name": "production", "group": "production", "parallelism": 9, "gates": gates},
    ]
    return PolicyDocument("Rollout", "default", {"stages": stages}, "rollout.yaml")


def rig_with(folder: Path, gates: dict[str, object], production: int = 1) -> Rig:
    """Staging is through; production is what the gates are about."""
    rig = Rig(folder)
    content = fleet(1, production, web="v1")
    rig.push(content, policies=(policy(gates),))
    rig.look()
    rig.join(*content)
    rig.release()
    for _ in range(3):
        rig.agents["staging-1"].turn()
        rig.clock.advance(1)
        rig.release()
    return rig


def window(rig_now_hour: int, minutes: int) -> dict[str, object]:
    return {"allow": [{"cron": f"0 {rig_now_hour} * * *", "duration": f"{minutes}m"}]}


def test_no_agent_starts_after_the_window_closed_however_late_the_hub_notices(
    tmp_path: Path,
) -> None:
    hour = Rig(tmp_path / "clock").clock.now().hour
    rig = rig_with(tmp_path / "hub", {"before": [{"window": window(hour, 5)}]})
    agent = rig.agents["production-1"]
    (offer,) = agent.target().offers
    rig.clock.advance(301)
    agent.report()
    with pytest.raises(RequestError) as refused:
        agent.start(offer)
    assert refused.value.code == "lease-ended"
    rig.release()
    assert rig.offered() == set()
    rig.reopen()
    rig.release()
    assert rig.offered() == set()
    tomorrow = timedelta(days=1) - timedelta(seconds=302)
    rig.clock.advance(tomorrow.total_seconds())
    agent.report()
    rig.release()
    assert rig.offered() == {"production-1"}


def test_a_closed_window_holds_production_and_says_until_when(tmp_path: Path) -> None:
    hour = Rig(tmp_path / "clock").clock.now().hour
    rig = rig_with(tmp_path / "hub", {"before": [{"window": window((hour + 2) % 24, 60)}]})
    assert rig.offered() == set()
    with rig.store.read() as c:
        row = c.execute("SELECT code, reason FROM run_cluster WHERE cluster = 'production-1'")
        code, reason = tuple(row.fetchone())
    assert code == "WindowClosed"
    assert reason.startswith("the window is closed until ")


def test_p90_is_read_from_the_history_of_earlier_runs(tmp_path: Path) -> None:
    hour = Rig(tmp_path / "clock").clock.now().hour
    said = window(hour, 60) | {"minRemaining": "P90"}
    rig = rig_with(tmp_path / "hub", {"before": [{"window": said}]}, production=3)
    rig.converge()
    rig.clock.advance(3500 - (rig.clock.now().minute * 60 + rig.clock.now().second))
    rig.push(fleet(1, 3, web="v2"), policies=(policy({"before": [{"window": said}]}),))
    rig.look()
    for agent in rig.agents.values():
        agent.turn()
    rig.converge()
    assert set(rig.states().values()) == {"Succeeded"}, "a few seconds were enough before"


def test_nine_of_ten_took_no_longer() -> None:
    assert nearest_rank([5], 0.9) == 5
    assert nearest_rank(range(1, 11), 0.9) == 9
    assert nearest_rank([1] * 89 + [7] * 11, 0.9) == 7


def test_a_late_cluster_is_caught_up_only_while_its_window_is_open(tmp_path: Path) -> None:
    hour = Rig(tmp_path / "clock").clock.now().hour
    rig = Rig(tmp_path / "hub")
    said: dict[str, object] = {"before": [{"window": window((hour + 2) % 24, 60)}]}
    rig.push(fleet(1, 1, web="v1"), policies=(policy(said),))
    rig.look()
    rig.join("staging-1")
    rig.converge()
    rig.join("production-1")
    rig.release()
    assert len(rig.live()) == 1, "the lane's run"
    assert rig.offered() == set()
    rig.clock.advance(7200)
    rig.agents["production-1"].report()
    rig.release()
    assert rig.offered() == {"production-1"}
