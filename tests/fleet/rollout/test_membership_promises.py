"""I16 under random joins, leaves and relabels, with every other promise judged beside it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from fleet.rollout.states import Intent, StageState
from fleet.rollout.tables import ENDED
from tests.fleet.rollout.changing_fleet import ChangingFleet
from tests.fleet.rollout.histories import HISTORIES

GROUPS = ("one", "two", "three")
NAMES = [f"{group}-{index}" for group in GROUPS for index in range(2)]
CLUSTERS = st.sampled_from([*NAMES, "new-1", "new-2", "new-3"])
GROUP = st.sampled_from(GROUPS)
STAGE = st.fixed_dictionaries(
    {
        "parallelism": st.sampled_from([1, 2, "50%", {"ramp": [1, "50%"]}]),
        "failureBudget": st.sampled_from([0, 1, "50%"]),
        "minHealthy": st.sampled_from([1, "50%"]),
        "gates": st.sampled_from(
            [{}, {"before": [{"approval": True}]}, {"after": [{"soak": "5m"}]}]
        ),
    }
)
RULES = st.fixed_dictionaries(
    {
        "mode": st.sampled_from(["Dynamic", "Dynamic", "Frozen"]),
        "onLeave": st.sampled_from(["Release", "Fail"]),
        "onRelabel": st.sampled_from(["KeepStage", "Restage"]),
    }
)


class Members(RuleBasedStateMachine):
    """Three groups of two clusters, and three more clusters that may join."""

    fleet: ChangingFleet
    serial = 0

    @initialize(stages=st.lists(STAGE, min_size=3, max_size=3), rules=RULES)
    def begin(self, stages: list[dict[str, Any]], rules: dict[str, str]) -> None:
        said = [{"name": n, "group": n, **s} for n, s in zip(GROUPS, stages, strict=True)]
        spec = {"stages": said, "connectivity": {"lease": "2m"}, "membership": rules}
        self.fleet = ChangingFleet(spec, dict.fromkeys(GROUPS, 2))
        self.fleet.want("app", "app-0")
        self.fleet.tick()

    @rule(rounds=st.integers(0, 4))
    def release(self, rounds: int) -> None:
        self.serial += 1
        self.fleet.want("app", f"app-{self.serial}")
        self.fleet.tick(1)
        self._approve_all()
        self.fleet.serve_all(rounds, seconds=61)

    @rule(cluster=CLUSTERS, group=GROUP, seconds=st.sampled_from([0, 30]))
    def join(self, cluster: str, group: str, seconds: int) -> None:
        self.fleet.tick(1)
        self.fleet.declare(cluster, group)
        self.fleet.tick(seconds)

    @rule(cluster=CLUSTERS)
    def leave(self, cluster: str) -> None:
        self.fleet.undeclare(cluster)
        self.fleet.tick(1)

    @rule(cluster=CLUSTERS, group=GROUP)
    def relabel(self, cluster: str, group: str) -> None:
        if cluster in self.fleet.declared:
            self.fleet.relabel(cluster, group)
        self.fleet.tick(1)

    @rule(cluster=CLUSTERS, group=GROUP)
    def leave_in_mid_flight_and_come_back(self, cluster: str, group: str) -> None:
        if cluster in self.fleet.agents:
            self.fleet.fetch(cluster)
            self.fleet.start(cluster)
        self.leave(cluster)
        self.join(cluster, group, 30)

    @rule(cluster=CLUSTERS, group=GROUP, rounds=st.integers(1, 3))
    def a_release_while_one_joins(self, cluster: str, group: str, rounds: int) -> None:
        self.release(1)
        self.join(cluster, group, 1)
        self._approve_all()
        self.fleet.serve_all(rounds, seconds=61)

    @rule(cluster=CLUSTERS)
    def fail_here(self, cluster: str) -> None:
        for digest in self.fleet.wanted.get(cluster, {}).values():
            self.fleet.bad[f"{cluster}:{digest}"] = "failed"
        if cluster in self.fleet.agents:
            self.fleet.serve(cluster)
        self.fleet.tick(1)

    @rule(cluster=CLUSTERS)
    def go_dark(self, cluster: str) -> None:
        if cluster in self.fleet.agents:
            self.fleet.agents[cluster].online = False
        self.fleet.tick(130)

    @rule(rounds=st.integers(1, 3), seconds=st.sampled_from([1, 61, 310]))
    def work(self, rounds: int, seconds: int) -> None:
        self._approve_all()
        self.fleet.serve_all(rounds, seconds)

    def teardown(self) -> None:
        """I10: faults end, gates open, all are online: all ends, and who is declared has it."""
        if not hasattr(self, "fleet"):
            return
        fleet = self.fleet
        fleet.bad.clear()
        for agent in fleet.agents.values():
            agent.online = True
        for _ in range(80):
            self._cure()
            fleet.serve_all(seconds=310)
            if not fleet.live() and not fleet.live("CatchUp"):
                break
        assert not fleet.live(), [(r.plan.uid, r.state, r.step) for r in fleet.live()]
        for name in fleet.declared:
            found = fleet.agents[name].current.get("app")
            assert found is not None, f"{name} has nothing"
            assert found.digest == fleet.digests["app"], f"{name} still runs {found.digest}"

    def _cure(self) -> None:
        self.fleet.vetoed.clear()
        for agent in self.fleet.agents.values():
            for one in agent.current.values():
                one.phase = "healthy" if one.was_healthy else "applying"
        for run in self.fleet.live():
            run.intent = Intent.RUN
            if run.marks.breached:
                self.fleet.retry(run)
        self._approve_all()

    def _approve_all(self) -> None:
        for run in self.fleet.live():
            stages = run.step.stages if run.step and run.state not in ENDED else ()
            for stage in stages:
                if stage.state is StageState.GATED_BEFORE:
                    self.fleet.approve(run, stage.name)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_i16_every_cluster_is_in_exactly_one_stage() -> None:
    run_state_machine_as_test(
        Members,
        settings=settings(HISTORIES, max_examples=40, stateful_step_count=20),
    )
