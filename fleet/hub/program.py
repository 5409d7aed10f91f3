"""`Hub.step(now)`: look at Git if it is time, open runs, advance runs; says when to look again.

Blocks (SQL, Git, rendering): the process calls it in a thread and goes on serving. Between two
steps nothing matters that is not in the store; a hub that is killed anywhere goes on from there.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from datetime import datetime, timedelta
from random import Random

from fleet.hub.deciding import Deciding
from fleet.hub.following import Following
from fleet.hub.settings import HubSettings
from fleet.model import Problem, Severity
from fleet.render import Renderer
from fleet.source import Polling, Source
from fleet.store import Store
from fleet.store.agents import mark_offline, next_offline, rivals
from fleet.store.doorbell import Doorbell
from fleet.store.events import replace_problems
from fleet.store.standing import newest_event

log = logging.getLogger(__name__)


class Hub:
    """One hub's program. `step` from one thread at a time; `refresh` from any."""

    def __init__(
        self,
        store: Store,
        source: Source,
        renderer: Renderer,
        settings: HubSettings,
        *,
        bell: Doorbell,
        dice: Random,
    ) -> None:
        self._store, self._settings, self._bell, self._dice = store, settings, bell, dice
        self._following = Following(store, source, renderer)
        self._deciding = Deciding(store, settings.degraded_seconds)
        self._polling = Polling(timedelta(seconds=settings.poll_seconds), settings.poll_jitter)
        self._next_poll: datetime | None = None
        self._refresh = threading.Event()
        self._seen = -1

    def refresh(self) -> None:
        """Look at Git in the next step, whatever the schedule says."""
        self._refresh.set()

    def step(self, now: datetime) -> datetime:
        """Do what is due; when to be called again at the latest."""
        next_poll = self._poll(now)
        self._look_at_agents(now)
        wake = self._runs(now)
        with self._store.read() as c:
            silent = next_offline(c)
        due = [next_poll]
        if silent is not None:
            due.append(silent + timedelta(seconds=self._settings.offline_seconds, milliseconds=1))
        if wake is not None:
            due.append(wake)
        return max(min(due), now + timedelta(seconds=self._settings.advance_seconds))

    def _poll(self, now: datetime) -> datetime:
        if self._next_poll is None or now >= self._next_poll or self._refresh.is_set():
            self._refresh.clear()
            if self._following.poll(now):
                self._seen = -1
            self._next_poll = self._polling.next_poll(now, self._dice)
        return self._next_poll

    def _look_at_agents(self, now: datetime) -> None:
        since = now - timedelta(seconds=self._settings.offline_seconds)
        with self._store.read() as c:
            silent, two = next_offline(c), rivals(c, since)
        if silent is not None and silent < since:
            with self._store.write() as c:
                mark_offline(c, since, now)
        with self._store.write(durable=False) as c:
            replace_problems(c, "agents", rival_problems(two), now)

    def _runs(self, now: datetime) -> datetime | None:
        self._open(now)
        changed, wake, ended = self._deciding.advance_runs(now)
        if ended:
            self._open(now)
            more, again, _ = self._deciding.advance_runs(now)
            changed |= more
            wake = min((w for w in (wake, again) if w is not None), default=None)
        self._bell.ring(changed)
        return wake

    def _open(self, now: datetime) -> None:
        """Ask for new runs only if something happened since they were asked for last."""
        planned = self._following.planned
        with self._store.read() as c:
            newest = newest_event(c)
        if planned is None or newest == self._seen:
            return
        self._seen = newest
        self._deciding.open_runs(planned, self._following.title, self._following.author, now)


def rival_problems(clusters: Iterable[str]) -> list[Problem]:
    """Two agents that both speak for one cluster."""
    return [
        Problem(
            code="two-agents",
            severity=Severity.ERROR,
            what=f"two agents speak for cluster {cluster}; the one that registered last counts",
            at=cluster,
            fix="stop one of them; if you know of one only, make a new token for the cluster",
            cluster=cluster,
        )
        for cluster in clusters
    ]
