"""What people decide, as values: append-only, with who, when and why.

`fleet.rollout.rulings` carries decisions out and says which make no sense now.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from clusters.objects import Digest


class Verb(StrEnum):
    """What a person decided."""

    APPROVE = "approve"
    REJECT = "reject"
    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"
    ABORT = "abort"


@dataclass(frozen=True, slots=True)
class Decision:
    """One line of the record."""

    number: int
    run: str
    """Empty: it is about the fleet."""
    verb: Verb
    actor: str
    at: datetime
    reason: str = ""
    stage: str = ""
    """APPROVE/REJECT: the stage; empty means every gate that waits now is answered by the hub."""
    plan_hash: Digest = ""
    clusters: tuple[str, ...] = ()
    """RETRY, skip, forgive: which; empty means all that failed."""
    groups: tuple[str, ...] = ()
    """The groups that the actor was in then."""
    method: str = ""
    """How the actor was known: `token`, `oidc`, …"""
    expires_at: datetime | None = None
    """The answer is void from then on."""
    gate: str = ""
    """override: the `gate_id` that is forced."""
    bundle: str = ""
    """veto, unveto: the bundle."""
    digests: tuple[Digest, ...] = ()
    """veto, unveto: which of its digests; empty means all that are vetoed."""
