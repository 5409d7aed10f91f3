"""One object of an applied bundle: does it differ, and what is to be done about it?

::

    as it was last in order ─────────────────────────────── nothing, without a comparison
    differs, and a dry-run says that an apply would change it
        ├─ the object or its namespace is paused ────────── report it
        ├─ the bundle only warns ────────────────────────── report it
        ├─ a field was set back to the other value 3 times ─ leave it for a while, report it
        └─ otherwise ────────────────────────────────────── set it back, with one write

Promise: no drift is ever reported with an empty diff, and no write is made that changes nothing.
What the server would again make of a value is its own normalisation, no drift. Where a dry-run is
not to be had (a webhook that cannot do one, an immutable field) the comparison alone decides.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from agents.apply import contests
from agents.apply.contests import Contest
from agents.apply.move import Order
from agents.apply.outcome import Failure
from agents.apply.pauses import Pause, pause_of, pause_over
from agents.apply.pausing import note_namespaces
from agents.apply.policy import ApplyPolicy, is_protected, may_recreate
from agents.apply.site import Site
from agents.apply.state import BundleState, Drift
from agents.apply.wanted import Prepared, Wanted
from agents.diff import Difference, Path, describe, differences, path_text
from agents.inventory import ensure_namespace
from agents.protocol import DriftMode
from clusters.errors import AdmissionError, ClusterError, ImmutableError
from clusters.objects import Object, ObjectKey

Live = dict[ObjectKey, Object | None]
_MISSING = (Difference((), "present", None),)


@dataclass(frozen=True, slots=True)
class Found:
    """How one object differs from what is wanted."""

    real: tuple[Difference, ...]
    live: Object | None
    refused: ImmutableError | None = None
    """An apply would be refused like that."""


@dataclass(frozen=True, slots=True)
class Holding:
    """One pass over the objects of a bundle; `live` is brought up to date by it."""

    site: Site
    state: BundleState
    order: Order
    prepared: Prepared
    live: Live
    now: datetime

    async def hold(self, key: ObjectKey) -> None:
        """Compare one object and do what is to be done. Never raises for what a cluster says."""
        wanted, found = self.prepared.objects[key], self.live[key]
        self.state.check_failures.pop(key, None)
        if found is not None and found["metadata"].get("deletionTimestamp"):
            return
        if wanted.is_ignored or (found is not None and wanted.policy is ApplyPolicy.IF_NOT_PRESENT):
            return
        if found is not None:
            self._note_pause(wanted, found)
            calm = key not in self.state.drift
            if calm and self.state.is_known(key, wanted.digest, found):
                self._in_order(wanted, found)
                return
        try:
            await self._judge(wanted, await self._differing(wanted))
        except ClusterError as error:
            self.state.check_failures[key] = Failure.of(key, error, wanted.object)

    def _note_pause(self, wanted: Wanted, found: Object) -> None:
        pause = pause_of(found, wanted.object, self.site.manager)
        if pause is not None:
            self.state.pauses[wanted.key] = pause
        else:
            self.state.pauses.pop(wanted.key, None)

    def _in_order(self, wanted: Wanted, live: Object | None) -> None:
        self.state.drift.pop(wanted.key, None)
        if live is not None:
            self.state.remember(wanted.digest, live)

    async def _differing(self, wanted: Wanted) -> Found:
        """In what the object differs; nothing if the server would change nothing."""
        found = self.live[wanted.key]
        if found is not None and not differences(self._settled(wanted, found), found):
            return Found((), found)
        found = self.live[wanted.key] = await self.site.cluster.get(wanted.key)
        if found is None:
            return Found(_MISSING, None)
        self._note_pause(wanted, found)
        if found["apiVersion"] != wanted.object["apiVersion"]:
            found = await self._in_version_of(wanted)
        target = self._settled(wanted, found)
        suspects = differences(target, found)
        if not suspects:
            return Found((), found)
        return await self._confirmed(target, suspects, found)

    def _settled(
        self, wanted: Wanted, live: Object | None, contested: tuple[Path, ...] = ()
    ) -> Object:
        scaled = wanted.key in self.state.scaled
        return wanted.settled(live, self.site.manager, scaled=scaled, contested=contested)

    async def _in_version_of(self, wanted: Wanted) -> Object:
        """The live object in the wanted API version: what an apply of nothing would store."""
        nothing = {name: wanted.object[name] for name in ("apiVersion", "kind")}
        where = {k: v for k, v in wanted.object["metadata"].items() if k in ("name", "namespace")}
        return await self.site.cluster.apply(
            {**nothing, "metadata": where}, manager="fleet/probe", dry_run=True
        )

    async def _confirmed(
        self, target: Object, suspects: tuple[Difference, ...], found: Object
    ) -> Found:
        try:
            would_be = await self.site.cluster.apply(
                target, manager=self.site.manager, force=True, dry_run=True
            )
        except ImmutableError as error:
            return Found(suspects, found, error)
        except AdmissionError as error:
            if not error.refuses_dry_run:
                raise
            return Found(suspects, found)
        normalised = {item.path for item in differences(target, would_be)}
        return Found(tuple(item for item in suspects if item.path not in normalised), found)

    async def _judge(self, wanted: Wanted, found: Found) -> None:
        key = wanted.key
        if not found.real:
            self._in_order(wanted, self.live[key])
            return
        pause = await self._pause(key)
        if pause is not None:
            self.state.drift[key] = self._drift(found, "paused", pause.text(), pause.until)
        elif self.order.deployment.options.drift is DriftMode.WARN:
            self.state.drift[key] = self._drift(found, "drift")
        else:
            await self._correct(wanted, found)

    async def _pause(self, key: ObjectKey) -> Pause | None:
        """The pause of the object, or of its namespace as that is now."""
        state = self.state
        if key.namespace and pause_over(key, state.pauses, self.now) is None:
            await note_namespaces(self.site, state, self.prepared, {key.namespace})
        over = pause_over(key, state.pauses, self.now)
        return over[1] if over is not None else None

    def _drift(
        self, found: Found, code: str, message: str = "", until: datetime | None = None
    ) -> Drift:
        said = describe(found.real, found.live, self.site.manager)
        return Drift(said, code, message, until)

    async def _correct(self, wanted: Wanted, found: Found) -> None:
        """Set back what is not contested; the whole object where that is what it takes."""
        key, state = wanted.key, self.state
        paths = [item.path for item in found.real if item.path]
        before = {**self._recalled(key, paths), **state.contests.get(key, contests.NONE)}
        state.contests[key] = contests.sighted(before, paths, self.now)
        held = contests.held(state.contests[key], self.now)
        if len(held) < len(found.real):
            await self._heal(wanted, found, tuple(held))
        if held and key not in state.check_failures:
            left = tuple(item for item in found.real if item.path in held)
            disputed = Found(left, found.live)
            until = min(item.until for item in held.values() if item.until)
            message = _contested_text(held, self._drift(disputed, "").fields, until)
            state.drift[key] = self._drift(disputed, "contested", message, until)

    def _recalled(self, key: ObjectKey, paths: list[Path]) -> dict[Path, Contest]:
        """What an earlier agent left of fights over these fields."""
        named = {path: (str(key), path_text(path)) for path in paths}
        disputed = self.state.disputed
        return {path: disputed.pop(name) for path, name in named.items() if name in disputed}

    async def _heal(self, wanted: Wanted, found: Found, left: tuple[Path, ...]) -> None:
        key, state = wanted.key, self.state
        rivals = self.order.claims.others(key, self.site.bundle)
        if rivals:
            text = f"is wanted by bundle {', bundle '.join(rivals)} too"
            state.check_failures[key] = Failure(key, "owned-elsewhere", text)
            return
        if found.refused is not None:
            await self._recreate(wanted, found.refused)
            return
        namespace = self.order.deployment.options.namespace or "default"
        if self.live[key] is None and key.namespace == namespace:
            await ensure_namespace(self.site.cluster, key.namespace)
        target = self._settled(wanted, self.live[key], left)
        stored = await self.site.cluster.apply(target, manager=self.site.manager, force=True)
        self.live[key] = stored
        state.note_healing(key, self._healing(found, left))
        state.contests[key] = contests.set_back(state.contests[key], self.now)
        self._in_order(wanted, stored)

    def _healing(self, found: Found, left: tuple[Path, ...]) -> Drift:
        done = Found(tuple(item for item in found.real if item.path not in left), found.live)
        return self._drift(done, "healed", f"set back at {self.now.isoformat(timespec='seconds')}")

    async def _recreate(self, wanted: Wanted, refused: ImmutableError) -> None:
        """Delete an object that cannot be set back, if that is allowed; the next look makes it."""
        key, live = wanted.key, self.live[wanted.key]
        options = self.order.deployment.options
        allowed = options.drift_force or options.force or may_recreate(wanted.object)
        if live is None or not allowed or is_protected(live, key):
            raise refused
        uid = live["metadata"].get("uid", "")
        await self.site.cluster.delete(key, propagation="Foreground", uid=uid)
        self.state.touched[key] = None


def _contested_text(
    held: Mapping[Path, Contest], fields: tuple[object, ...], until: datetime
) -> str:
    names = ", ".join(sorted(path_text(path) for path in held)[:3])
    managers = sorted({getattr(item, "manager", "") for item in fields} - {""})
    who = " and ".join(managers) or "somebody"
    return f"contested: {who} keeps setting {names} back; left alone until {until.isoformat()}"
