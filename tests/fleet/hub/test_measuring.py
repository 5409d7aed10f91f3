"""Analyses and counts of samples, asked by a real hub of a Prometheus over real HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fleet.model import PolicyDocument
from tests.fleet.hub.machines import Prometheus, Series, machine
from tests.fleet.hub.rig import Rig, fleet
from tests.fleet.hub.test_asking import stepped

ERRORS = "errors[$window]"


def analysis(url: str, **metric: Any) -> PolicyDocument:
    spec = {
        "prometheus": {"url": url},
        "every": "60s",
        "samples": "count",
        "metrics": [{"name": "errors", "query": "errors"} | metric],
    }
    return PolicyDocument("Analysis", "slo", spec, "slo.yaml")


def rig_with(folder: Path, document: PolicyDocument, after: list[dict[str, Any]]) -> Rig:
    """Twelve clusters in staging with the gates, twelve in production that wait for them."""
    stages = [
        {"name": "staging", "group": "staging", "parallelism": 12, "gates": {"after": after}},
        {"name": "production", "group": "production", "parallelism": 12},
    ]
    rig = Rig(folder)
    content = fleet(12, 12, web="v1")
    policy = PolicyDocument("Rollout", "default", {"stages": stages}, "rollout.yaml")
    rig.push(content, policies=(document, policy))
    rig.look()
    rig.join(*content)
    return rig


def works(rig: Rig) -> None:
    rig.release()
    for _ in range(3):
        for agent in rig.agents.values():
            agent.turn()
        rig.clock.advance(1)
        rig.release()


def values(staging: float, production: float = 1.0, spread: float = 0.01) -> Series:
    names = [f"staging-{n + 1}" for n in range(12)]
    others = [f"production-{n + 1}" for n in range(12)]

    def at(moment: float) -> dict[str, float]:
        found = {name: staging + spread * place for place, name in enumerate(names)}
        return found | {name: production + spread * place for place, name in enumerate(others)}

    return at


def state(rig: Rig) -> tuple[str, str]:
    with rig.store.read() as c:
        row = c.execute("SELECT state, reason FROM run").fetchone()
    return row["state"], row["reason"]


async def test_good_measurements_let_production_start(tmp_path: Path) -> None:
    there = Prometheus({"errors": values(0.9)})
    async with machine(there) as server:
        rig = rig_with(tmp_path, analysis(server.url, max=1.5), [{"analysis": "slo"}])
        works(rig)
        assert rig.offered() == set()
        await stepped(rig, lambda: len(rig.offered()) == 12)
    assert len(there.asked) == 1


async def test_a_threshold_that_is_passed_stops_the_run_and_names_the_clusters(
    tmp_path: Path,
) -> None:
    async with machine(Prometheus({"errors": values(2.0)})) as server:
        rig = rig_with(tmp_path, analysis(server.url, max=2.1), [{"analysis": "slo"}])
        works(rig)
        await stepped(rig, lambda: state(rig)[0] == "Paused")
    assert rig.offered() == set()
    assert "errors is above 2.1: 2.11 in staging-12" in state(rig)[1]


async def test_updated_clusters_that_are_worse_than_those_not_yet_updated_stop_the_run(
    tmp_path: Path,
) -> None:
    gate = {"analysis": {"ref": "slo", "against": "NotYetUpdated"}}
    there = Prometheus({"errors": values(1.3)})
    async with machine(there) as server:
        rig = rig_with(tmp_path, analysis(server.url), [gate])
        works(rig)
        await stepped(rig, lambda: len(there.asked) == 1)
        assert state(rig)[0] == "Running", "one look is not enough"
        rig.reopen()
        await stepped(rig, lambda: state(rig)[0] == "Paused")
    assert "errors is worse in updated clusters" in state(rig)[1]
    assert rig.offered() == set()


async def test_updated_clusters_that_are_like_the_others_let_it_go_on(tmp_path: Path) -> None:
    gate = {"analysis": {"ref": "slo", "against": "NotYetUpdated", "stratifyBy": "env"}}
    plain = {"analysis": {"ref": "slo", "against": "NotYetUpdated"}}
    async with machine(Prometheus({"errors": values(1.0)})) as server:
        rig = rig_with(tmp_path / "a", analysis(server.url), [plain])
        works(rig)
        await stepped(rig, lambda: len(rig.offered()) == 12)
        rig = rig_with(tmp_path / "b", analysis(server.url), [gate])
        works(rig)
        await stepped(rig, lambda: state(rig)[0] == "Paused")
        assert "too few to compare" in state(rig)[1], "no stratum has both"


async def test_before_is_asked_of_the_time_before_the_stage_started(tmp_path: Path) -> None:
    gate = {"analysis": {"ref": "slo", "against": "Before", "minN": 8}}
    there = Prometheus()
    async with machine(there) as server:
        rig = rig_with(tmp_path, analysis(server.url), [gate])
        began = rig.clock.now().timestamp()
        there.queries["errors"] = lambda at: values(1.0 if at < began else 3.0)(at)
        works(rig)
        await stepped(rig, lambda: state(rig)[0] == "Paused")
    assert "errors is worse" in state(rig)[1]
    assert any(at < began for _, at in there.asked)


async def test_a_soak_waits_until_enough_samples_were_taken(tmp_path: Path) -> None:
    taken = 0.0
    there = Prometheus({"errors": values(0.0, 0.0), "count": lambda at: {"staging-1": taken}})
    async with machine(there) as server:
        document = analysis(server.url, max=1)
        soak = {"soak": {"min": "2m", "max": "4h", "minSamples": 100}}
        rig = rig_with(tmp_path, document, [soak, {"analysis": "slo"}])
        works(rig)
        began = rig.clock.now()
        await stepped(rig, lambda: (rig.clock.now() - began).total_seconds() > 400)
        assert rig.offered() == set()
        taken = 100.0
        await stepped(rig, lambda: len(rig.offered()) == 12)
