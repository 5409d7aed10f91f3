"""How errors look on the wire: `Status` objects with code, reason, details and causes.

Never contains a Secret's values, since the messages of the errors do not.
"""

from __future__ import annotations

import re
from typing import Any

from clusters.errors import (
    AdmissionError,
    AlreadyExistsError,
    ClusterError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    InvalidError,
    KindNotFoundError,
    NotFoundError,
    QuotaError,
    TooManyRequestsError,
    UnauthorizedError,
)
from clusters.objects import Object
from clusters.simulation.http.routes import Target
from clusters.simulation.server.ownership import FieldConflictError
from clusters.simulation.server.rejections import (
    BadRequestError,
    MethodNotAllowedError,
    NamespaceTerminatingError,
    NotAcceptableError,
    PreconditionError,
    RejectedError,
    RejectedImmutableError,
    TypedPatchError,
    UnsupportedMediaTypeError,
    WebhookError,
)

_CODES: tuple[tuple[type[ClusterError], int, str], ...] = (
    (BadRequestError, 400, "BadRequest"),
    (MethodNotAllowedError, 405, "MethodNotAllowed"),
    (NotAcceptableError, 406, "NotAcceptable"),
    (UnsupportedMediaTypeError, 415, "UnsupportedMediaType"),
    (UnauthorizedError, 401, "Unauthorized"),
    (ForbiddenError, 403, "Forbidden"),
    (QuotaError, 403, "Forbidden"),
    (AdmissionError, 403, "Forbidden"),
    (NotFoundError, 404, "NotFound"),
    (KindNotFoundError, 404, "NotFound"),
    (AlreadyExistsError, 409, "AlreadyExists"),
    (ConflictError, 409, "Conflict"),
    (ExpiredError, 410, "Expired"),
    # A real server has no better answer to an applied field that the schema does not know.
    (TypedPatchError, 500, ""),
    (InvalidError, 422, "Invalid"),
    (TooManyRequestsError, 429, "TooManyRequests"),
)


_ABOUT = re.compile(r'^\S+ "([^"]+)" (?:is forbidden:|is invalid:|already exists)')
_NAMED = re.compile(r'^([a-z]+)(?:\.(\S+))? "([^"]+)" (?:not found|already exists)$')


def status_of(error: ClusterError, target: Target | None) -> Object:
    """The Status body of an error; its `code` is the HTTP status."""
    code, reason = _code(error)
    status: Object = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": str(error),
        "code": code,
    }
    if reason:
        status["reason"] = reason
    details = _details(error, target)
    # Clients read through the details of whatever is not found, so there are always some.
    if details or code == 404:
        status["details"] = details
    return status


def _code(error: ClusterError) -> tuple[int, str]:
    if isinstance(error, WebhookError):
        return error.status_code, error.reason
    return next(
        ((code, reason) for kind, code, reason in _CODES if isinstance(error, kind)),
        (500, "InternalError"),
    )


def _details(error: ClusterError, target: Target | None) -> dict[str, Any]:
    details: dict[str, Any] = {}
    tells = isinstance(error, NotFoundError | AlreadyExistsError)
    named = _NAMED.match(str(error)) if tells else None
    if named:
        # What is missing may be the namespace, so the message knows better than the URL.
        plural, group, name = named.groups()
        details = {"name": name, "kind": plural} | ({"group": group} if group else {})
    elif isinstance(error, RejectedError | RejectedImmutableError) and error.kind is not None:
        details = _details_of(error.name, error.kind.group, error.kind.kind)
    elif isinstance(error, PreconditionError) and target is not None:
        details = _details_of(target.name, target.kind.group, target.kind.kind)
    elif target is not None and not isinstance(error, _WITHOUT_DETAILS):
        details = _target_details(error, target)
    causes = _causes(error)
    if causes:
        details["causes"] = causes
    if isinstance(error, TooManyRequestsError):
        details["retryAfterSeconds"] = max(1, round(error.retry_after))
    return details


_WITHOUT_DETAILS = (
    KindNotFoundError,
    InvalidError,
    FieldConflictError,
    WebhookError,
)


def _details_of(name: str, group: str, kind: str) -> dict[str, Any]:
    parts = {"name": name, "group": group, "kind": kind}
    return {key: value for key, value in parts.items() if value}


def _target_details(error: ClusterError, target: Target) -> dict[str, Any]:
    details: dict[str, Any] = {}
    # The path of a create has no name; the message has, also one that the server made up.
    said = _ABOUT.match(str(error))
    name = target.name or (said[1] if said else "")
    if name:
        details["name"] = name
    if target.kind.group:
        details["group"] = target.kind.group
    details["kind"] = target.traits.resource.plural
    return details


def _causes(error: ClusterError) -> list[dict[str, str]]:
    if isinstance(error, FieldConflictError):
        return [
            {"reason": "FieldManagerConflict", "message": message, "field": field}
            for field, message in error.causes
        ]
    if isinstance(error, RejectedError | RejectedImmutableError):
        return [
            {"reason": cause.reason, "message": cause.message, "field": cause.field}
            for cause in error.causes
        ]
    if isinstance(error, WebhookError) and error.reason == "InternalError":
        return [{"message": str(error).partition(": ")[2]}]
    if isinstance(error, NamespaceTerminatingError):
        message = "the namespace is being terminated"
        return [{"reason": "NamespaceTerminating", "message": message, "field": ""}]
    return []


def success(target: Target, obj: Object) -> Object:
    """The Status of a delete that is complete."""
    details = {
        "name": target.name,
        "kind": target.traits.resource.plural,
        "uid": obj["metadata"].get("uid", ""),
    }
    if target.kind.group:
        details["group"] = target.kind.group
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Success",
        "details": details,
    }
