"""How a Deployment moves its replicas from old ReplicaSets to the new one. Arithmetic only.

With `RollingUpdate` never more than `desired + surge` replicas are asked for and, as far as old
pods were well, never fewer than `desired - unavailable` are available. Old replicas that are not
available go first. With `Recreate` all old pods go before the first new one comes.

When the desired number itself changes in the middle of that, or while the Deployment is paused,
`spread` gives every ReplicaSet its share, so that a scaling hastens no release.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from clusters.objects import Object
from clusters.simulation.controllers.workloads import replicas_of, share_of


@dataclass(frozen=True, slots=True)
class Group:
    """The replicas of one ReplicaSet: asked for, there, and available."""

    name: str
    wanted: int
    present: int
    available: int
    most: int = 0
    """`desired + surge` as of its last scaling; 0 if nobody knows."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How many pods there may be beside and below the desired number."""

    desired: int
    surge: int
    unavailable: int


def limits_of(deployment: Object) -> Limits:
    """The limits that the strategy sets; both 0 would stand still, so then one may be missing."""
    desired = replicas_of(deployment)
    strategy = deployment["spec"].get("strategy") or {}
    if strategy.get("type") == "Recreate":
        return Limits(desired, 0, 0)
    rolling = strategy.get("rollingUpdate") or {}
    surge = share_of(rolling.get("maxSurge", "25%"), desired, round_up=True)
    unavailable = share_of(rolling.get("maxUnavailable", "25%"), desired, round_up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return Limits(desired, surge, min(unavailable, desired))


def roll(new: Group, old: list[Group], limits: Limits) -> dict[str, int]:
    """Wanted replicas by name of ReplicaSet, for those whose number changes now."""
    changes = _grow(new, old, limits)
    grown = replace(new, wanted=changes.get(new.name, new.wanted))
    return changes | _shrink(grown, old, limits)


def recreate(new: Group, old: list[Group], desired: int) -> dict[str, int]:
    """As `roll`, for the strategy Recreate."""
    if any(group.wanted for group in old):
        return {group.name: 0 for group in old if group.wanted}
    if any(group.present for group in old) or new.wanted == desired:
        return {}
    return {new.name: desired}


def spread(groups: list[Group], limits: Limits, present: int) -> dict[str, int]:
    """As `roll`, when the desired number has changed; `groups` are those with replicas, the
    newest first, and `present` is how many pods the Deployment has.
    """
    more = (limits.desired + limits.surge if limits.desired else 0) - sum(g.wanted for g in groups)
    if not more:
        return {}
    # The largest first; of equals the newest when there are more, the oldest when there are fewer.
    ranked = sorted(groups if more > 0 else reversed(groups), key=lambda g: -g.wanted)
    changes, added = {}, 0
    for group in ranked:
        left = more - added
        part = _part(group, limits, present)
        part = min(part, left) if more > 0 else max(part, left)
        changes[group.name] = group.wanted + part
        added += part
    largest = ranked[0].name
    changes[largest] = max(0, changes[largest] + more - added)
    return changes


def _part(group: Group, limits: Limits, present: int) -> int:
    """What a ReplicaSet gains or loses when it keeps its share of the whole."""
    if not limits.desired:
        return -group.wanted
    before = group.most or present
    if not before:
        return 0
    exact = group.wanted * (limits.desired + limits.surge) / before
    return math.floor(exact + 0.5) - group.wanted


def _grow(new: Group, old: list[Group], limits: Limits) -> dict[str, int]:
    if new.wanted > limits.desired:
        return {new.name: limits.desired}
    room = limits.desired + limits.surge - new.wanted - sum(group.wanted for group in old)
    more = min(room, limits.desired - new.wanted)
    return {new.name: new.wanted + more} if more > 0 else {}


def _shrink(new: Group, old: list[Group], limits: Limits) -> dict[str, int]:
    minimum = limits.desired - limits.unavailable
    everything = new.wanted + sum(group.wanted for group in old)
    spare = everything - minimum - (new.wanted - new.available)
    wanted = {group.name: group.wanted for group in old}
    for group in old:  # those that are not well serve nobody
        gone = max(0, min(spare, group.wanted - group.available))
        wanted[group.name] -= gone
        spare -= gone
    for group in old:
        gone = max(0, min(spare, wanted[group.name]))
        wanted[group.name] -= gone
        spare -= gone
    return {group.name: wanted[group.name] for group in old if wanted[group.name] != group.wanted}
