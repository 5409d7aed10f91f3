"""Prometheus' HTTP API, as far as gates need it: one instant query, a value for each cluster.

A query may say `$window`: the time since the stage's clusters became Healthy, at least a minute.
An answer that is no success, no vector or no scalar is no answer. NaN and infinities are dropped:
they are what a division by no traffic gives. Errors never carry the query or what was answered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from math import isfinite
from typing import Any

import orjson

from fleet.hub.outgoing import NoAnswer, Outgoing

SHORTEST_WINDOW = 60


@dataclass(frozen=True, slots=True)
class Values:
    """What a query gave."""

    by_cluster: Mapping[str, float] = field(default_factory=dict)
    overall: float | None = None
    """The value of a series without the cluster label, if there is exactly one."""


async def query(
    outgoing: Outgoing, url: str, text: str, label: str, at: datetime, window: timedelta
) -> Values:
    """The values at a moment. Errors: `NoAnswer`."""
    seconds = max(SHORTEST_WINDOW, round(window.total_seconds()))
    fields = {"query": text.replace("$window", f"{seconds}s"), "time": f"{at.timestamp():.3f}"}
    reply = await outgoing.post_form(f"{url.rstrip('/')}/api/v1/query", fields)
    if reply.status != 200:
        raise NoAnswer(f"Prometheus answers {reply.status}")
    return values_of(reply.body, label)


def values_of(body: bytes, label: str) -> Values:
    """The values of an answer. Errors: `NoAnswer`."""
    try:
        document = orjson.loads(body)
        data = document["data"]
        if document["status"] != "success":
            raise ValueError
        if data["resultType"] == "scalar":
            return Values(overall=_number(data["result"]))
        if data["resultType"] != "vector":
            raise ValueError
        names = [str(one["metric"].get(label, "")) for one in data["result"]]
        numbers = [_number(one["value"]) for one in data["result"]]
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        raise NoAnswer("that is no answer of Prometheus to an instant query") from None
    return _values(names, numbers)


def _values(names: list[str], numbers: list[float | None]) -> Values:
    """A cluster that has several series has none: which one is meant is not known."""
    times = Counter(names)
    known = {
        name: value
        for name, value in zip(names, numbers, strict=True)
        if name and value is not None and times[name] == 1
    }
    return Values(known, numbers[0] if names == [""] else None)


def _number(pair: Any) -> float | None:
    """`[time, "value"]`."""
    value = float(pair[1])
    return value if isfinite(value) else None
