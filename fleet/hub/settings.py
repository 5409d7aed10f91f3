"""What a hub is told at its start. Seconds are seconds; every number has a sane default."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

OFFLINE_AFTER_INTERVALS = 3


@dataclass(frozen=True, slots=True)
class HubSettings:
    """One hub. Knobs below `poll_seconds` are for demos and tests."""

    repo: str
    """The fleet repository: a folder or a Git URL."""
    state_dir: Path
    """Store, artifacts, operator token; one hub at a time uses it."""
    branch: str = ""
    """Empty: the branch that HEAD names."""
    poll_seconds: float = 180
    poll_jitter: float = 0.1
    """A part of `poll_seconds`, 0 to 1."""
    heartbeat_seconds: float = 10
    """What agents are asked for; a cluster is offline after three without one."""
    degraded_seconds: float = 60
    """How long Degraded lasts before a run counts the cluster as failed."""
    advance_seconds: float = 1
    """A run is looked at no more often than this."""
    people: Path | None = None
    """The file of people and their tokens; without it only the operator token is known."""

    @property
    def offline_seconds(self) -> float:
        """How long a cluster is silent before it is offline."""
        return OFFLINE_AFTER_INTERVALS * self.heartbeat_seconds
