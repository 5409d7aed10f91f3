"""The deadline of a stage: from its start until it is Done, gates after it included.

By the wall clock: a pause does not stop it, since what it protects (a window, a night's rest) does
not wait either. A retry gives the stage its whole time again. Judged before anything is assigned.
The deadline of one cluster is `standing`'s.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from fleet.rollout.decisions import Verb
from fleet.rollout.evidence import Evidence
from fleet.rollout.memory import Memory
from fleet.rollout.run_plan import StagePlan


def judge(
    stage: StagePlan, memory: Memory, evidence: Evidence, now: datetime, wakes: list[datetime]
) -> None:
    """Mark the stage as breached if it is not Done in time; else remember to look again then."""
    started = memory.started.get(stage.name)
    if stage.stage_deadline_seconds is None or started is None:
        return
    if stage.name in {*memory.done, *memory.breached, *memory.gates.shut}:
        return
    retries = (d.at for d in evidence.decisions if d.verb in (Verb.RETRY, Verb.FORGIVE))
    due = max([started, *retries]) + timedelta(seconds=stage.stage_deadline_seconds)
    if now >= due:
        memory.breached[stage.name] = f"not Done within {stage.stage_deadline_seconds:g} s"
    else:
        wakes.append(due)
