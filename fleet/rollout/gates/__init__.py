"""What must hold before a stage starts and before it is Done. One module per gate.

::

    judge(run, stage, side, evidence, memory, now)      → Judgement       all gates of a list
    refusal(run, stage, cluster, evidence, memory, now) → Reason | None   those judged per cluster

All gates of a list are judged at once and must PASS at the same evaluation; FAIL outweighs NONE.
No data never passes. A run that only restores has no gates; neither has the catch-up lane.
"""

from __future__ import annotations

from fleet.rollout.gates.judging import is_gated, judge, refusal, waiting
from fleet.rollout.gates.verdict import Judgement, Verdict

__all__ = ["Judgement", "Verdict", "is_gated", "judge", "refusal", "waiting"]
