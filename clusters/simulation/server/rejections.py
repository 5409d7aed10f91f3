"""Refusals with the detail that Kubernetes' Status carries: which field, why, in what words.

Every class is one of `clusters.errors`, so callers in process decide as they would with a real
cluster; the HTTP face reads `causes` and the finer classes to answer as a real server does.

::

    InvalidError     ── RejectedError    422 with causes
                     ── BadRequestError  400: cannot be read at all
                     ── MethodNotAllowedError  405: not this verb here
                     ── NotAcceptableError  406: not in a form that the client takes
                     ── UnsupportedMediaTypeError  415: not in a form that is read here
                     ── TypedPatchError  500, as real servers do: an apply with unknown fields
    ImmutableError   ── RejectedImmutableError  422 with causes
    ForbiddenError   ── NamespaceTerminatingError  403
    ConflictError    ── PreconditionError  409: a precondition does not hold
    AdmissionError   ── WebhookError     what a webhook answered, or that it did not
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from clusters.errors import (
    AdmissionError,
    ConflictError,
    ForbiddenError,
    ImmutableError,
    InvalidError,
)
from clusters.objects import Kind

MANAGER_BYTES = 128


class Cause(NamedTuple):
    """One field that is wrong; `reason` is Kubernetes' word, such as `FieldValueRequired`."""

    field: str
    reason: str
    message: str


class RejectedError(InvalidError):
    """422 with the causes, about an object of `kind` that is called `name`."""

    def __init__(
        self, message: str, causes: Sequence[Cause], kind: Kind | None = None, name: str = ""
    ) -> None:
        super().__init__(message, _fields(causes))
        self.causes = tuple(causes)
        self.kind = kind
        self.name = name


class RejectedImmutableError(ImmutableError):
    """422: every cause is a field that never changes."""

    def __init__(
        self, message: str, causes: Sequence[Cause], kind: Kind | None = None, name: str = ""
    ) -> None:
        super().__init__(message, _fields(causes))
        self.causes = tuple(causes)
        self.kind = kind
        self.name = name


def _fields(causes: Sequence[Cause]) -> tuple[str, ...]:
    return tuple(sorted({cause.field for cause in causes}))


class BadRequestError(InvalidError):
    """400: the request cannot be understood."""


class MethodNotAllowedError(InvalidError):
    """405: what is asked for is not done to this."""


class NotAcceptableError(InvalidError):
    """406: there is no answer in a form that the client takes."""


class UnsupportedMediaTypeError(InvalidError):
    """415: the body is in a form that is not read here."""


class TypedPatchError(InvalidError):
    """An applied configuration does not fit the kind's schema."""


class NamespaceTerminatingError(ForbiddenError):
    """403: nothing new may come into a namespace that is going away."""


class PreconditionError(ConflictError):
    """409: the object is not in the state that the caller named."""


class WebhookError(AdmissionError):
    """A webhook denied it (with its own `code` and `reason`), or could not be asked (500)."""

    def __init__(self, message: str, code: int, reason: str = "") -> None:
        super().__init__(message)
        self.status_code = code
        self.reason = reason
        # One that could not be reached often only starts a moment after its Deployment.
        self.retryable = "failed calling webhook" in message


def required(field: str, hint: str = "") -> Cause:
    """A field that must be there."""
    return Cause(field, "FieldValueRequired", f"Required value{': ' + hint if hint else ''}")


def wrong(field: str, value: object, why: str) -> Cause:
    """A field with a value that cannot be. Not for Secrets: the value is shown."""
    shown = f'"{value}"' if isinstance(value, str) else str(value)
    return Cause(field, "FieldValueInvalid", f"Invalid value: {shown}: {why}")


def hidden(field: str, why: str) -> Cause:
    """A field with a wrong value that is not shown."""
    return Cause(field, "FieldValueInvalid", f"Invalid value: {why}")


def unsupported(field: str, value: object, allowed: Sequence[str]) -> Cause:
    """A field whose value is not one of the allowed ones."""
    choice = ", ".join(f'"{item}"' for item in allowed)
    return Cause(
        field, "FieldValueNotSupported", f'Unsupported value: "{value}": supported values: {choice}'
    )


def forbidden(field: str, why: str) -> Cause:
    """A field that may not be set or changed."""
    return Cause(field, "FieldValueForbidden", f"Forbidden: {why}")


def duplicate(field: str, value: object) -> Cause:
    """A value that is there twice."""
    return Cause(field, "FieldValueDuplicate", f'Duplicate value: "{value}"')


def rejected(kind: Kind, name: str, causes: Sequence[Cause]) -> RejectedError:
    """The error for an object that is wrong in these ways."""
    return RejectedError(_text(kind, name, causes), causes, kind, name)


def rejected_as_immutable(kind: Kind, name: str, causes: Sequence[Cause]) -> RejectedImmutableError:
    """The error for an object of which fields that never change were changed."""
    return RejectedImmutableError(_text(kind, name, causes), causes, kind, name)


def check_manager(manager: str) -> None:
    """Refuse a field manager's name that Kubernetes does not take. Errors: `RejectedError`."""
    options = Kind("meta.k8s.io", "PatchOptions")
    if len(manager.encode()) > MANAGER_BYTES:
        why = f"Too long: may not be more than {MANAGER_BYTES} bytes"
        raise rejected(options, "", (Cause("fieldManager", "FieldValueTooLong", why),))
    if not manager.isprintable():
        raise rejected(options, "", (wrong("fieldManager", manager, "should only be printable"),))


def _text(kind: Kind, name: str, causes: Sequence[Cause]) -> str:
    parts = [f"{cause.field}: {cause.message}" for cause in causes]
    what = parts[0] if len(parts) == 1 else "[" + ", ".join(parts) + "]"
    return f'{kind} "{name}" is invalid: {what}'
