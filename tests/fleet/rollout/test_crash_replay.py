"""I15: a hub that forgets everything before every event leaves the same trace as one that does not.

What survives a crash is what the store has: plans and marks as JSON, and the rows. The second fleet
reads them anew before every proposal and before every step; both live through the same history.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.store.codec import RUN_PLAN
from tests.fleet.rollout.capped_fleet import CappedFleet
from tests.fleet.rollout.fleet_values import MARKS, Stored
from tests.fleet.rollout.histories import HISTORIES
from tests.fleet.rollout.test_cap_promises import CAPS, DEEDS, begin, do


class ForgetfulFleet(CappedFleet):
    """Its hub crashes and starts again before every event."""

    crashes = 0

    def _propose(self) -> None:
        self._crash()
        super()._propose()

    def _step(self, run: Stored) -> bool:
        self._crash()
        return super()._step(run)

    def _crash(self) -> None:
        self.crashes += 1
        for run in self.runs.values():
            run.plan = RUN_PLAN.validate_json(RUN_PLAN.dump_json(run.plan))
            run.marks = MARKS.validate_json(MARKS.dump_json(run.marks))


def trace(fleet: CappedFleet) -> tuple[object, ...]:
    """All that the hub told and did, in its order."""
    runs = [(r.plan, r.marks, r.state, r.superseded_by, r.step) for r in fleet.runs.values()]
    return fleet.events, fleet.assignments, runs, fleet.vetoed, fleet.baked


@settings(HISTORIES, max_examples=40)
@given(caps=CAPS, deeds=st.lists(DEEDS, min_size=3, max_size=10))
def test_i15_a_crash_before_every_event_changes_nothing(
    caps: dict[str, Any], deeds: list[tuple[Any, ...]]
) -> None:
    steady, forgetful = begin(caps), begin(caps, ForgetfulFleet)
    for serial, deed in enumerate(deeds, 1):
        do(steady, deed, serial)
        do(forgetful, deed, serial)
        assert trace(forgetful) == trace(steady), f"I15: after {deed}"
    assert isinstance(forgetful, ForgetfulFleet)
    assert forgetful.crashes > len(deeds)
