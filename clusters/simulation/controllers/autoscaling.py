"""How many replicas a HorizontalPodAutoscaler wants. Arithmetic only, Kubernetes' own.

::

    usage ÷ target = ratio ──► proposal = ⌈ratio × ready pods⌉, none within the tolerance of 0.1
      ──► stabilised: down to the highest proposal of the last 300 s (up at once)
      ──► limited: not more than double or 4 at a time, or as `behavior` says
      ──► within minReplicas and maxReplicas

Pods that are not ready count as idle when it would go up, so a slow start asks for no more.
Proposals hold from one to the next, so nobody has to ask every fifteen seconds.

Never reads an object of a cluster but the autoscaler's `behavior`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from clusters.objects import Object

SYNC_SECONDS = 15.0
"""How long an autoscaler lets its last change work before it makes another."""
TOLERANCE = 0.1
_DOWN: Object = {
    "stabilizationWindowSeconds": 300,
    "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
}
_UP: Object = {
    "stabilizationWindowSeconds": 0,
    "policies": [
        {"type": "Pods", "value": 4, "periodSeconds": 15},
        {"type": "Percent", "value": 100, "periodSeconds": 15},
    ],
}
_KEPT_SECONDS = 3600.0
"""The longest window that Kubernetes allows."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What an autoscaler remembers: proposals by the moment they began, changes that it made."""

    proposals: tuple[tuple[datetime, int], ...]
    changes: tuple[tuple[datetime, int], ...] = ()

    def noted(self, now: datetime, proposal: int) -> Memory:
        """With one more proposal, and without those that no window reaches any more."""
        if self.proposals[-1][1] == proposal:
            return self
        old = now - timedelta(seconds=_KEPT_SECONDS)
        kept = [
            p
            for p, after in zip(self.proposals, self.proposals[1:], strict=False)
            if after[0] > old
        ]
        changes = tuple(change for change in self.changes if change[0] > old)
        return Memory((*kept, self.proposals[-1], (now, proposal)), changes)

    def changed(self, now: datetime, by: int) -> Memory:
        """With one more change."""
        return replace(self, changes=(*self.changes, (now, by)))

    def within(self, window_seconds: float, now: datetime) -> list[int]:
        """The proposals that held at some time in the window, the present one last."""
        since = now - timedelta(seconds=window_seconds)
        ends = [began for began, _ in self.proposals[1:]]
        past = zip(self.proposals, ends, strict=False)
        return [*(value for (_, value), end in past if end > since), self.proposals[-1][1]]

    def next_release(self, window_seconds: float, now: datetime) -> datetime | None:
        """When the next proposal leaves the window."""
        window = timedelta(seconds=window_seconds)
        return min((m + window for m, _ in self.proposals[1:] if m + window > now), default=None)

    def sum_of_changes(self, seconds: float, now: datetime) -> int:
        """By how much it changed the replicas in that time, up less down."""
        since = now - timedelta(seconds=seconds)
        return sum(by for moment, by in self.changes if moment > since)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The replicas to have now, and what held back the proposal, in Kubernetes' words."""

    replicas: int
    able: tuple[str, str]
    """Reason and message of the condition AbleToScale."""
    limited: tuple[str, str] | None
    """Of ScalingLimited, if it is True."""
    again_at: datetime | None


def propose(current: int, ready: int, unready: int, ratio: Callable[[int], float]) -> int:
    """The replicas that a metric asks for; `ratio(n)` is usage ÷ target when n pods share it."""
    first = ratio(ready)
    if not unready or first <= 1.0:
        return current if _is_close(first) else math.ceil(first * ready)
    second = ratio(ready + unready)
    if _is_close(second) or second < 1.0:
        return current
    return max(current, math.ceil(second * (ready + unready)))


def decide(spec: Object, current: int, memory: Memory, now: datetime) -> Verdict:
    """What becomes of the last proposal in `memory`."""
    proposal = memory.proposals[-1][1]
    up, down = (_rules(spec, "scaleUp", _UP), _rules(spec, "scaleDown", _DOWN))
    window_up, window_down = up["stabilizationWindowSeconds"], down["stabilizationWindowSeconds"]
    wanted = max(current, min(memory.within(window_up, now)))
    wanted = min(wanted, max(memory.within(window_down, now)))
    able = ("ReadyForNewScale", "recommended size matches current size")
    again_at = None
    if wanted != proposal:
        rising = proposal >= current
        able = _STABILISED[rising]
        again_at = memory.next_release(window_up if rising else window_down, now)
    replicas, limited = _limit(spec, current, wanted, memory, now)
    if limited and limited[0] in ("ScaleUpLimit", "ScaleDownLimit"):
        again_at = now + timedelta(seconds=SYNC_SECONDS)
    return Verdict(replicas, able, limited, again_at)


_STABILISED = {
    True: (
        "ScaleUpStabilized",
        "recent recommendations were lower than current one, applying the lowest recent "
        "recommendation",
    ),
    False: (
        "ScaleDownStabilized",
        "recent recommendations were higher than current one, applying the highest recent "
        "recommendation",
    ),
}


def allowed_replicas(spec: Object, wanted: int) -> int:
    """The number nearest to `wanted` within an autoscaler's limits."""
    return int(max(spec.get("minReplicas", 1), min(spec["maxReplicas"], wanted)))


def _is_close(ratio: float) -> bool:
    return abs(1.0 - ratio) <= TOLERANCE


def _rules(spec: Object, direction: str, default: Object) -> Object:
    given = (spec.get("behavior") or {}).get(direction) or {}
    return {**default, **{name: value for name, value in given.items() if value is not None}}


def _limit(
    spec: Object, current: int, wanted: int, memory: Memory, now: datetime
) -> tuple[int, tuple[str, str] | None]:
    lowest, highest = int(spec.get("minReplicas", 1)), int(spec["maxReplicas"])
    if wanted > current:
        rate = max(current, _ceiling(spec, current, memory, now))
        why = _TOO_FAST_UP if rate < highest else _TOO_MANY
        return (wanted, None) if wanted <= min(rate, highest) else (min(rate, highest), why)
    rate = current if wanted == current else min(current, _floor(spec, current, memory, now))
    least, why = (
        (rate, _TOO_FAST_DOWN) if wanted < current and rate > lowest else (lowest, _TOO_FEW)
    )
    if wanted > highest:
        return highest, _TOO_MANY
    return (wanted, None) if wanted >= least else (least, why)


_TOO_FAST_UP = (
    "ScaleUpLimit",
    "the desired replica count is increasing faster than the maximum scale rate",
)
_TOO_FAST_DOWN = (
    "ScaleDownLimit",
    "the desired replica count is decreasing faster than the maximum scale rate",
)
_TOO_MANY = (
    "TooManyReplicas",
    "the desired replica count is more than the maximum replica count",
)
_TOO_FEW = (
    "TooFewReplicas",
    "the desired replica count is less than the minimum replica count",
)


def _ceiling(spec: Object, current: int, memory: Memory, now: datetime) -> int:
    """How high it may go at once."""
    if not spec.get("behavior"):
        return max(2 * current, 4)
    rules = _rules(spec, "scaleUp", _UP)
    rates = [
        start + policy["value"]
        if policy["type"] == "Pods"
        else math.ceil(start * (1 + policy["value"] / 100))
        for policy, start in _starts(rules, current, memory, now)
    ]
    return _select(rules, current, rates, max, min)


def _floor(spec: Object, current: int, memory: Memory, now: datetime) -> int:
    """How low it may go at once."""
    if not spec.get("behavior"):
        return 0
    rules = _rules(spec, "scaleDown", _DOWN)
    rates = [
        start - policy["value"]
        if policy["type"] == "Pods"
        else int(start * (1 - policy["value"] / 100))
        for policy, start in _starts(rules, current, memory, now)
    ]
    return _select(rules, current, rates, min, max)


def _starts(rules: Object, current: int, memory: Memory, now: datetime) -> list[tuple[Any, int]]:
    """Each policy, and the replicas that there were when its period began."""
    return [
        (policy, current - memory.sum_of_changes(policy["periodSeconds"], now))
        for policy in rules["policies"]
    ]


def _select(
    rules: Object,
    current: int,
    rates: list[int],
    most: Callable[[list[int]], int],
    least: Callable[[list[int]], int],
) -> int:
    chosen = rules.get("selectPolicy", "Max")
    if chosen == "Disabled":
        return current
    return least(rates) if chosen == "Min" else most(rates)
