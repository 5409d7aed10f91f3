"""How values stand in columns: times as sortable text, frozen values as JSON.

Times are UTC with microseconds and a fixed width, so that text order is time order and what is
read equals what was written.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson
from pydantic import TypeAdapter

from fleet.rollout.amendments import Amendment
from fleet.rollout.marks import Marks
from fleet.rollout.run_plan import RunPlan
from fleet.rollout.step import Bisection, ClusterStatus, StageStatus

T = TypeVar("T")

RUN_PLAN: TypeAdapter[RunPlan] = TypeAdapter(RunPlan)
AMENDMENT: TypeAdapter[Amendment] = TypeAdapter(Amendment)
MARKS: TypeAdapter[Marks] = TypeAdapter(Marks)
STAGES: TypeAdapter[tuple[StageStatus, ...]] = TypeAdapter(tuple[StageStatus, ...])
BISECTION: TypeAdapter[Bisection] = TypeAdapter(Bisection)
CLUSTER_STATUS: TypeAdapter[ClusterStatus] = TypeAdapter(ClusterStatus)


def text_of(moment: datetime) -> str:
    """`2030-01-01T00:00:00.000000+00:00`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def text_or_none(moment: datetime | None) -> str | None:
    """As `text_of`; `None` stays."""
    return None if moment is None else text_of(moment)


def moment_of(text: str) -> datetime:
    """The time that `text_of` wrote."""
    return datetime.fromisoformat(text)


def moment_or_none(text: str | None) -> datetime | None:
    """As `moment_of`; `None` stays."""
    return None if text is None else moment_of(text)


def json_text(value: Any) -> str:
    """Compact JSON with sorted keys."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def json_value(text: str | bytes) -> Any:
    """What `json_text` wrote."""
    return orjson.loads(text)


def dump(adapter: TypeAdapter[T], value: T) -> str:
    """A frozen value as JSON text; equal values give equal text."""
    return json_text(adapter.dump_python(value, mode="json"))
