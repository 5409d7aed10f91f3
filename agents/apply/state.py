"""What one incarnation of an agent remembers of a bundle; all of it can be found out again.

`Known` is how an object looked after the last apply or check. While it looks like that, it is not
compared, let alone written. A change of status alone leaves the fingerprint of kinds that count
generations as it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agents.apply.contests import Contest, Contests, recalled
from agents.apply.outcome import Failure, Outcome
from agents.apply.pauses import Pause
from agents.apply.wanted import Prepared
from agents.health import Assessment, overdue, status_matters
from agents.inventory import Inventory
from agents.protocol import FieldDrift, Health
from clusters.cluster import Discovery
from clusters.objects import Digest, Object, ObjectKey, digest_of, key_of

CALM = (Health.HEALTHY, Health.SUSPENDED)
"""What nobody waits for."""


@dataclass(frozen=True, slots=True)
class Known:
    """One object as it was last seen in order."""

    wanted: Digest
    fingerprint: Digest
    resource_version: str


HEALINGS = 20
"""Objects of a bundle of which the last healing is told."""


@dataclass(frozen=True, slots=True)
class Drift:
    """One object that differs and is left so for now."""

    fields: tuple[FieldDrift, ...]
    """Never empty."""
    code: str = "drift"
    """`drift` (only reported), `contested`, `paused` or, set back meanwhile, `healed`."""
    message: str = ""
    until: datetime | None = None
    """When to look again, if no watch shows a change before."""


@dataclass(slots=True)
class BundleState:
    """Memory of one bundle; changed by the passes, read by reports."""

    inventory: Inventory
    prepared: Prepared | None = None
    prepared_for: tuple[Digest, Discovery | None] = ("", None)
    """The digest and the discovery that `prepared` was made from."""
    outcome: Outcome | None = None
    known: dict[ObjectKey, Known] = field(default_factory=dict)
    health: dict[ObjectKey, Assessment] = field(default_factory=dict)
    progressing_since: dict[ObjectKey, datetime] = field(default_factory=dict)
    """For objects that are not healthy yet; their time-out counts from here."""
    drift: dict[ObjectKey, Drift] = field(default_factory=dict)
    contests: dict[ObjectKey, Contests] = field(default_factory=dict)
    disputed: dict[tuple[str, str], Contest] = field(default_factory=dict)
    """Contests that an earlier agent left, by object and field, until this one meets them."""
    pauses: dict[ObjectKey, Pause] = field(default_factory=dict)
    """Objects that somebody asked to leave alone, by themselves or by their namespace."""
    healings: dict[ObjectKey, Drift] = field(default_factory=dict)
    """The newest ones: what was set back, and who had changed it."""
    check_failures: dict[ObjectKey, Failure] = field(default_factory=dict)
    touched: dict[ObjectKey, Object | None] = field(default_factory=dict)
    """Objects that changed since the last pass, as a watch showed them: whole, or metadata."""
    scaled: frozenset[ObjectKey] = frozenset()
    """What autoscalers target, as of the last full pass."""
    hooks_failed: set[str] = field(default_factory=set)
    """Uids of hook objects whose failure was reported already: the next attempt replaces them."""
    hooks_seen: dict[str, datetime] = field(default_factory=dict)
    hooks_started: dict[ObjectKey, str] = field(default_factory=dict)
    """Hooks that were there under an attempt and are not done: gone, somebody deleted them."""
    phases_over: set[str] = field(default_factory=set)
    """Phases of attempts of which the hooks are done and cleaned up."""
    healed: int = 0
    failures_in_a_row: int = 0
    attempts_failed: int = 0
    """Attempts at what is current, but for those that failed for the cluster's own trouble."""
    next_look: datetime | None = None
    full_check: datetime | None = None

    def recall(self, inventory: Inventory, now: datetime) -> None:
        """Take up what the cluster kept."""
        self.inventory = inventory
        self.disputed = recalled(inventory.contested, now)

    def note_healing(self, key: ObjectKey, healing: Drift) -> None:
        """Remember a healing, of the newest `HEALINGS` objects."""
        self.healed += 1
        self.healings.pop(key, None)
        self.healings[key] = healing
        while len(self.healings) > HEALINGS:
            del self.healings[next(iter(self.healings))]

    def remember(self, wanted: Digest, live: Object) -> None:
        """Note that this object is in order as it is."""
        version = live["metadata"].get("resourceVersion", "")
        self.known[key_of(live)] = Known(wanted, fingerprint(live), version)

    def is_known(self, key: ObjectKey, wanted: Digest, live: Object) -> bool:
        """Is the object as it was when it was last in order with these wanted bytes?"""
        known = self.known.get(key)
        return known is not None and known.wanted == wanted and _same(known, live)

    def assessed(
        self, key: ObjectKey, found: Assessment, now: datetime, limit_seconds: float
    ) -> None:
        """Note the health of an object; what progresses for too long counts as Degraded."""
        if found.health is Health.PROGRESSING:
            since = self.progressing_since.setdefault(key, now)
            found = overdue(found, since, now, limit_seconds)
        else:
            self.progressing_since.pop(key, None)
        self.health[key] = found

    def forget(self, key: ObjectKey) -> None:
        """Drop all that is remembered of an object that is no longer owned."""
        memories: tuple[dict[ObjectKey, Any], ...] = (
            self.known,
            self.health,
            self.progressing_since,
            self.drift,
            self.contests,
            self.pauses,
            self.healings,
            self.check_failures,
            self.touched,
        )
        for memory in memories:
            memory.pop(key, None)

    def saw(self, key: ObjectKey, live: Object | None, *, whole: bool) -> bool:
        """Take note of a watch event; is there anything to do about it?

        `live` is `None` for a deletion; `whole` says that it is not metadata alone. Own writes,
        older versions, and a new status of a kind whose health does not depend on it are nothing.
        """
        known = self.known.get(key)
        if live is not None and known is not None:
            version = live["metadata"].get("resourceVersion", "")
            if version == known.resource_version or _is_older(version, known.resource_version):
                return False
            if _same(known, live) and not status_matters(key.kind_key):
                return False
        self.touched[key] = live
        return True


def fingerprint(live: Object) -> Digest:
    """Digest of what changes with every change that is not one of status alone.

    Reads metadata only, so whole objects and partial ones have the same. A kind that counts no
    generations is known by its resourceVersion.
    """
    metadata = live["metadata"]
    kept = {
        name: metadata.get(name)
        for name in ("uid", "generation", "labels", "annotations", "finalizers")
    }
    kept["deleting"] = "deletionTimestamp" in metadata
    kept["owners"] = metadata.get("ownerReferences")
    kept["managed"] = [
        [entry.get("manager"), entry.get("operation"), entry.get("fieldsV1")]
        for entry in metadata.get("managedFields") or []
        if entry.get("subresource") != "status" and not _only_status(entry)
    ]
    if metadata.get("generation") is None:
        kept["version"] = metadata.get("resourceVersion")
    return digest_of(kept)


def _only_status(entry: dict[str, Any]) -> bool:
    return set(entry.get("fieldsV1") or {}) == {"f:status"}


def _same(known: Known, live: Object) -> bool:
    version = live["metadata"].get("resourceVersion", "")
    return version == known.resource_version or fingerprint(live) == known.fingerprint


def _is_older(version: str, than: str) -> bool:
    """resourceVersions are decimal numbers that rise (Kubernetes promises it from 1.35 on)."""
    return version.isdecimal() and than.isdecimal() and int(version) < int(than)
