"""How an agent stands, as far as probes and metrics tell it: plain values of one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agents.protocol import DeploymentReport, SyncState


@dataclass(frozen=True, slots=True)
class Standing:
    """One moment of one agent."""

    cluster: str
    version: str
    opened: bool
    """Are the inventories read?"""
    has_target: bool
    registered: bool
    polls_failed: int
    """Requests to the hub that failed in a row."""
    seconds_since_turn: float
    """Since the working loop came by."""
    reports: Mapping[str, DeploymentReport]
    passes: Mapping[SyncState, int]
    """Passes since the process began, by what they came to."""
    has_left: bool = False
    """Has the cluster left the fleet, and is nothing more to be done in it?"""
