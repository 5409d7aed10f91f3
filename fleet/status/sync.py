"""Which sync state and health a bundle deployment is in, from what is wanted, granted and reported.

::

    granted  answered  as wanted   sync state
    no       -         -           Waiting      a run has not let it start
    yes      no        -           Syncing      started, and no report on it yet
    yes      yes       yes         what the agent says
    yes      yes       no          what the agent says, but Waiting for Synced: Git wants another

*Granted*: the hub let the cluster start it. *Answered*: the last report speaks of exactly that
digest and generation. *As wanted*: Git wants the same digest, or it is not known what Git wants.
Health is the agent's word once it answered, and Unknown before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from agents.protocol import Health, SyncState

Row = Mapping[str, Any]

_SYNC: dict[tuple[bool, bool, bool], SyncState | None] = {
    (False, False, False): SyncState.WAITING,
    (False, False, True): SyncState.WAITING,
    (True, False, False): SyncState.SYNCING,
    (True, False, True): SyncState.SYNCING,
    (True, True, True): None,
    (True, True, False): None,
}


def sync_of(granted: bool, answered: bool, as_wanted: bool, said: str) -> SyncState:
    """The sync state by the table; `said` is the agent's word."""
    state = _SYNC[granted, granted and answered, as_wanted]
    if state is not None:
        return state
    word = SyncState(said)
    return SyncState.WAITING if word is SyncState.SYNCED and not as_wanted else word


def health_of(granted: bool, answered: bool, said: str) -> Health:
    """The agent's word once it answered for what was granted."""
    return Health(said) if granted and answered else Health.UNKNOWN


@dataclass(frozen=True, slots=True)
class Tally:
    """How many bundle deployments are in which state, those of clusters that are online."""

    total: int = 0
    offline: int = 0
    """Of clusters that are offline or never came: not in the counts below."""
    sync: Mapping[str, int] = field(default_factory=dict)
    health: Mapping[str, int] = field(default_factory=dict)
    drifted: int = 0
    contested: int = 0
    paused: int = 0

    @property
    def synced(self) -> int:
        """Those in sync."""
        return self.sync.get(SyncState.SYNCED, 0)

    def document(self) -> dict[str, Any]:
        """As shown."""
        return {
            "total": self.total,
            "synced": self.synced,
            "offline": self.offline,
            "drifted": self.drifted,
            "contested": self.contested,
            "paused": self.paused,
            "sync": dict(self.sync),
            "health": dict(self.health),
        }

    def worst_health(self) -> str:
        """The health that speaks for all; Unknown where nobody online can say."""
        if not self.health:
            return str(Health.UNKNOWN)
        return str(Health.worst([Health(word) for word in self.health]))


def tally(rows: Iterable[Row]) -> Tally:
    """Add up rows of facts: `granted`, `answered`, `as_wanted`, `sync`, `health`, `online`,
    `drifted`, `contested`, `paused`, and `n`, how many bundle deployments are like that."""
    total = offline = 0
    marks = dict.fromkeys(("drifted", "contested", "paused"), 0)
    sync: dict[str, int] = {}
    health: dict[str, int] = {}
    for row in rows:
        n = row["n"]
        total += n
        if not row["online"]:
            offline += n
            continue
        granted, answered = bool(row["granted"]), bool(row["answered"])
        state = sync_of(granted, answered, bool(row["as_wanted"]), row["sync"])
        word = health_of(granted, answered, row["health"])
        sync[str(state)] = sync.get(str(state), 0) + n
        health[str(word)] = health.get(str(word), 0) + n
        for mark in marks:
            marks[mark] += n if row[mark] else 0
    return Tally(total, offline, dict(sorted(sync.items())), dict(sorted(health.items())), **marks)
