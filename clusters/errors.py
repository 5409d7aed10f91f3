"""What can go wrong between a caller and one cluster: a closed tree, one class for each decision.

::

    ClusterError
    ├── UnreachableError        no answer: refused, reset, name not found        → retry later
    ├── TimedOutError           an answer was due and did not come               → retry later
    ├── TooManyRequestsError    429, 5xx that says "later"; `retry_after` seconds → retry after it
    ├── UnauthorizedError       401: who are you                                 → credentials
    ├── ForbiddenError          403: you may not                                 → RBAC
    ├── NotFoundError           404 for an object (or its namespace)             → create it first
    ├── KindNotFoundError       404 for a kind: no such API here                 → wait for its CRD
    ├── ConflictError           409: field owned by another manager, or a stale precondition
    │   └── AlreadyExistsError  409: create found one of that name
    ├── InvalidError            422: the object is wrong; `fields` says where    → fix Git
    │   └── ImmutableError      422: a field that never changes was changed      → recreate it
    ├── QuotaError              403 by a ResourceQuota                           → raise the quota
    ├── AdmissionError          a webhook or policy denied it                    → ask who owns that
    └── ExpiredError            410: that resourceVersion is compacted           → list again

Never holds a Secret's values: messages come from `redacted` text only.
"""

from __future__ import annotations


class ClusterError(Exception):
    """One answer of a cluster that is not a success; `code` is stable, for machines."""

    code = "cluster-error"
    retryable = False


class UnreachableError(ClusterError):
    """The API server did not answer at all."""

    code = "unreachable"
    retryable = True


class TimedOutError(ClusterError):
    """An answer was due within the call's time limit and did not come."""

    code = "timed-out"
    retryable = True


class TooManyRequestsError(ClusterError):
    """The API server asks for patience; `retry_after` is in seconds."""

    code = "too-many-requests"
    retryable = True

    def __init__(self, message: str, retry_after: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class UnauthorizedError(ClusterError):
    """401: the credentials are missing, wrong or expired."""

    code = "unauthorized"


class ForbiddenError(ClusterError):
    """403: these credentials may not do this."""

    code = "forbidden"


class NotFoundError(ClusterError):
    """404 for an object, or for the namespace that it should be made in."""

    code = "not-found"


class KindNotFoundError(ClusterError):
    """The cluster serves no such kind, for example because its CRD is not there yet."""

    code = "kind-not-found"
    retryable = True


class ConflictError(ClusterError):
    """409: `managers` own `fields` that this apply would change, or a precondition is stale."""

    code = "conflict"

    def __init__(
        self, message: str, managers: tuple[str, ...] = (), fields: tuple[str, ...] = ()
    ) -> None:
        super().__init__(message)
        self.managers = managers
        self.fields = fields


class AlreadyExistsError(ConflictError):
    """409: something of that name exists."""

    code = "already-exists"


class InvalidError(ClusterError):
    """422: the object itself is wrong; `fields` are the paths that the server names."""

    code = "invalid"

    def __init__(self, message: str, fields: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.fields = fields


class ImmutableError(InvalidError):
    """422: a field that can never change was changed; only recreating the object helps."""

    code = "immutable"


class QuotaError(ClusterError):
    """403 by a ResourceQuota."""

    code = "quota"


class AdmissionError(ClusterError):
    """An admission webhook or policy denied the request, or could not be asked (`retryable`)."""

    code = "admission"
    refuses_dry_run = False
    """The webhook has side effects: it takes the object, but never a dry-run of it."""


class ExpiredError(ClusterError):
    """410: the resourceVersion to go on from is gone; list again."""

    code = "expired"
    retryable = True
