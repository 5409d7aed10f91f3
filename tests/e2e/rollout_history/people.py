"""The people of the history: one who approves what waits, some minutes after being asked."""

from __future__ import annotations

from datetime import datetime, timedelta

from fleet.errors import RequestError
from fleet.rollout.decisions import Actor, Verb
from fleet.rollout.gates import waiting
from fleet.store.runs import active_runs, stages_of
from tests.e2e.rollout_history.fleet_in_time import FleetInTime

MINUTES = 5
SRE = Actor("sam", ("sre",))


class Approver:
    """Approves every stage that waits for it, `MINUTES` after it began to wait."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], datetime] = {}

    def __call__(self, fleet: FleetInTime) -> datetime | None:
        """See `Person`."""
        with fleet.store.read() as c:
            asked = [(r.uid, name) for r in active_runs(c) for name in waiting(stages_of(c, r.uid))]
        self._seen = {key: self._seen.get(key, fleet.now) for key in asked}
        due = {key: at + timedelta(minutes=MINUTES) for key, at in self._seen.items()}
        for (run, stage), at in due.items():
            if at <= fleet.now:
                fleet.hub.desk.decide(run, Verb.APPROVE, actor=SRE, stage=stage)
        decided = any(at <= fleet.now for at in due.values())
        return fleet.now if decided else min(due.values(), default=None)


def approve_removals(fleet: FleetInTime, bundle: str) -> str:
    """Let the removals of a bundle that are held go; what the hub answers, also if nothing is."""
    try:
        return fleet.hub.desk.decide_for_fleet(Verb.APPROVE_REMOVALS, actor=SRE, bundle=bundle)
    except RequestError as refused:
        return refused.what
