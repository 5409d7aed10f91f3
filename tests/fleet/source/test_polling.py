"""When to fetch next."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

from fleet.source import Polling

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def test_polls_stay_within_the_jitter_and_use_all_of_it() -> None:
    rng = Random(7)
    waits = [Polling().next_poll(NOW, rng) - NOW for _ in range(1000)]
    assert timedelta(seconds=162) <= min(waits) < timedelta(seconds=165)
    assert timedelta(seconds=195) < max(waits) <= timedelta(seconds=198)


def test_the_same_dice_give_the_same_poll() -> None:
    polling = Polling(interval=timedelta(seconds=10), jitter=0.5)
    assert polling.next_poll(NOW, Random(3)) == polling.next_poll(NOW, Random(3))
    assert Polling(jitter=0).next_poll(NOW, Random(3)) == NOW + timedelta(minutes=3)
