"""How long to wait after the n-th failure in a row: exponential, bounded, with drawn jitter.

A bundle may choose its own first wait, growth and longest wait; the jitter stays.
"""

from __future__ import annotations

from random import Random

from agents.protocol import Retry
from agents.settings import Settings


def delay_seconds(
    failures: int, settings: Settings, dice: Random, retry: Retry | None = None
) -> float:
    """Seconds until the next attempt after `failures` (≥ 1) failures in a row.

    The dice are an argument, so equal seeds give equal delays.
    """
    own = retry or Retry()
    first = own.duration_seconds or settings.backoff_first_seconds
    factor = own.factor or settings.backoff_factor
    limit = own.max_duration_seconds or max(first, settings.backoff_limit_seconds)
    exponent = min(max(failures - 1, 0), 60)
    bounded = min(first * factor**exponent, limit)
    return bounded * (1 + settings.backoff_jitter * (2 * dice.random() - 1))
