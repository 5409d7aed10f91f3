"""Which sync state and health a bundle deployment shows: one table, read from the top.

::

    registered?  no                                        Unknown    never heard of the cluster
    wanted and granted nothing                             Waiting    a run has to bring it first
    reported another digest or generation than granted     Syncing    the agent is told, not done
    reported Failed                                        Failed
    reported as granted, but Git wants another digest      Waiting    if a run is to bring it
                                                           OutOfSync  if none is
    otherwise                                              what the agent reported

Health is what the agent reported of the digest that it runs, `Missing` where nothing was ever
granted, `Unknown` where nothing was reported.
"""

from __future__ import annotations

from dataclasses import dataclass

from agents.protocol import ABSENT, Health, SyncState


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one bundle deployment. Digests are ``""`` for nothing."""

    registered: bool
    online: bool
    wanted: str
    current: str
    generation: int = 0
    reported: str = ""
    reported_generation: int = 0
    sync: SyncState = SyncState.UNKNOWN
    health: Health = Health.UNKNOWN
    held: bool = False
    """Git's source of it does not render: it keeps what it runs."""
    awaited: bool = False
    """A live run is to bring the wanted digest here."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What people see; `current` is false where it is as of the last report."""

    sync: SyncState
    health: Health
    why: str = ""
    current: bool = True


def shown(facts: Facts) -> Shown:
    """The states of one bundle deployment, by the table above."""
    sync, health, why = _judged(facts)
    if facts.registered and not facts.online:
        return Shown(sync, health, "offline: as of the last report", current=False)
    return Shown(sync, health, why)


def counted(state: Shown) -> tuple[SyncState, Health]:
    """What a count may say of it: what is not current is Unknown."""
    return (state.sync, state.health) if state.current else (SyncState.UNKNOWN, Health.UNKNOWN)


def _judged(facts: Facts) -> tuple[SyncState, Health, str]:
    if not facts.registered:
        return SyncState.UNKNOWN, Health.UNKNOWN, "its agent never registered"
    if not facts.current:
        why = "a run is to bring it" if facts.awaited else "nothing was released here yet"
        why = "its source does not render" if facts.held else why
        return SyncState.WAITING, Health.MISSING, why
    if (facts.reported, facts.reported_generation) != (facts.current, facts.generation):
        return SyncState.SYNCING, Health.UNKNOWN, "granted, not reported yet"
    if facts.sync is SyncState.FAILED:
        return SyncState.FAILED, facts.health, ""
    if facts.held:
        return facts.sync, facts.health, "its source does not render: it keeps what it runs"
    if facts.wanted != facts.current and not (facts.wanted == "" and facts.current == ABSENT):
        if facts.awaited:
            return SyncState.WAITING, facts.health, "a run is to bring a newer one"
        return SyncState.OUT_OF_SYNC, facts.health, "Git wants another digest"
    return facts.sync, facts.health, ""
