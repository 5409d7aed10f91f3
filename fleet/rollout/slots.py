"""How many clusters of a stage may be in flight, and who goes next.

A slot is taken when an assignment is offered. One number is a rolling window; a ramp goes in
batches: the next entry only when the whole batch is Healthy, the last entry repeats, and a failure
within the budget goes back to the first. A batch that lost members (withdrawn offers) is filled
up before it counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fleet.rollout import tables
from fleet.rollout.memory import Memory
from fleet.rollout.run_plan import StagePlan
from fleet.rollout.standing import Standing
from fleet.rollout.starts import Starts
from fleet.rollout.states import ClusterState


def turn_batch(stage: StagePlan, standings: Sequence[Standing], memory: Memory) -> None:
    """Close the batch of a ramp if it is through, and choose the next entry."""
    if len(stage.parallelism.steps) == 1:
        return
    name = stage.name
    if any(one.newly_failed for one in standings):
        memory.ramp_step[name] = 0
        memory.batch.pop(name, None)
        return
    batch = memory.batch.get(name)
    if not batch:
        return
    states = {one.cluster: one.state for one in standings if one.cluster in batch}
    batch = {c for c in batch if states.get(c) in tables.IN_FLIGHT | tables.SETTLED - tables.AWAY}
    memory.batch[name] = batch
    full = len(batch) >= current_step(stage, memory)
    nobody_left = not any(one.state is ClusterState.QUEUED for one in standings)
    if not batch or not (full or nobody_left):
        return
    if any(states[cluster] in tables.IN_FLIGHT for cluster in batch):
        return
    if all(states[cluster] is ClusterState.HEALTHY for cluster in batch):
        last = len(stage.parallelism.steps) - 1
        memory.ramp_step[name] = min(memory.ramp_step.get(name, 0) + 1, last)
    del memory.batch[name]


def current_step(stage: StagePlan, memory: Memory) -> int:
    """The number of clusters that may be in flight (or make up the batch) now."""
    steps = stage.parallelism.steps
    return steps[min(memory.ramp_step.get(stage.name, 0), len(steps) - 1)]


def free(stage: StagePlan, standings: Iterable[Standing], memory: Memory) -> tuple[int, int]:
    """(slots left, slots left if what ended runs still change is not counted)."""
    batch = memory.batch.get(stage.name, set())
    taken, occupied = len(batch), 0
    for one in standings:
        if one.state in tables.IN_FLIGHT:
            taken += one.cluster not in batch
        elif one.occupied:
            occupied += 1
    left = current_step(stage, memory) - taken
    return left - occupied, left


def choose(
    stage: StagePlan, standings: Sequence[Standing], starts: Starts, memory: Memory
) -> list[Standing]:
    """Who is offered the change now, in order: those never offered first, then as the stage says.

    A cluster that an ended run may still be changing is taken over in place: that adds no
    changing cluster to the fleet, so it needs no free slot beyond this stage's own.
    """
    turn_batch(stage, standings, memory)
    slots, own = free(stage, standings, memory)
    if own <= 0:
        return []
    ready = [one for one in standings if one.state is ClusterState.QUEUED]
    ready.sort(key=lambda one: one.offered_before)
    chosen: list[Standing] = []
    for one in ready:
        if own <= 0:
            break
        if not one.occupied and slots <= 0:
            continue
        one.refused = starts.refusal(one)
        if one.refused is not None:
            continue
        starts.take(one.cluster)
        slots -= not one.occupied
        own -= 1
        chosen.append(one)
    if len(stage.parallelism.steps) > 1 and chosen:
        memory.batch.setdefault(stage.name, set()).update(one.cluster for one in chosen)
    return chosen
