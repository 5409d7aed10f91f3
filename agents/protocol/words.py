"""The states that hub, agent, CLI, API and pages show, each with one meaning."""

from __future__ import annotations

from enum import StrEnum


class SyncState(StrEnum):
    """Does the cluster hold what the bundle deployment says?"""

    SYNCED = "Synced"
    OUT_OF_SYNC = "OutOfSync"
    SYNCING = "Syncing"
    WAITING = "Waiting"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


def was_applied(sync: SyncState, drifted: int) -> bool:
    """Is a bundle deployment completely applied, also if live objects were changed since?

    Drift that is left alone is OutOfSync and says so by `drifted`; it is no step back.
    """
    return sync is SyncState.SYNCED or (sync is SyncState.OUT_OF_SYNC and drifted > 0)


class Health(StrEnum):
    """Do the objects work? `UNKNOWN` never counts as success."""

    HEALTHY = "Healthy"
    PROGRESSING = "Progressing"
    DEGRADED = "Degraded"
    SUSPENDED = "Suspended"
    MISSING = "Missing"
    UNKNOWN = "Unknown"

    @classmethod
    def worst(cls, states: list[Health]) -> Health:
        """The state that speaks for all of them; an empty list is healthy."""
        return max(states, key=_SEVERITY.__getitem__, default=cls.HEALTHY)


_SEVERITY = {
    Health.HEALTHY: 0,
    Health.SUSPENDED: 1,
    Health.PROGRESSING: 2,
    Health.UNKNOWN: 3,
    Health.MISSING: 4,
    Health.DEGRADED: 5,
}


class DriftMode(StrEnum):
    """What an agent does about live state that differs from the applied artifact."""

    CORRECT = "correct"
    WARN = "warn"


class Deletion(StrEnum):
    """What becomes of a bundle's objects when it leaves a cluster."""

    WAIT = "wait"
    """They are deleted; the bundle is gone when they are."""
    DELETE = "delete"
    """They are deleted; the bundle is gone when the API server has taken the orders."""
    ORPHAN = "orphan"
    """They stay, without an owner."""


class Readiness(StrEnum):
    """How a bundle stands in a cluster, in Rancher Fleet's words; `dependsOn` accepts by them."""

    READY = "Ready"
    NOT_READY = "NotReady"
    """Applied, and not healthy."""
    MODIFIED = "Modified"
    """It has drifted and is only warned of."""
    WAIT_APPLIED = "WaitApplied"
    """Under way, or held."""
    ERR_APPLIED = "ErrApplied"
    OUT_OF_SYNC = "OutOfSync"
    """It cannot be seen how it is."""
    PENDING = "Pending"
    """Not started in its wanted version."""

    @classmethod
    def of(cls, sync: SyncState, health: Health) -> Readiness:
        """The word for a bundle that is reported under its wanted digest."""
        if sync is SyncState.SYNCED:
            return cls.READY if health is Health.HEALTHY else cls.NOT_READY
        return _READINESS[sync]


_READINESS = {
    SyncState.OUT_OF_SYNC: Readiness.MODIFIED,
    SyncState.SYNCING: Readiness.WAIT_APPLIED,
    SyncState.WAITING: Readiness.WAIT_APPLIED,
    SyncState.FAILED: Readiness.ERR_APPLIED,
    SyncState.UNKNOWN: Readiness.OUT_OF_SYNC,
}
