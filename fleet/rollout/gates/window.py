"""The gate `window`: when a cluster may start, by the wall clock of its own time zone (I20).

Judged at the offer: it is made only while the window is open and stays open for `minRemaining`
more, and it must not be started once the window has closed. What has started goes on. `P90` is
what nine of ten clusters of the stage needed in earlier runs; before there were any, the stage's
clusterDeadline. A cluster whose label names no time zone that is known does not start.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from fleet.rollout.evidence import ClusterEvidence
from fleet.rollout.gate_kinds import Window
from fleet.rollout.gates.verdict import Passage, Question
from fleet.rollout.opening_hours import MINUTE, next_open, open_until
from fleet.rollout.reasons import Reason

NOWHERE = ClusterEvidence()
SECOND = timedelta(seconds=1)
OPEN = Passage()


def passages(asked: Question, gate: Window) -> Callable[[str], Passage]:
    """Cluster → may it start now; each time zone is looked at once."""
    known: dict[str, Passage] = {}
    only = frozenset(gate.only)

    def passage(cluster: str) -> Passage:
        if only and cluster not in only:
            return OPEN
        labels = asked.evidence.clusters.get(cluster, NOWHERE).labels
        name = labels.get(gate.zone_label, gate.zone_default) if gate.zone_label else ""
        name = name or gate.zone_default
        if name not in known:
            known[name] = _passage(asked, gate, name)
        return known[name]

    return passage


def _passage(asked: Question, gate: Window, name: str) -> Passage:
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        what = f"label {gate.zone_label}: {name!r} is no time zone that is known"
        return Passage(Reason("UnknownTimezone", what))
    now = asked.now
    wanted = timedelta(seconds=remaining_seconds(asked, gate))
    lease = timedelta(seconds=asked.run.lease_seconds)
    until = open_until(gate, zone, now, wanted + lease + MINUTE)
    if until > now and until - now >= wanted:
        last = until - wanted
        return Passage(closes=max(last, now + SECOND) if last < now + lease else None)
    opens = next_open(gate, zone, now, wanted)
    if opens is None:
        return Passage(Reason("WindowClosed", "the window does not open again"))
    shown = f"{opens.astimezone(zone):%Y-%m-%d %H:%M} {name}"
    if until > now:
        what = f"the window closes in less than {wanted.total_seconds():g} s; next at {shown}"
        return Passage(Reason("WindowCloses", what, opens))
    return Passage(Reason("WindowClosed", f"the window is closed until {shown}", opens))


def remaining_seconds(asked: Question, gate: Window) -> float:
    """How long the window must still be open for a start."""
    if gate.min_remaining is None or isinstance(gate.min_remaining, float | int):
        return gate.min_remaining or 0
    return asked.evidence.durations.get(asked.stage.name, asked.stage.cluster_deadline_seconds)
