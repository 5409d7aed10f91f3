"""A policy and its stages as values, before numbers are resolved and clusters are known.

`in_order` is the one place that knows the DAG: dependencies first, otherwise as written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from fleet.model import Selector
from fleet.rollout.numbers import NONE, ONE, TWO, Amount


@dataclass(frozen=True, slots=True)
class StagePolicy:
    """One stage as the policy says it."""

    name: str
    group: str = ""
    selector: Selector | None = None
    catch_all: bool = False
    depends_on: tuple[str, ...] = ()
    parallelism: tuple[Amount, ...] = (ONE,)
    failure_budget: Amount = NONE
    min_healthy: Amount = ONE
    cluster_deadline_seconds: float = 1800
    soak_seconds: float = 0
    approval: bool = False
    approvers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """One rollout policy; `bundles` is `None` for the one that carries all that others do not."""

    name: str
    stages: tuple[StagePolicy, ...]
    bundles: Selector | None = None
    targets: Selector | None = None
    exclude: Selector | None = None
    lease_seconds: float = 900
    catch_up: Amount = TWO
    at: str = ""


def in_order(stages: Sequence[StagePolicy]) -> tuple[StagePolicy, ...] | None:
    """Dependencies before dependents, otherwise as written; `None` if they run in a circle."""
    placed: list[StagePolicy] = []
    names: set[str] = set()
    waiting = list(stages)
    while waiting:
        ready = next((stage for stage in waiting if names.issuperset(stage.depends_on)), None)
        if ready is None:
            return None
        waiting.remove(ready)
        placed.append(ready)
        names.add(ready.name)
    return tuple(placed)
