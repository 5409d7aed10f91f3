"""What somebody saw who looked at the hub at every moment: runs, stages and held changes in time.

The hub remembers how a run stands, not how it stood; here every answer is kept for as long as it
was the answer. Nothing is asked that `fleet rollout status` and `fleet explain` do not show.

::

    (run, "")                     state and reason of a run          of_run(spans, run)
    (run, stage)                  of a stage                         of_run(spans, run, stage)
    (run, stage, code, clusters)  what keeps clusters of an open stage         kept(…)
    ("held", bundle, code, reason, clusters)  what no run carries              held(…)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from fleet.rollout.states import RunState, StageState
from fleet.rollout.step import StageStatus
from fleet.store import Connection
from fleet.store.runs import stages_of

SETTLING = "WaitsForPushes"
"""Every change is held so for `source.coalesce`: not worth a line."""
TURN = ("NoFreeSlot", "BatchNotHealthy")
"""Their turn has not come: nothing that is to be told of each."""
COUNTED = (StageState.UPDATING, StageState.VERIFYING, StageState.DONE)
"""States in which the reason of a stage counts its clusters."""

Key = tuple[str, ...]
Seen = tuple[Key, str, str]
"""Key, state, reason."""


@dataclass(frozen=True, slots=True)
class Span:
    """Something that was so for a time."""

    key: Key
    state: str
    why: str
    begin: datetime
    end: datetime | None = None

    @property
    def names(self) -> list[str]:
        """The clusters that the key names."""
        return [name for name in self.key[-1].split(" ") if name]


class Watcher:
    """Looks and remembers; `look` at every moment at which something may have changed."""

    def __init__(self) -> None:
        self._open: dict[Key, Span] = {}
        self._closed: list[Span] = []

    def look(self, c: Connection, now: datetime) -> None:
        """Everything that is so now."""
        seen = {key: (state, why) for key, state, why in (*_runs(c), *_held(c))}
        for key in [k for k, span in self._open.items() if seen.get(k) != (span.state, span.why)]:
            self._closed.append(replace(self._open.pop(key), end=now))
        for key, (state, why) in seen.items():
            self._open.setdefault(key, Span(key, state, why, now))

    def spans(self) -> list[Span]:
        """All that was so, by when it began; what still is so has no end."""
        return sorted((*self._closed, *self._open.values()), key=lambda span: span.begin)


def of_run(spans: Iterable[Span], run: str, stage: str = "") -> list[Span]:
    """How a run, or one stage of it, stood, in order."""
    return [span for span in spans if span.key == (run, stage)]


def kept(spans: Iterable[Span], run: str, stage: str) -> list[Span]:
    """What kept clusters of a stage that could have gone on, in order."""
    return [span for span in spans if len(span.key) == 4 and span.key[:2] == (run, stage)]


def held(spans: Iterable[Span]) -> list[Span]:
    """What no run carried, in order."""
    return [span for span in spans if span.key[0] == "held"]


def _runs(c: Connection) -> Iterator[Seen]:
    rows = c.execute("SELECT uid, state, reason FROM run WHERE ended_at IS NULL").fetchall()
    for row in rows:
        is_moving = row["state"] == RunState.RUNNING
        yield (row["uid"], ""), row["state"], "" if is_moving else row["reason"]
        stages = stages_of(c, row["uid"])
        yield from _kept(c, row["uid"], stages)
        for stage in stages:
            why = "" if stage.state in COUNTED else stage.reason
            yield (row["uid"], stage.name), stage.state.value, why


def _kept(c: Connection, run: str, stages: Iterable[StageStatus]) -> Iterator[Seen]:
    open_ones = [stage.name for stage in stages if stage.state is StageState.UPDATING]
    rows = c.execute(
        "SELECT stage, code, reason, group_concat(cluster, ' ') AS names FROM run_cluster"
        " WHERE run = ? AND state IN ('Queued', 'Offline', 'Held') GROUP BY stage, code, reason",
        (run,),
    ).fetchall()
    for row in rows:
        if row["stage"] in open_ones and row["code"] not in TURN:
            yield (run, row["stage"], row["code"], row["names"]), row["code"], row["reason"]


def _held(c: Connection) -> Iterator[Seen]:
    rows = c.execute(
        "SELECT bundle, code, reason, group_concat(cluster, ' ') AS names FROM held_change"
        " WHERE code <> ? GROUP BY bundle, code, reason",
        (SETTLING,),
    ).fetchall()
    for row in rows:
        key = ("held", row["bundle"], row["code"], row["reason"], row["names"])
        yield key, row["code"], row["reason"]
