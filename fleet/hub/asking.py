"""The hub asks webhooks and Prometheus what gates want to know, at its own pace.

::

    open gates ──► due? ──► ask, `AT_ONCE` at a time ──► readings stored at once ──► news

Nothing is asked inside a transaction, and nothing of it holds up a step of the hub. A reading is
evidence and survives a restart; what is kept in memory says only when to ask again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime, timedelta

from clusters.clock import Clock
from fleet.hub.measuring import OpenGate, ask
from fleet.hub.outgoing import Outgoing
from fleet.rollout.evidence import Reading
from fleet.store import Store
from fleet.store.readings import keep_readings, readings_of

AT_ONCE = 8
Key = tuple[str, str]
"""(run, gate_id)."""


class Asker:
    """Asks for the gates of one hub; used by one task at a time."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock
        self._next: dict[Key, datetime] = {}

    def due(self, gates: Iterable[Key], now: datetime) -> tuple[list[Key], datetime | None]:
        """The open gates to be asked for now, and when the next ones are; forgets all others."""
        known = sorted(gates)
        self._next = {key: self._next[key] for key in known if key in self._next}
        found = [key for key in known if self._next.get(key, now) <= now]
        return found, min((at for at in self._next.values() if at > now), default=None)

    async def ask(self, gates: Iterable[OpenGate]) -> list[OpenGate]:
        """Ask for all of them and store what was said; returns them."""
        asked = list(gates)
        for gate in asked:
            pause = timedelta(seconds=gate.every_seconds)
            self._next[gate.run.uid, gate.name] = self._clock.now() + pause
        known = await asyncio.to_thread(self._last, {gate.run.uid for gate in asked})
        outgoing, slots = Outgoing(), asyncio.Semaphore(AT_ONCE)

        async def one(gate: OpenGate) -> Reading:
            async with slots:
                last = known.get((gate.run.uid, gate.name))
                return await ask(outgoing, gate, last, self._clock.now())

        try:
            readings = await asyncio.gather(*(one(gate) for gate in asked))
        finally:
            await outgoing.close()
        said = {(g.run.uid, g.name): r for g, r in zip(asked, readings, strict=True)}
        await asyncio.to_thread(self._keep, said)
        return asked

    def _last(self, runs: set[str]) -> dict[Key, Reading]:
        with self._store.read() as c:
            known = {run: readings_of(c, run) for run in runs}
        return {(run, name): one for run, some in known.items() for name, one in some.items()}

    def _keep(self, readings: dict[Key, Reading]) -> None:
        with self._store.write() as c:
            keep_readings(c, readings)
