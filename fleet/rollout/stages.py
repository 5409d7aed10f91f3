"""A policy and its stages as values, before numbers are resolved and clusters are known.

`in_order` is the one place that knows the DAG: dependencies first, otherwise as written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from fleet.model import Selector
from fleet.rollout.gate_kinds import AfterGate, BeforeGate
from fleet.rollout.numbers import NONE, ONE, Amount
from fleet.rollout.rules import Rules


class OrderBy(StrEnum):
    """What decides who of a stage goes first; ties go by name."""

    NAME = "Name"
    LABEL = "Label"
    HASH = "Hash"
    SCORE = "Score"


class OrderType(StrEnum):
    """How label values compare."""

    TEXT = "Text"
    INT = "Int"


@dataclass(frozen=True, slots=True)
class Order:
    """Who of a stage goes first: total and deterministic."""

    by: OrderBy = OrderBy.NAME
    key: str = ""
    """LABEL: the label; clusters without it go last."""
    type: OrderType = OrderType.TEXT
    expression: str = ""
    """SCORE: arithmetic over labels, least first."""


@dataclass(frozen=True, slots=True)
class Spread:
    """No more than that many in flight of each value of a cluster label."""

    key: str
    max_in_flight: Amount = ONE


@dataclass(frozen=True, slots=True)
class StagePolicy:
    """One stage as the policy says it."""

    name: str
    group: str = ""
    selector: Selector | None = None
    catch_all: bool = False
    depends_on: tuple[str, ...] = ()
    order: Order = Order()
    parallelism: tuple[Amount, ...] = (ONE,)
    """Batch sizes of a ramp; a single one is a rolling window."""
    max_parallelism: Amount | None = None
    """No batch is larger than this."""
    spread: Spread | None = None
    failure_budget: Amount = NONE
    consecutive: int | None = None
    """So many failures in a row in finish order breach too."""
    min_healthy: Amount = ONE
    cluster_deadline_seconds: float = 1800
    stage_deadline_seconds: float | None = None
    before: tuple[BeforeGate, ...] = ()
    after: tuple[AfterGate, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """One rollout policy; `bundles` is `None` for the one that carries all that others do not."""

    name: str
    stages: tuple[StagePolicy, ...]
    bundles: Selector | None = None
    targets: Selector | None = None
    exclude: Selector | None = None
    rules: Rules = Rules()
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
