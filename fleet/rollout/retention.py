"""Which runs of the past are kept: `history.runs` of each rollout. Pure.

The newest so many of a rollout are kept, of staged runs and of the catch-up lane each; so is every
run that something still stands on, however old it is, and every run of a rollout that says nothing
of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from fleet.rollout.rules import HistoryRules


@dataclass(frozen=True, slots=True)
class Past:
    """A stored run as far as it may be forgotten."""

    uid: str
    number: int
    rollout: str
    lane: str
    ended: bool


def superfluous(
    runs: Iterable[Past], rules: Mapping[str, HistoryRules], needed: Collection[str]
) -> list[Past]:
    """The runs that are kept no longer, oldest first; `rules` by rollout."""
    found = []
    seen: Counter[tuple[str, str]] = Counter()
    for run in sorted(runs, key=lambda one: one.number, reverse=True):
        seen[run.rollout, run.lane] += 1
        most = rules[run.rollout].runs if run.rollout in rules else None
        if most is None or seen[run.rollout, run.lane] <= most:
            continue
        if run.ended and run.uid not in needed:
            found.append(run)
    return found[::-1]
