"""One agent at a time in one cluster: a Lease (coordination.k8s.io) in `fleet-system`.

::

    UNSURE ──create, or take over──► HELD ──renewals fail for two thirds of the lease──► UNSURE
      │                               │
      └──somebody else holds it──► WAITING          somebody else took over ──► `LeaseLostError`

    HELD      may write to the cluster and start what is offered
    WAITING   leaves cluster and hub alone, and looks again now and then
    UNSURE    the API server does not say: nothing is written, the hub is still talked to

A Lease has expired when nothing about it changed for as long as it says, measured by the clock of
whoever waits: what time its holder wrote is never compared with anything, so wrong clocks do not
matter. Every change is a compare-and-set on its resourceVersion. A clean stop gives it back; after
a crash the next process of the same state directory (a lock says that it is alone there) goes on
with the same identity, and at once. A copy of that directory is another agent.

An agent that lost its Lease ends as a process; what it remembers of the cluster may be old.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from agents.errors import LeaseLostError
from agents.inventory import AGENT_MANAGER, NAMESPACE, ensure_namespace
from agents.settings import Settings
from clusters.cluster import Cluster
from clusters.errors import ClusterError, ConflictError, NotFoundError
from clusters.objects import Object, ObjectKey

_log = logging.getLogger(__name__)
KEY = ObjectKey("coordination.k8s.io", "Lease", NAMESPACE, "fleet-agent")
LONGEST_SECONDS = 3600
"""A holder that says that it keeps it for longer is not believed."""


class Hold(StrEnum):
    """What this agent may do."""

    HELD = "held"
    WAITING = "waiting"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Sighting:
    """A Lease as it was seen, and since when it is so by our own clock."""

    holder: str
    version: str
    since: datetime


def has_expired(seen: Sighting, seconds: float, now: datetime) -> bool:
    """Has nothing been heard of the holder for as long as its lease lasts? Nobody's has."""
    return not seen.holder or now >= seen.since + timedelta(seconds=seconds)


def lease_seconds(live: Object, ours: float) -> float:
    """How long a holder's lease lasts: what it says, within reason, and at least our own."""
    said = (live.get("spec") or {}).get("leaseDurationSeconds")
    if not isinstance(said, int):
        return ours
    return min(max(float(said), ours), LONGEST_SECONDS)


class Lease:
    """This agent's hold on its cluster."""

    def __init__(self, cluster: Cluster, identity: str, settings: Settings) -> None:
        """`identity` is that of the state directory, and of no two processes at once."""
        self._cluster = cluster
        self._identity = identity
        self._settings = settings
        self._seen: Sighting | None = None
        self._version = ""
        self._sent: list[str] = []
        """Each renewTime that this process may have written since it last knew of a success."""
        self._held_from: datetime | None = None
        self._waits_for = ""
        self.asked = False
        """Did the API server answer, or fail to, at least once? Before that nothing is begun."""
        self.next_look: datetime | None = None

    def hold(self, now: datetime) -> Hold:
        """What this agent may do at this moment."""
        if not self._settings.lease_seconds:
            return Hold.HELD
        if self._waits_for:
            return Hold.WAITING
        keeps = timedelta(seconds=self._settings.lease_seconds * 2 / 3)
        held = self._held_from is not None and now < self._held_from + keeps
        return Hold.HELD if held else Hold.UNSURE

    @property
    def waits_for(self) -> str:
        """Who holds it, while this agent waits."""
        return self._waits_for

    async def step(self, now: datetime) -> None:
        """Take, renew or look, if that is due. Errors: `LeaseLostError`."""
        if not self._settings.lease_seconds:
            self.asked = True
            return
        if self.next_look and now < self.next_look:
            return
        self.next_look = now + timedelta(seconds=self._settings.lease_retry_seconds)
        try:
            await (self._renew(now) if self._version else self._acquire(now))
        except ClusterError as error:
            _log.warning("lease unsure", extra={"reason": str(error)})
        self.asked = True

    async def release(self) -> None:
        """Give it back, so that the next agent need not wait; at a clean stop."""
        if not self._version:
            return
        try:
            await self._set({"holderIdentity": "", "leaseDurationSeconds": 1}, self._version)
        except ClusterError as error:
            _log.debug("lease not released", extra={"reason": str(error)})
        self._version, self._held_from = "", None

    async def _renew(self, now: datetime) -> None:
        try:
            await self._hold({}, self._version, now)
        except (ConflictError, NotFoundError):
            # Somebody changed or deleted it; whose it is now decides.
            live = await self._cluster.get(KEY)
            if live is not None and not self._wrote(live):
                raise LeaseLostError(
                    f"another agent took over this cluster: {_holder(live) or 'nobody yet'}",
                    at=str(KEY),
                    fix="nothing, if that is meant; else stop one of the two",
                ) from None
            self._version = ""
            await self._acquire(now)

    def _wrote(self, live: Object) -> bool:
        """Is the Lease as this process left it, also where the answer was lost?"""
        said = (live.get("spec") or {}).get("renewTime")
        return _holder(live) == self._identity and said in self._sent

    async def _acquire(self, now: datetime) -> None:
        live = await self._cluster.get(KEY)
        if live is None:
            await self._create(now)
            return
        holder, version = _holder(live), live["metadata"]["resourceVersion"]
        if self._seen is None or (self._seen.holder, self._seen.version) != (holder, version):
            self._seen = Sighting(holder, version, now)
        seconds = lease_seconds(live, self._settings.lease_seconds)
        if holder != self._identity and not has_expired(self._seen, seconds, now):
            self._wait(holder)
            return
        transitions = int((live.get("spec") or {}).get("leaseTransitions") or 0) + 1
        changes = {"acquireTime": _micro(now), "leaseTransitions": transitions}
        try:
            await self._hold(changes, version, now)
        except ConflictError:
            self._seen = None
            self._wait(holder or "another agent")

    async def _create(self, now: datetime) -> None:
        """Make the Lease; of two that try at once, the API server lets one."""
        wanted: Object = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": KEY.kind,
            "metadata": {"name": KEY.name, "namespace": KEY.namespace},
            "spec": {**self._spec(now), "acquireTime": _micro(now), "leaseTransitions": 0},
        }
        self._sent.append(_micro(now))
        # A manager of this incarnation's own, so that a second apply is a conflict of fields.
        manager = f"{AGENT_MANAGER}/{self._identity}"[:128]
        try:
            made = await self._cluster.apply(wanted, manager=manager)
        except NotFoundError:
            await ensure_namespace(self._cluster, NAMESPACE)
            made = await self._cluster.apply(wanted, manager=manager)
        except ConflictError as error:
            self._wait(", ".join(error.managers) or "another agent")
            return
        self._took(made, now)

    async def _hold(self, changes: dict[str, Any], version: str, now: datetime) -> None:
        self._took(await self._set({**self._spec(now), **changes}, version), now)

    async def _set(self, spec: dict[str, Any], version: str) -> Object:
        self._sent.append(spec.get("renewTime", ""))
        patch = {"metadata": {"resourceVersion": version}, "spec": spec}
        return await self._cluster.patch(KEY, patch, manager=AGENT_MANAGER)

    def _spec(self, now: datetime) -> dict[str, Any]:
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": max(1, round(self._settings.lease_seconds)),
            "renewTime": _micro(now),
        }

    def _took(self, live: Object, now: datetime) -> None:
        """`now` is from before the request was sent: the holder counts from there."""
        if self._waits_for:
            _log.info("lease taken over", extra={"holder": self._waits_for})
        self._version = live["metadata"]["resourceVersion"]
        self._sent = self._sent[-1:]
        self._held_from, self._waits_for, self._seen = now, "", None
        self.next_look = now + timedelta(seconds=self._settings.lease_renew_seconds)

    def _wait(self, holder: str) -> None:
        if holder != self._waits_for:
            _log.warning("waiting for another agent", extra={"holder": holder})
        self._waits_for = holder


def _holder(live: Object) -> str:
    return str((live.get("spec") or {}).get("holderIdentity") or "")


def _micro(now: datetime) -> str:
    """Kubernetes' MicroTime."""
    return now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
