"""Kubernetes Events about bundles, so that people see in the cluster what the hub is told.

| a bundle is | Event | type |
|---|---|---|
| Failed | `SyncFailed`, also on `MOST_OBJECTS` of what failed, if it is there | Warning |
| OutOfSync: drift that is only warned of | `DriftDetected` | Warning |
| Degraded | `Degraded` | Warning |
| Waiting | `Waiting` | Normal |
| Synced and Healthy | `Synced` | Normal |
| set back | `DriftCorrected`, whatever else it is | Normal |

They are about the bundle's ApplySet parent in `fleet-system`. One is made when the state changes,
never in a loop: what is under way is no state, the same again within `CALM_SECONDS` is counted on
the next one, and all together keep a rate. A cluster that takes no Events loses them; nothing else
depends on them. Messages are those of reports, so no value of a Secret is in them.
"""

from __future__ import annotations

import hashlib
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from agents.inventory import AGENT_MANAGER, NAMESPACE, parent_name
from agents.protocol import DeploymentReport, Health, SyncState
from clusters.clock import Clock
from clusters.cluster import Cluster
from clusters.errors import ClusterError
from clusters.objects import Object, ObjectKey

_log = logging.getLogger(__name__)

COMPONENT = "fleet-agent"
MOST_OBJECTS = 3
MOST_WAITING = 100
LONGEST_MESSAGE = 1024
"""Bytes that Kubernetes takes."""
CALM_SECONDS = 60.0
BURST, SECONDS_FOR_ONE = 25, 10.0
"""Events at once after a quiet time, and how long each takes to come back."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """One Event to be."""

    bundle: str
    reason: str
    warning: bool
    message: str
    at: datetime
    times: int = 1
    objects: tuple[ObjectKey, ...] = ()
    """Also about these, if they are there."""


def condition_of(report: DeploymentReport) -> tuple[str, bool] | None:
    """Reason, and whether it is a warning; `None` for what is only under way. Pure."""
    match report.sync, report.health:
        case SyncState.FAILED, _:
            return "SyncFailed", True
        case SyncState.OUT_OF_SYNC, _:
            return "DriftDetected", True
        case _, Health.DEGRADED:
            return "Degraded", True
        case SyncState.WAITING, _:
            return "Waiting", False
        case SyncState.SYNCED, Health.HEALTHY:
            return "Synced", False
    return None


class Announcer:
    """What was announced, and what waits to be."""

    def __init__(self, cluster: Cluster, clock: Clock) -> None:
        self._cluster, self._clock = cluster, clock
        self._said: dict[str, tuple[str, str, str]] = {}
        self._healed: dict[str, int] = {}
        self._last: dict[tuple[str, str], datetime] = {}
        self._held: dict[tuple[str, str], int] = {}
        self._waiting: deque[Announcement] = deque(maxlen=MOST_WAITING)
        self._tokens, self._filled = float(BURST), clock.now()

    def note(
        self,
        report: DeploymentReport,
        failed: Sequence[ObjectKey],
        now: datetime,
        *,
        moving: bool,
    ) -> None:
        """Take a bundle's state; sends nothing.

        `moving`: it was not completely applied before. What a restarted agent finds in order is
        no news.
        """
        healed = report.healed - self._healed.get(report.bundle, 0)
        self._healed[report.bundle] = report.healed
        if healed > 0:
            text = f"set {healed} objects back to what Git says"
            self._add(Announcement(report.bundle, "DriftCorrected", False, text, now))
        condition = condition_of(report)
        if condition is None:
            return
        reason, warning = condition
        state = (reason, report.code, report.digest)
        before, self._said[report.bundle] = self._said.get(report.bundle), state
        found_so = before is None and reason == "Synced" and not moving
        if before == state or found_so:
            return
        text = report.message or f"is applied as {report.digest[:19]}"
        objects = tuple(failed[:MOST_OBJECTS]) if reason == "SyncFailed" else ()
        self._add(Announcement(report.bundle, reason, warning, text, now, objects=objects))

    def drop(self, bundle: str) -> None:
        """The bundle is gone; its memory goes too."""
        self._said.pop(bundle, None)
        self._healed.pop(bundle, None)
        for memory in (self._last, self._held):
            for key in [key for key in memory if key[0] == bundle]:
                del memory[key]

    def _add(self, item: Announcement) -> None:
        """Line it up, or count it if the like was announced a moment ago."""
        key = (item.bundle, item.reason)
        last = self._last.get(key)
        if last is not None and item.at - last < timedelta(seconds=CALM_SECONDS):
            self._held[key] = self._held.get(key, 0) + item.times
            return
        self._last[key] = item.at
        self._waiting.append(replace(item, times=item.times + self._held.pop(key, 0)))

    async def tell(self) -> None:
        """Send what waits, as far as the rate allows. Errors of the cluster are logged, no more."""
        while self._waiting and self._may_send():
            item = self._waiting.popleft()
            try:
                await self._send(item)
            except ClusterError as error:  # no use to try the others now, nor this one again
                _log.debug("event lost", extra={"bundle": item.bundle, "reason": str(error)})
                return

    def _may_send(self) -> bool:
        now = self._clock.now()
        earned = (now - self._filled).total_seconds() / SECONDS_FOR_ONE
        self._tokens, self._filled = min(float(BURST), self._tokens + earned), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    async def _send(self, item: Announcement) -> None:
        parent = ObjectKey("", "ConfigMap", NAMESPACE, parent_name(item.bundle))
        for key in (parent, *item.objects):
            live = await self._cluster.get(key)
            if live is not None:
                await self._write(event_about(live, key, item))

    async def _write(self, event: Object) -> None:
        """Make the Event, or count on if the like is there from before."""
        key = ObjectKey("", "Event", event["metadata"]["namespace"], event["metadata"]["name"])
        before = await self._cluster.get(key)
        if before is not None:
            event["count"] += before.get("count") or 0
            event["firstTimestamp"] = before.get("firstTimestamp") or event["firstTimestamp"]
        await self._cluster.apply(event, manager=AGENT_MANAGER, force=True)


def event_about(live: Object, key: ObjectKey, item: Announcement) -> Object:
    """The Event about a live object; equal news have equal names, so that they add up. Pure."""
    about = {
        "apiVersion": live["apiVersion"],
        "kind": key.kind,
        "name": key.name,
        "uid": live["metadata"].get("uid", ""),
    }
    if key.namespace:
        about["namespace"] = key.namespace
    text = f"bundle {item.bundle}: {item.message}"
    mark = hashlib.sha256(f"{key}\n{item.reason}\n{text}".encode()).hexdigest()[:16]
    at = item.at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{key.name[:200]}.{mark}", "namespace": key.namespace or "default"},
        "involvedObject": about,
        "reason": item.reason,
        "message": text.encode()[:LONGEST_MESSAGE].decode(errors="ignore"),
        "type": "Warning" if item.warning else "Normal",
        "count": item.times,
        "firstTimestamp": at,
        "lastTimestamp": at,
        "source": {"component": COMPONENT},
        "reportingComponent": COMPONENT,
    }
