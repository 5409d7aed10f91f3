"""What people decide, as values: append-only, with who, when and why.

`fleet.rollout.rulings` carries decisions out and says which make no sense now.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from clusters.objects import Digest

EVERY_GROUP = "*"
"""`Decision.groups` of the operator while the hub knows no people: in whatever group is asked."""


class Verb(StrEnum):
    """What a person decided."""

    APPROVE = "approve"
    REJECT = "reject"
    PAUSE = "pause"
    RESUME = "resume"
    RETRY = "retry"
    ABORT = "abort"
    FREEZE = "freeze"
    UNFREEZE = "unfreeze"
    ROLLBACK = "rollback"
    SKIP = "skip"
    FORGIVE = "forgive"
    OVERRIDE = "override"
    VETO = "veto"
    UNVETO = "unveto"
    HOTFIX = "hotfix"
    APPROVE_REMOVALS = "approve-removals"
    CATCH_UP = "catch-up"


FLEET_WIDE = frozenset({Verb.FREEZE, Verb.UNFREEZE, Verb.APPROVE_REMOVALS, Verb.CATCH_UP})
"""Decisions on the fleet, not on one run."""
OF_A_BUNDLE = frozenset({Verb.VETO, Verb.UNVETO})
"""Decisions on one bundle, whatever run carries it."""


@dataclass(frozen=True, slots=True)
class Actor:
    """Who decides, and how that is known."""

    name: str
    groups: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    method: str = ""


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
    aliases: tuple[str, ...] = ()
    """Other names of the actor (in Git): for `notAuthor`."""
    method: str = ""
    """How the actor was known: `token` (a person's own), `operator` (whoever has that token)."""
    expires_at: datetime | None = None
    """The answer is void from then on."""
    gate: str = ""
    """override: the `gate_id` that is forced."""
    bundle: str = ""
    """veto, unveto: the bundle."""
    digests: tuple[Digest, ...] = ()
    """veto, unveto: which of its digests; empty means all that are vetoed."""
