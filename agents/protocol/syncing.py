"""A sync that a person asked for: what the hub passes on, and what each object came to.

A request rides on the target and is no assignment: it makes an agent look again at once at what is
`current` already, and can start nothing. `force` lends the bundle its own `force` and
`takeOwnership` (and sets back drift that is otherwise only warned of) for the one sync; `dry_run`
writes nothing. An agent acts on a request once the hub itself has handed it out or confirmed it, so
one that lies on a disk does not force anything again.

Results are sent only while a request is open, only when they differ from those sent before, and
with a bound: the worst objects first. A Secret's values never leave the agent.
"""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from agents.protocol.body import FieldDrift, WireBody
from agents.protocol.words import Health, SyncState
from clusters.objects import Digest


class SyncRequest(WireBody):
    """Somebody wants these bundles reconciled now."""

    uid: str
    """Never used twice by one hub."""
    bundles: tuple[str, ...]
    force: bool = False
    dry_run: bool = False
    most_objects: int = 200
    """Objects of one bundle that an answer lists at most; a sync of a whole fleet lists fewer."""
    limit_seconds: float = 300.0
    """After this long, by the agent's clock, the agent forgets the request by itself."""


class Deed(StrEnum):
    """What a sync did to an object; after a dry run: what it would do."""

    FAILED = "Failed"
    WAITING = "Waiting"
    DIFFERS = "Differs"
    """It has drifted and is left so: only warned of, paused or contested."""
    RECREATED = "Recreated"
    PRUNED = "Pruned"
    KEPT = "Kept"
    """It is no longer wanted and stays, without an owner."""
    APPLIED = "Applied"
    UNCHANGED = "Unchanged"


class ObjectResult(WireBody):
    """What one object came to."""

    object: str
    """As `str(ObjectKey)`."""
    deed: Deed
    code: str = ""
    message: str = ""
    health: Health = Health.UNKNOWN
    changes: tuple[FieldDrift, ...] = ()


class SyncResult(WireBody):
    """How far a bundle has come with a request; the last one says `done`."""

    uid: str
    bundle: str
    digest: Digest
    generation: int
    done: bool
    sync: SyncState
    health: Health
    code: str = ""
    message: str = ""
    counts: dict[str, int] = Field(default_factory=dict)
    """How many objects by deed, those that `objects` leaves out included."""
    objects: tuple[ObjectResult, ...] = ()
