"""What must hold before a stage starts and before it is Done. One module per gate.

::

    judge(run, stage, side, evidence, memory, now)      → Judgement       all gates of a list
    keep_clock(stage, healthy, memory)                  when the stage's soak began
    Turnstile.of(run, stage, evidence, memory, now)     → .passage(cluster), those judged one by one

All gates of a list are judged at once and must PASS at the same evaluation; FAIL outweighs NONE.
No data never passes. A run that only restores has no gates; neither has the catch-up lane.
"""

from __future__ import annotations

from fleet.rollout.gates.approval import opens_nothing
from fleet.rollout.gates.asked import close, pause_reason, resume
from fleet.rollout.gates.judging import judge, waiting
from fleet.rollout.gates.scope import gates_of, is_gated
from fleet.rollout.gates.soak import keep_clock
from fleet.rollout.gates.turnstile import Turnstile
from fleet.rollout.gates.verdict import POLLED, Judgement, Verdict

__all__ = [
    "POLLED",
    "Judgement",
    "Turnstile",
    "Verdict",
    "close",
    "gates_of",
    "is_gated",
    "judge",
    "keep_clock",
    "opens_nothing",
    "pause_reason",
    "resume",
    "waiting",
]
