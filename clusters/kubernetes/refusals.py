"""What an API server says instead of "yes", as one of `clusters.errors`.

`refusal(answer, subject)` is pure. The HTTP code decides first, then the reason and the causes of
the `Status` body, and the text only where Kubernetes puts the difference nowhere else:

    400, 413          InvalidError            401  UnauthorizedError
    403               QuotaError (`exceeded quota`), ForbiddenError (a user is named), else an
                      admission plugin spoke: AdmissionError
    404               NotFoundError if the Status names an object, KindNotFoundError if not
    409               AlreadyExistsError, ConflictError with managers and fields from the causes
    410               ExpiredError
    422               ImmutableError if every complaint is about change, else InvalidError
    429, 503, "later" TooManyRequestsError    502  UnreachableError    504  TimedOutError
    500               InvalidError if an applied field does not fit the schema, as servers answer
    any               AdmissionError if a webhook or policy is said to have denied it

Never repeats a value of a Secret: for that kind the server's text is left out but for the name of
the webhook or policy that spoke, since it may quote what was sent or what is there. Never treats an
unclear 422 as immutable: that could lead to a deletion, so the word must stand in the server's own
words, not in a quoted value.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson

from clusters.errors import (
    AdmissionError,
    AlreadyExistsError,
    ClusterError,
    ConflictError,
    ExpiredError,
    ForbiddenError,
    ImmutableError,
    InvalidError,
    KindNotFoundError,
    NotFoundError,
    QuotaError,
    TimedOutError,
    TooManyRequestsError,
    UnauthorizedError,
    UnreachableError,
)

MAX_TEXT = 1000
"""Characters of a server's message that are worth keeping."""

_MANAGER = re.compile(r'conflict with "((?:[^"\\]|\\.)*)"')
_WEBHOOK = re.compile(r'(?:admission webhook|failed calling webhook) "([^"]*)"')
_NO_DRY_RUN = re.compile(r'^admission webhook "[^"]*" does not support dry run$')
_POLICY = re.compile(r"ValidatingAdmissionPolicy '([^']*)'")
_QUOTA = re.compile(r"(?:exceeded|failed) quota: ([^\s,:]*)")
_DENIER = re.compile(
    r'^admission webhook "[a-z0-9.-]+"|\bfailed calling webhook "[a-z0-9.-]+"'
    r"|\bValidatingAdmissionPolicy '[a-z0-9.-]+'"
)
_REASON = re.compile(r"[A-Z][A-Za-z]{1,40}")
_TYPED_PATCH = "failed to create typed patch object"
_TYPED_FIELD = re.compile(r"(?:\): |^ +)\.([^\s:]+): ", re.MULTILINE)
_CHANGED = re.compile(
    r"\bimmutable\b|may not (?:be )?change|cannot change|"
    r"^updates to .*(?:are|is) forbidden|^updates to \w+ spec for fields other than"
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A response that is no success: its code, its body, and Retry-After in seconds if sent."""

    code: int
    body: bytes = b""
    retry_after: str = ""

    @property
    def seconds(self) -> float:
        """How long to wait, 0 if the server does not say."""
        return _seconds(self.retry_after)


def refusal(answer: Answer, subject: str, *, secret: bool = False) -> ClusterError:
    """The error for an answer; `subject` says which call on what, `secret` hides its text."""
    return status_refusal(_status(answer), subject, secret=secret, retry_after=answer.retry_after)


def status_refusal(
    status: dict[str, Any], subject: str, *, secret: bool = False, retry_after: str = ""
) -> ClusterError:
    """As `refusal`, for a `Status` object as a watch sends it."""
    message = f"{subject}: {_words(status, secret)}"
    error = _admission(status, message) or _by_code(status, message, retry_after)
    return error


def _status(answer: Answer) -> dict[str, Any]:
    """The Status of the body; one made of code and text if a proxy answered instead."""
    try:
        parsed = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        parsed = None
    if isinstance(parsed, dict) and parsed.get("kind") == "Status":
        return {**parsed, "code": answer.code}
    text = answer.body[:MAX_TEXT].decode("utf-8", "replace").strip()
    return {"code": answer.code, "message": text or f"HTTP {answer.code}"}


def _words(status: dict[str, Any], secret: bool) -> str:
    if not secret:
        text = str(status.get("message") or status.get("reason") or f"HTTP {status.get('code')}")
        return text if len(text) <= MAX_TEXT else text[:MAX_TEXT] + "…"
    return f"{_why_secretly(status)}; the server's text is left out because it may quote the Secret"


def _why_secretly(status: dict[str, Any]) -> str:
    """A webhook also chooses reason and fields as it likes, so then only its name counts."""
    denier = _DENIER.search(str(status.get("message") or ""))
    if denier:
        return f"refused: {denier.group()}"
    reason = str(status.get("reason") or "")
    fields = ", ".join(_fields(status))
    said = reason if _REASON.fullmatch(reason) else f"HTTP {status.get('code')}"
    return f"refused ({said})" + (f" at {fields}" if fields else "")


def _causes(status: dict[str, Any]) -> list[dict[str, Any]]:
    causes = (status.get("details") or {}).get("causes") or []
    return [cause for cause in causes if isinstance(cause, dict)]


def _fields(status: dict[str, Any]) -> tuple[str, ...]:
    named = {str(c["field"]) for c in _causes(status) if c.get("field")}
    if _is_typed_patch(status):
        named |= set(_TYPED_FIELD.findall(str(status["message"])))
    return tuple(sorted(named))


def _is_typed_patch(status: dict[str, Any]) -> bool:
    """An apply that does not fit the schema; real servers call that their own fault (500)."""
    return str(status.get("message") or "").startswith(_TYPED_PATCH)


def _admission(status: dict[str, Any], message: str) -> ClusterError | None:
    """A webhook's or policy's denial, whatever code it chose to give."""
    text = str(status.get("message") or "")
    if _WEBHOOK.search(text):
        error = AdmissionError(message)
        # A webhook that could not be reached often only starts a moment after its Deployment.
        error.retryable = "failed calling webhook" in text
        error.refuses_dry_run = _NO_DRY_RUN.search(text) is not None
        return error
    return AdmissionError(message) if _POLICY.search(text) else None


def _by_code(status: dict[str, Any], message: str, retry_after: str) -> ClusterError:
    code = int(status.get("code") or 0)
    if code in (400, 413, 422) or _is_typed_patch(status):
        return _invalid(status, message)
    if code == 403:
        return _forbidden(status, message)
    if code == 404:
        named = (status.get("details") or {}).get("name")
        return NotFoundError(message) if named else KindNotFoundError(message)
    if code == 409:
        return _conflict(status, message)
    plain = {
        401: UnauthorizedError,
        410: ExpiredError,
        502: UnreachableError,
        504: TimedOutError,
    }
    if code in plain:
        return plain[code](message)
    return _server_error(status, message, retry_after)


def _invalid(status: dict[str, Any], message: str) -> InvalidError:
    causes = _causes(status)
    complaints = [_complaint(cause) for cause in causes]
    # One complaint about something else means that recreating would fail as well.
    if status.get("code") == 422 and complaints and all(map(_CHANGED.search, complaints)):
        return ImmutableError(message, _fields(status))
    return InvalidError(message, _fields(status))


def _complaint(cause: dict[str, Any]) -> str:
    """The server's own words in a cause, without the value that it quotes."""
    text = str(cause.get("message") or "")
    if text.startswith("Forbidden: "):
        return text.removeprefix("Forbidden: ").split("\n", 1)[0]
    return text.rsplit(": ", 1)[-1]


def _forbidden(status: dict[str, Any], message: str) -> ClusterError:
    text = str(status.get("message") or "")
    if _QUOTA.search(text):
        return QuotaError(message)
    if any(cause.get("reason") == "NamespaceTerminating" for cause in _causes(status)):
        error = ForbiddenError(message)
        error.retryable = True  # the namespace will be gone, and can be made again
        return error
    named_user = re.search(r'\b[Uu]ser "', text)
    return (
        AdmissionError(message)
        if " is forbidden: " in text and not named_user
        else (ForbiddenError(message))
    )


def _conflict(status: dict[str, Any], message: str) -> ConflictError:
    if status.get("reason") == "AlreadyExists":
        return AlreadyExistsError(message)
    named = (_MANAGER.search(str(cause.get("message") or "")) for cause in _causes(status))
    managers = {match.group(1).replace('\\"', '"') for match in named if match}
    return ConflictError(message, tuple(sorted(managers)), _fields(status))


def _server_error(status: dict[str, Any], message: str, retry_after: str) -> ClusterError:
    code = int(status.get("code") or 0)
    seconds = (status.get("details") or {}).get("retryAfterSeconds") or _seconds(retry_after)
    if code in (429, 503) or seconds:
        return TooManyRequestsError(message, float(seconds or 1.0))
    error = ClusterError(message)
    error.retryable = code >= 500  # such as a change of etcd's leader
    return error


def _seconds(header: str) -> float:
    return float(header) if re.fullmatch(r"\d{1,6}(\.\d+)?", header) else 0.0
