"""Syncs that the hub passed on: which bundles still owe an answer, and what they answered.

::

    take(requests)  the open requests of the target, as the hub handed them out
    due(bundle)     is there one that this bundle has not answered to its end?
    begin(bundle)   the one to answer now; a dry run, or a pass through a `Ledger`
    passed, seen    what a pass or a preview came to: told to the reporter if it says anything new

A sync of a bundle ends when a pass ends in Synced, OutOfSync (drift that is only warned of) or
Failed; until then it says what it waits for. A request that the target no longer names, or that is
older than its limit by this agent's clock, is forgotten, and its force with it. What was answered
to its end is not begun again by this incarnation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from agents.apply import BundleState, Order, Outcome
from agents.apply.ledger import Deeds, Ledger
from agents.apply.preview import Seen
from agents.apply.results import MOST_OBJECTS, counts_of, results_of
from agents.apply.state import Drift
from agents.protocol import (
    Deed,
    DriftMode,
    Health,
    ObjectResult,
    SyncRequest,
    SyncResult,
    SyncState,
)
from agents.reporting import Reporter
from clusters.cluster import Cluster
from clusters.objects import ObjectKey

_UNDER_WAY = (SyncState.SYNCING, SyncState.WAITING, SyncState.UNKNOWN)


@dataclass(slots=True)
class Asked:
    """One request and one bundle."""

    request: SyncRequest
    bundle: str
    until: datetime
    begun: bool = False
    deeds: Deeds = field(default_factory=Deeds)
    """What was written; the passes of one sync add up."""
    healed_before: dict[ObjectKey, Drift] = field(default_factory=dict)

    def open(self, state: BundleState) -> None:
        """Have the bundle looked at in full, with every back-off ended."""
        state.failures_in_a_row = state.attempts_failed = 0
        state.full_check = None
        state.contests.clear()
        state.disputed.clear()
        self.healed_before = dict(state.healings)

    def through(self, cluster: Cluster) -> Cluster:
        """The cluster to work on, which takes notes."""
        return Ledger(cluster, self.deeds)

    def ordered(self, order: Order) -> Order:
        """The order with what the request allows."""
        return forced(order) if self.request.force else order


@dataclass(slots=True)
class Syncs:
    """The open requests of one agent."""

    reporter: Reporter
    _open: dict[tuple[str, str], Asked] = field(default_factory=dict)
    _ended: set[tuple[str, str]] = field(default_factory=set)

    def take(
        self, requests: Iterable[SyncRequest], bundles: Collection[str], now: datetime
    ) -> list[Asked]:
        """Take the requests over; those that are new, one for each bundle that is asked."""
        named = {(r.uid, bundle): r for r in requests for bundle in r.bundles if bundle in bundles}
        self._ended &= named.keys()
        self._open = {key: item for key, item in self._open.items() if key in named}
        fresh = []
        for (uid, bundle), request in named.items():
            key = (uid, bundle)
            if key in self._open or key in self._ended:
                continue
            until = now + timedelta(seconds=request.limit_seconds)
            self._open[key] = Asked(request, bundle, until)
            fresh.append(self._open[key])
        return fresh

    def due(self, bundle: str, now: datetime) -> bool:
        """Does the bundle owe the beginning of an answer?"""
        asked = self.begin(bundle, now)
        return asked is not None and not asked.begun

    def begin(self, bundle: str, now: datetime) -> Asked | None:
        """The request that this bundle is to answer now, the oldest first."""
        for key, item in list(self._open.items()):
            if item.until <= now:
                del self._open[key]
                self._ended.add(key)
        return next((item for item in self._open.values() if item.bundle == bundle), None)

    def passed(self, asked: Asked, order: Order, state: BundleState, raw: Outcome) -> None:
        """A pass is over: say what it came to."""
        asked.begun = True
        result = _result(asked, order).model_copy(
            update={
                "done": not raw.pending and raw.sync not in _UNDER_WAY,
                "sync": raw.sync,
                "health": Health.worst([found.health for found in state.health.values()])
                if state.health or raw.sync is SyncState.SYNCED
                else Health.UNKNOWN,
                "code": raw.code,
                "message": raw.message,
            }
        )
        self._tell(asked, result, results_of(state, raw, asked.deeds, _healed(asked, state)))

    def seen(self, asked: Asked, order: Order, seen: Seen) -> None:
        """A preview is over: say what it saw, or why it saw nothing."""
        worst = next((item for item in seen.objects if item.deed is Deed.FAILED), None)
        changes = any(item.deed not in (Deed.UNCHANGED, Deed.KEPT) for item in seen.objects)
        said: dict[str, object] = {
            "done": True,
            "sync": SyncState.OUT_OF_SYNC if changes else SyncState.SYNCED,
        }
        if seen.failure is not None:
            said |= {"sync": SyncState.FAILED, "code": seen.failure.code}
            said["message"] = seen.failure.message
        elif worst is not None:
            said |= {"sync": SyncState.FAILED, "code": worst.code}
            said["message"] = f"{worst.object}: {worst.message}"
        self._tell(asked, _result(asked, order).model_copy(update=said), list(seen.objects))

    def _tell(self, asked: Asked, result: SyncResult, found: list[ObjectResult]) -> None:
        listed = tuple(found[: min(MOST_OBJECTS, asked.request.most_objects)])
        said = result.model_copy(update={"counts": counts_of(found), "objects": listed})
        self.reporter.answer(said)
        if said.done:
            key = (said.uid, said.bundle)
            self._open.pop(key, None)
            self._ended.add(key)


def _healed(asked: Asked, state: BundleState) -> dict[ObjectKey, Drift]:
    """What was set back in this sync."""
    before = asked.healed_before
    return {key: item for key, item in state.healings.items() if before.get(key) is not item}


def _result(asked: Asked, order: Order) -> SyncResult:
    """An answer that says nothing yet."""
    return SyncResult(
        uid=asked.request.uid,
        bundle=asked.bundle,
        digest=order.deployment.digest,
        generation=order.generation,
        done=False,
        sync=SyncState.UNKNOWN,
        health=Health.UNKNOWN,
    )


def forced(order: Order) -> Order:
    """The order as if its bundle said `force` and `takeOwnership`, and corrected drift."""
    options = order.deployment.options.model_copy(
        update={"force": True, "take_ownership": True, "drift": DriftMode.CORRECT}
    )
    deployment = order.deployment.model_copy(update={"options": options})
    return replace(order, deployment=deployment)
