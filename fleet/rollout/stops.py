"""What a breach stops: with `onFailure.scope: Run` every stage, siblings in the DAG included."""

from __future__ import annotations

from fleet.rollout.memory import Memory
from fleet.rollout.run_plan import RunPlan


def stopped(run: RunPlan, memory: Memory) -> frozenset[str]:
    """The stages that start nothing and become nothing until what failed is answered."""
    if not memory.breached:
        return frozenset()
    return frozenset(stage.name for stage in run.stages)
