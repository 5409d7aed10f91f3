"""Long polls: who waits for a change, and is woken when it comes.

Waiters live on one event loop; `ring` may be called from any thread. A ring wakes everybody who
waits for that name. Names are clusters, and one for the hub's own loop.
Waits are bounded, and so is the number of waiters for one name: one more wakes the oldest.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable

MOST_WAITERS = 64


class Doorbell:
    """Wakes those who wait."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: defaultdict[str, list[asyncio.Event]] = defaultdict(list)
        self._closed = False

    def listen(self, name: str) -> asyncio.Event:
        """An event that the next ring for `name` sets; give it back with `forget`.

        Listen first and look afterwards: a ring between looking and waiting is then not missed.
        """
        self._loop = asyncio.get_running_loop()
        event = asyncio.Event()
        waiting = self._waiting[name]
        waiting.append(event)
        if len(waiting) > MOST_WAITERS:
            waiting.pop(0).set()
        if self._closed:
            event.set()
        return event

    def forget(self, name: str, event: asyncio.Event) -> None:
        """The event is no longer waited for."""
        waiting = self._waiting[name]
        if event in waiting:
            waiting.remove(event)
        if not waiting:
            del self._waiting[name]

    def ring(self, names: Iterable[str]) -> None:
        """Something changed for these names. Callable from every thread."""
        names = frozenset(names)
        if not names or self._loop is None or self._loop.is_closed():
            return
        self._loop.call_soon_threadsafe(self._wake, names)

    def close(self) -> None:
        """Wake everybody, and let nobody wait any more: the hub ends. Call it on the loop."""
        self._closed = True
        self._wake(frozenset(self._waiting))

    def _wake(self, names: frozenset[str]) -> None:
        for name in names:
            for event in self._waiting.get(name, ()):
                event.set()


async def wait_for(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event for at most that long; did it come?"""
    try:
        async with asyncio.timeout(max(0.0, seconds)):
            await event.wait()
    except TimeoutError:
        return False
    return True
