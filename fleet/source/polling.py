"""When to look for a new commit: every `interval`, less or more by `jitter`.

The jitter keeps many hubs from asking a Git host in the same second.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random


@dataclass(frozen=True, slots=True)
class Polling:
    """A schedule. `jitter` is a part of the interval, 0 to 1."""

    interval: timedelta = timedelta(minutes=3)
    jitter: float = 0.1

    def next_poll(self, now: datetime, rng: Random) -> datetime:
        """The moment to fetch next, `interval` from now, less or more by `jitter`."""
        return now + self.interval * (1 + self.jitter * rng.uniform(-1, 1))
