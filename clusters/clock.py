"""The one place where a process asks what time it is.

Decisions take `now` as an argument; the thin programs that perform take a `Clock`. Tests and
simulations pass a `FakeClock` and move it by hand, so nothing in a test waits.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """What time it is, and how to wait."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after that many seconds of this clock."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The present moment, aware, in UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait on the running event loop."""
        await asyncio.sleep(max(0.0, seconds))


class SteadyClock:
    """The machine's time as it was at the start, and from there on seconds that really passed.

    A process that only counts seconds is not thrown off by a clock that somebody sets right, or
    wrong, while it runs: nothing that was due in a minute is due in hours.
    """

    def __init__(self) -> None:
        self._start = datetime.now(UTC)
        self._counted_from = time.monotonic()

    def now(self) -> datetime:
        """The moment that the seconds counted lead to, aware, in UTC."""
        return self._start + timedelta(seconds=time.monotonic() - self._counted_from)

    async def sleep(self, seconds: float) -> None:
        """Wait on the running event loop."""
        await asyncio.sleep(max(0.0, seconds))


class FakeClock:
    """A clock that stands still until it is moved; sleepers wake in order of their due time."""

    def __init__(self, start: datetime | None = None) -> None:
        self._now = start or datetime(2030, 1, 1, tzinfo=UTC)
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> datetime:
        """The moment that the clock was last moved to."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock has been moved past the due time."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        due = self._now + timedelta(seconds=seconds)
        heapq.heappush(self._sleepers, (due, self._count, future))
        await future

    def advance(self, seconds: float) -> None:
        """Move the clock; wakes everybody who is due by then."""
        self._now += timedelta(seconds=seconds)
        while self._sleepers and self._sleepers[0][0] <= self._now:
            _, _, future = heapq.heappop(self._sleepers)
            if not future.done():
                future.set_result(None)
