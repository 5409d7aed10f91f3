"""Where runs, stages and clusters can be, in the words that people see. See rollouts.md, States.

Terminal for a run: SUCCEEDED, ABORTED, SUPERSEDED, ROLLED_BACK, ROLLBACK_FAILED. How one state
follows from another is `fleet.rollout.tables`; a state is added there and here together, with
docs/rollouts.md.
"""

from __future__ import annotations

from enum import StrEnum


class RunState(StrEnum):
    """Where a run is."""

    QUEUED = "Queued"
    RUNNING = "Running"
    PAUSED = "Paused"
    FAILING = "Failing"
    ROLLING_BACK = "RollingBack"
    ROLLED_BACK = "RolledBack"
    ROLLBACK_FAILED = "RollbackFailed"
    SUCCEEDED = "Succeeded"
    ABORTED = "Aborted"
    SUPERSEDED = "Superseded"


class StageState(StrEnum):
    """Where a stage of a run is."""

    WAITING = "Waiting"
    GATED_BEFORE = "GatedBefore"
    UPDATING = "Updating"
    VERIFYING = "Verifying"
    GATED_AFTER = "GatedAfter"
    DONE = "Done"
    FAILED = "Failed"
    SKIPPED = "Skipped"


class ClusterState(StrEnum):
    """Where one cluster of a run is."""

    QUEUED = "Queued"
    ASSIGNED = "Assigned"
    APPLYING = "Applying"
    VERIFYING = "Verifying"
    HEALTHY = "Healthy"
    FAILED = "Failed"
    TIMED_OUT = "TimedOut"
    STILL_UNHEALTHY = "StillUnhealthy"
    OFFLINE = "Offline"
    PENDING = "Pending"
    SKIPPED = "Skipped"
    REMOVED = "Removed"
    HELD = "Held"
    REVERTING = "Reverting"
    REVERTED = "Reverted"
    REVERT_FAILED = "RevertFailed"


class Lane(StrEnum):
    """A staged run, or one that brings late clusters up to what a finished run delivered."""

    STAGED = "Staged"
    CATCH_UP = "CatchUp"


class Intent(StrEnum):
    """What people want of a run."""

    RUN = "Run"
    PAUSE = "Pause"
    ABORT = "Abort"
