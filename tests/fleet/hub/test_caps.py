"""Shared caps through a real store: what other runs do, freezes in Git and by people."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fleet.model import PolicyDocument
from tests.fleet.hub.rig import Rig, deployment_of, fleet

V1, V2 = (deployment_of("web", f"v{n}").digest for n in (1, 2))
ONE_STAGE = PolicyDocument(
    "Rollout",
    "default",
    {"stages": [{"name": "all", "select": {"catchAll": True}, "parallelism": "100%"}]},
    "clusters/rollout.yaml",
)


def policies(**budget: Any) -> dict[str, Any]:
    """One stage for everything, and a RolloutBudget of that spec."""
    shared = PolicyDocument("RolloutBudget", "fleet", budget, "clusters/budget.yaml")
    return {"policies": (ONE_STAGE, shared)}


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Five clusters that run v1 of `web` and `api`."""
    rig = Rig(tmp_path)
    rig.push(fleet(2, 3, web="v1", api="v1"), policies=(ONE_STAGE,))
    rig.look()
    rig.join(*fleet(2, 3))
    rig.converge()
    return rig


def test_two_runs_share_the_cap_of_a_domain(rig: Rig) -> None:
    cap = policies(perDomain=[{"key": "env", "maxInFlight": 1}])
    rig.push(fleet(2, 3, web="v2", api="v2"), **cap)
    rig.look()
    rig.release()
    assert len(rig.live()) == 2
    assert len(rig.offered()) == 2, "one in staging, one in production, of both runs together"
    rig.converge()
    assert set(rig.runs_what("web").values()) == {V2}


def test_an_edit_of_the_budget_frees_a_live_run(rig: Rig) -> None:
    cap = policies(fleet={"maxInFlight": 1})
    rig.push(fleet(2, 3, web="v2", api="v1"), **cap)
    rig.look()
    rig.release()
    assert len(rig.offered()) == 1
    rig.push(fleet(2, 3, web="v2", api="v1"), **policies(fleet={"maxInFlight": 4}))
    rig.look()
    rig.release()
    assert len(rig.offered()) == 4


def test_a_freeze_in_git_outlives_a_restart_without_git(rig: Rig) -> None:
    frozen = policies(freeze={"active": True, "reason": "year end"})
    rig.push(fleet(2, 3, web="v2", api="v1"), **frozen)
    rig.look()
    rig.release()
    assert rig.offered() == set()
    rig.reopen()
    rig.release()
    assert rig.offered() == set(), "it is known before Git is read"
    rig.push(fleet(2, 3, web="v2", api="v1"), policies=(ONE_STAGE,))
    rig.look()
    rig.converge()
    assert set(rig.runs_what("web").values()) == {V2}


def test_a_broken_budget_keeps_the_last_good_one(rig: Rig) -> None:
    frozen = policies(freeze={"active": True, "reason": "year end"})
    rig.push(fleet(2, 3, web="v2", api="v1"), **frozen)
    rig.look()
    rig.release()
    rig.push(fleet(2, 3, web="v2", api="v1"), **policies(freeze={"active": "perhaps"}))
    rig.look()
    rig.release()
    assert rig.offered() == set()


def test_a_cluster_that_is_offline_leaves_less_room(rig: Rig) -> None:
    rig.agents.pop("production-1")
    rig.clock.advance(31)
    for agent in rig.agents.values():
        agent.turn()
    rig.release()
    cap = policies(perDomain=[{"key": "env", "maxUnavailable": 1}])
    rig.push(fleet(2, 3, web="v2", api="v1"), **cap)
    rig.look()
    rig.release()
    assert rig.offered() == {"staging-1"}, "one of production is away already"


def test_quiet_time_and_starts_in_a_minute_pass_by_themselves(rig: Rig) -> None:
    for _ in range(5):
        rig.turn(seconds=20)
    caps = {"fleet": {"maxStartsPerMinute": 2}, "perCluster": {"quietAfter": "3m"}}
    rig.push(fleet(2, 3, web="v2", api="v1"), **policies(**caps))
    rig.look()
    rig.release()
    assert rig.offered() == set(), "v1 came two minutes ago"
    for _ in range(4):
        rig.turn(seconds=20)
    assert len(rig.offered()) == 2
    rig.turn()
    assert rig.offered() == set()
    for _ in range(3):
        rig.turn(seconds=20)
    assert len(rig.offered()) == 2
    for _ in range(6):
        rig.turn(seconds=20)
    assert set(rig.runs_what("web").values()) == {V2}
