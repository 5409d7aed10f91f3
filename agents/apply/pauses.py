"""Pause by annotation, on a live object or on its namespace, for all in it: works without the hub.

::

    fleet.dev/pause: "looking into INC-17"         the reason; "false" is no pause
    fleet.dev/pause-until: 2026-11-30T12:00:00Z    optional; then healing goes on by itself
    kustomize.toolkit.fluxcd.io/reconcile: disabled    Flux's way to say it of an object

While it lasts nothing is healed there and no release changes it; drift is reported all the same,
with the reason and who set the annotation. An expiry that cannot be read counts as none: a person
who asks for a pause gets one, and the report says what is wrong.

A pause that Git itself says ends when Git no longer says it: an annotation that only our own
manager put there, and that is no longer wanted, pauses nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from agents.apply.site import Site
from agents.apply.wanted import Wanted
from agents.diff import managers_of
from clusters.errors import ForbiddenError
from clusters.objects import Object, ObjectKey, annotations_of

PAUSE = "fleet.dev/pause"
UNTIL = "fleet.dev/pause-until"
_FLUX = "kustomize.toolkit.fluxcd.io/reconcile"
LOOK_AGAIN = timedelta(seconds=15)
"""How soon an end of a pause that no watch shows is noticed: that of a namespace."""


@dataclass(frozen=True, slots=True)
class Pause:
    """Why, until when, and by whom."""

    reason: str
    by: str = ""
    until: datetime | None = None
    problem: str = ""

    def holds(self, now: datetime) -> bool:
        """Is it not over?"""
        return self.until is None or now < self.until

    def text(self) -> str:
        """As reports say it."""
        said = f"paused: {self.reason}"
        by = f" (by {self.by})" if self.by else ""
        until = f", until {self.until.isoformat()}" if self.until else ""
        return f"{said}{by}{until}{f'; {self.problem}' if self.problem else ''}"


def pause_of(live: Object, wanted: Object | None, manager: str) -> Pause | None:
    """The pause that a live object's annotations ask for; `manager` is our own."""
    said = annotations_of(live)
    name = PAUSE if PAUSE in said else _FLUX
    if said.get(name, "false").lower() not in _OFF[name]:
        managed = live["metadata"].get("managedFields") or []
        owners = managers_of(managed, ("metadata", "annotations", name))
        if owners != [manager] or name in annotations_of(wanted or {}):
            return _pause(said, name, next((one for one in owners if one != manager), ""))
    return None


_OFF = {PAUSE: {"false", "no"}, _FLUX: {"false", "enabled", "true"}}


def _pause(said: dict[str, str], name: str, by: str) -> Pause:
    reason = said[name] if name == PAUSE else f"{name}: {said[name]}"
    if reason.strip().lower() in ("", "true", "yes"):
        reason = "no reason is given"
    text = said.get(UNTIL) or ""
    until, problem = _moment(text)
    return Pause(reason, by, until, problem)


def _moment(text: str) -> tuple[datetime | None, str]:
    if not text:
        return None, ""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC), ""
    except (ValueError, OverflowError):
        return (
            None,
            f"{UNTIL} {text[:40]!r} is no time such as 2026-11-30T12:00:00Z: not ended by it",
        )


def pause_over(
    key: ObjectKey, pauses: Mapping[ObjectKey, Pause], now: datetime
) -> tuple[ObjectKey, Pause] | None:
    """What keeps an object from being changed: its own pause, or its namespace's; and whose."""
    for where in (key, namespace_key(key.namespace)):
        pause = pauses.get(where)
        if pause is not None and pause.holds(now):
            return where, pause
    return None


async def pauses_of_namespaces(
    site: Site, names: Iterable[str], wanted: Mapping[ObjectKey, Wanted]
) -> dict[ObjectKey, Pause | None]:
    """Whether each of these namespaces is paused, one request each. Errors: `ClusterError`."""
    keys = [namespace_key(name) for name in sorted({*names} - {""})]

    async def read(key: ObjectKey) -> Object | None:
        try:
            return await site.cluster.get(key)
        except ForbiddenError:
            return None  # an agent that may not see it cannot be asked by it

    lives = await site.each(keys, read)
    return {
        key: pause_of(live, _object(wanted, key), site.manager) if live is not None else None
        for key, live in zip(keys, lives, strict=True)
    }


def namespace_key(name: str) -> ObjectKey:
    """The identity of a namespace."""
    return ObjectKey("", "Namespace", "", name)


def _object(wanted: Mapping[ObjectKey, Wanted], key: ObjectKey) -> Object | None:
    return wanted[key].object if key in wanted else None
