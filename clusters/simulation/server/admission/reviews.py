"""What a webhook is asked and what it answers: the seam for scripts in place of programs.

::

    server.webhooks["policy.example.com"] = lambda review: (
        Verdict() if review.dry_run else denial("not today")
    )

The simulation runs no webhook programs. A webhook whose Service has ready endpoints admits
everything unchanged, unless a function is registered under the webhook's name
(`webhooks[].name` of its configuration, not the configuration's own). A webhook with a `url` is
out of reach until a function is registered.

A function that raises an `OSError` (a `TimeoutError`, a `ConnectionError`) is one that could not
be called. It is given copies, and answers at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from clusters.objects import Kind, Object


@dataclass(frozen=True, slots=True)
class Review:
    """One request, as in an AdmissionReview. A scale is shown as the whole workload."""

    webhook: str
    operation: str
    """`CREATE`, `UPDATE` or `DELETE`."""
    kind: Kind
    version: str
    resource: str
    subresource: str
    namespace: str
    name: str
    object: Object | None
    """`None` for a DELETE."""
    old_object: Object | None
    """`None` for a CREATE."""
    dry_run: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """The answer; by itself it lets everything pass unchanged."""

    allowed: bool = True
    message: str = ""
    code: int = 403
    reason: str = "Forbidden"
    patch: tuple[Object, ...] = ()
    """JSON patch operations, of a mutating webhook only."""


Webhook = Callable[[Review], Verdict]


def denial(message: str) -> Verdict:
    """No, and why."""
    return Verdict(allowed=False, message=message)
