"""I18 under random histories: a rollback touches only clusters of its run, ends, and starts none.

The oracle judges every step: whoever is offered the way back had started what the run brought.
Here every history has a failure that breaches, and at the end agents are online: no run may still
be on its way back, and none that went back starts again. Shared caps hold for ways back too (I6).
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from fleet.rollout.states import RunState
from tests.fleet.rollout.capped_fleet import CappedFleet
from tests.fleet.rollout.fleet_values import Stored
from tests.fleet.rollout.histories import HISTORIES
from tests.fleet.rollout.test_cap_promises import CAPS, DEEDS, NAMES, begin, do


class Watched(CappedFleet):
    """Remembers what its runs became."""

    def _step(self, run: Stored) -> bool:
        before = run.state
        again = super()._step(run)
        if run.state is not before:
            self.became.append((run.plan.uid, run.state))
        return again

    @cached_property
    def became(self) -> list[tuple[str, RunState]]:
        """(run, state) in the order in which it happened."""
        return []


AMOUNTS = st.sampled_from([1, 2, "25%", "100%"])
BACK = st.fixed_dictionaries(
    {"parallelism": AMOUNTS, "failureBudget": st.sampled_from([0, 1, "50%"])}
)
ONE_OF_A_ZONE = {"perDomain": [{"key": "zone", "maxInFlight": 1}]}
ONE_MAY_BE_AWAY = {"perDomain": [{"key": "zone", "maxUnavailable": 1}]}
SCOPES = st.sampled_from(["Run", "Stage", "Cluster"])


@settings(HISTORIES, max_examples=60)
@given(
    back=BACK,
    scope=SCOPES,
    steps=AMOUNTS,
    victim=st.sampled_from(NAMES),
    caps=CAPS.filter(lambda caps: not caps["freeze"]),
    deeds=st.lists(DEEDS.filter(lambda deed: deed[0] != "caps"), max_size=10),
)
@example({"parallelism": 1, "failureBudget": 0}, "Run", "100%", "two-1", {}, [])
@example({"parallelism": "100%", "failureBudget": 0}, "Run", "100%", "two-1", ONE_OF_A_ZONE, [])
@example({"parallelism": "100%", "failureBudget": 0}, "Run", "100%", "two-1", ONE_MAY_BE_AWAY, [])
def test_i18_a_rollback_ends_and_is_of_its_own_run(
    back: dict[str, Any],
    scope: str,
    steps: Any,
    victim: str,
    caps: dict[str, Any],
    deeds: list[tuple[Any, ...]],
) -> None:
    stages = [{"name": n, "group": n, "parallelism": steps} for n in ("one", "two")]
    failure = {"action": "Rollback", "scope": scope, "rollback": back}
    fleet = begin(caps, Watched, {"stages": stages, "onFailure": failure})
    fleet.serve_all(90, 61)
    assert not fleet.live()
    fleet.bad[f"{victim}:app-bad"] = "failed"
    fleet.want("app", "app-bad")
    fleet.tick(1)
    for serial, deed in enumerate(deeds, 1):
        do(fleet, deed, serial)
    for agent in fleet.agents.values():
        agent.online = True
    fleet.serve_all(40, 310)
    states = {run.plan.uid: run.state for run in fleet.runs.values()}
    assert not {RunState.ROLLING_BACK, RunState.FAILING} & set(states.values()), f"I18: {states}"
    assert isinstance(fleet, Watched)
    rolled = [uid for uid, state in fleet.became if state is RunState.ROLLING_BACK]
    assert len(rolled) == len(set(rolled)), f"I18: one run rolled back twice: {rolled}"
    # With scope Cluster nothing is judged while a full zone keeps others from being tried.
    never_settled = scope == "Cluster" and caps
    assert rolled or deeds or never_settled, "a history with a failure alone must roll back"
