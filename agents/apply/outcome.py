"""What becomes of one object and of one bundle in a pass: plain values; reports tell them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from agents.diff import redacted
from agents.errors import cure_of
from agents.protocol import SyncState
from clusters.errors import (
    AdmissionError,
    ClusterError,
    ConflictError,
    ForbiddenError,
    TooManyRequestsError,
)
from clusters.objects import Object, ObjectKey


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one object could not be brought to what is wanted."""

    key: ObjectKey
    code: str
    message: str
    retry_after_seconds: float = 0.0
    """What the API server asked for, 0 if it did not."""

    @classmethod
    def of(cls, key: ObjectKey, error: ClusterError, obj: Object | None = None) -> Failure:
        """From the cluster's answer, without the values of a Secret."""
        message = redacted(str(error), obj) if obj else str(error)
        later = error.retry_after if isinstance(error, TooManyRequestsError) else 0.0
        return cls(key, _code(error), message, later)

    def text(self) -> str:
        """What and cure in one line."""
        cure = cure_of(self.code)
        return f"{self.message} (fix: {cure})" if cure else self.message


def _code(error: ClusterError) -> str:
    """The error's own code, but for those that pass by themselves."""
    if isinstance(error, AdmissionError) and error.retryable:
        return "webhook"
    if isinstance(error, ConflictError) and not error.managers:
        return "stale"
    if isinstance(error, ForbiddenError) and "being terminated" in str(error):
        return "terminating"
    return error.code


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a bundle stands after a pass."""

    sync: SyncState
    code: str = ""
    message: str = ""
    failures: tuple[Failure, ...] = ()
    pending: bool = False
    """Something is under way that the next pass should look at soon."""
    look_again: datetime | None = None
    """When the next pass is due at the latest, if nothing else asks for one."""
    notes: Mapping[ObjectKey, str] | None = None
    """Objects to say something about that failed nothing: kept, being deleted."""

    @property
    def failed(self) -> bool:
        """Does the next attempt come after a back-off?"""
        return self.sync is SyncState.FAILED


def failed(failures: list[Failure]) -> Outcome:
    """One outcome for several failures: the first by key speaks, all are listed."""
    ordered = tuple(sorted(failures, key=lambda item: (item.key, item.code)))
    first = ordered[0]
    more = f", and {len(ordered) - 1} more" if len(ordered) > 1 else ""
    message = f"{first.key}: {first.text()}{more}"
    return Outcome(SyncState.FAILED, first.code, message, ordered)


def failed_bundle(code: str, message: str) -> Outcome:
    """A failure of the bundle as a whole."""
    cure = cure_of(code)
    return Outcome(SyncState.FAILED, code, f"{message} (fix: {cure})" if cure else message)


def syncing(message: str) -> Outcome:
    """Under way: look again soon."""
    return Outcome(SyncState.SYNCING, message=message, pending=True)


_ENDLESS = frozenset({"unreachable", "timed-out", "too-many-requests", "expired", "artifact"})
"""The cluster's or the hub's own trouble: says nothing about the bundle, however long it lasts."""
_PATIENT = _ENDLESS | {
    "admission",
    "cluster-error",
    "kind-not-found",
    "not-found",
    "stale",
    "terminating",
    "webhook",
}
"""What another bundle or a webhook's backend may mend within a few attempts."""
PATIENCE = 5
"""Failures in a row after which patience ends."""


def is_endless(outcome: Outcome) -> bool:
    """Did it fail for the cluster's or the hub's own trouble alone?"""
    codes = {item.code for item in outcome.failures} or {outcome.code}
    return outcome.failed and codes <= _ENDLESS


def is_patient(outcome: Outcome) -> bool:
    """Did it fail for what waiting may mend?"""
    codes = {item.code for item in outcome.failures} or {outcome.code}
    return outcome.failed and codes <= _PATIENT


def given_up(now: Outcome, retries: int) -> Outcome:
    """A failure after which the bundle asked not to be tried again."""
    said = "1 retry" if retries == 1 else f"{retries} retries"
    return replace(now, message=f"{now.message}; given up after {said}")


def soften(now: Outcome, before: Outcome | None, failures: int, *, moving: bool) -> Outcome:
    """A failure as it is reported: one that waiting may mend is not called Failed at once.

    A rollout takes Failed for the end of the attempt. `failures` counts those in a row, this one
    included; an applied bundle that merely cannot be looked at stays what it was for a while.
    """
    codes = {item.code for item in now.failures} or {now.code}
    if not now.failed or not codes <= _PATIENT:
        return now
    endless = codes <= _ENDLESS
    if moving:
        return replace(now, sync=SyncState.SYNCING) if endless or failures <= PATIENCE else now
    if not endless:
        return now
    if before is not None and failures <= PATIENCE:
        return before
    return replace(now, sync=SyncState.UNKNOWN)
