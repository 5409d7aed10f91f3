"""How long to wait after the n-th failure in a row: exponential, bounded, with drawn jitter."""

from __future__ import annotations

from random import Random

from agents.settings import Settings


def delay_seconds(failures: int, settings: Settings, dice: Random) -> float:
    """Seconds until the next attempt after `failures` (≥ 1) failures in a row.

    The dice are an argument, so equal seeds give equal delays.
    """
    exponent = min(max(failures - 1, 0), 60)
    plain = settings.backoff_first_seconds * settings.backoff_factor**exponent
    bounded = min(plain, settings.backoff_limit_seconds)
    return bounded * (1 + settings.backoff_jitter * (2 * dice.random() - 1))
