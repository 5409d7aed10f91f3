"""How often a server may be asked: a bucket of tokens, one for each request.

The bucket holds `burst` tokens and gains `per_second` of them; who finds none is told how long to
wait. Turns are given in the order of asking, so nobody starves. Pure but for its own count: time
is an argument, and whoever asks does the waiting.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests per second in the long run, and at once after a quiet time; 0 is no limit."""

    per_second: float = 0.0
    burst: int = 1


class Bucket:
    """The tokens of one connection."""

    def __init__(self, rate: Rate, now: datetime) -> None:
        self._rate = rate
        self._tokens = float(max(1, rate.burst))
        self._at = now

    def take(self, now: datetime) -> float:
        """Take one token; seconds to wait until it is there. Never gives it back."""
        if self._rate.per_second <= 0:
            return 0.0
        gained = max(0.0, (now - self._at).total_seconds()) * self._rate.per_second
        self._tokens = min(float(max(1, self._rate.burst)), self._tokens + gained) - 1.0
        self._at = max(now, self._at)
        return max(0.0, -self._tokens / self._rate.per_second)
