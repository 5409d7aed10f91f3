"""Hooks as phases: applied one after the other by weight, waited for, and cleaned up.

| phase | its hooks | when |
|---|---|---|
| PRE | pre-sync, and pre-install, -upgrade or -rollback | before the objects |
| SYNC | sync | with the objects of their wave |
| POST | post-sync, and post-install, -upgrade or -rollback | after the objects |
| FAIL | sync-fail | once, after a failure that waiting does not mend |
| PRE_DELETE, POST_DELETE | pre-delete, post-delete | around the removal of the whole bundle |

Test hooks never get into an artifact. A hook object carries the attempt that it belongs to, so
that a restarted agent finds its own run again and an older one is replaced. Jobs and Pods are
waited for until they complete; hooks of a sync are, whatever their kind, until they are healthy. A
Job that somebody suspended is waited for as long as it is. One that somebody deleted while it ran
has failed. Hooks are never part of the inventory, which knows which are done.

What it never does: wait. A phase goes as far as it can, and a later pass goes on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from agents.apply.order import rank_of
from agents.apply.outcome import Failure, Outcome, failed, failed_bundle, syncing
from agents.apply.site import Site
from agents.apply.state import BundleState
from agents.apply.wanted import WantedHook
from agents.health import Assessment, assess
from agents.protocol import Health, HealthCheck, HookEvent
from clusters.errors import ClusterError
from clusters.objects import Kind, Object, annotations_of

ATTEMPT = "fleet.dev/hook-attempt"
_AWAITED = frozenset({Kind("batch", "Job"), Kind("", "Pod")})
_OF_A_SYNC = frozenset(
    {HookEvent.PRE_SYNC, HookEvent.SYNC, HookEvent.POST_SYNC, HookEvent.SYNC_FAIL}
)


class Phase(StrEnum):
    """The values are how the inventory names what is done."""

    PRE = "pre"
    SYNC = "sync"
    POST = "post"
    FAIL = "fail"
    PRE_DELETE = "pre-delete"
    POST_DELETE = "post-delete"


_EVENTS: dict[Phase, tuple[HookEvent, ...]] = {
    Phase.PRE: (HookEvent.PRE_SYNC,),
    Phase.SYNC: (HookEvent.SYNC,),
    Phase.POST: (HookEvent.POST_SYNC,),
    Phase.FAIL: (HookEvent.SYNC_FAIL,),
    Phase.PRE_DELETE: (HookEvent.PRE_DELETE,),
    Phase.POST_DELETE: (HookEvent.POST_DELETE,),
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """Which attempt and phase the hooks belong to, and how long one of them may run."""

    name: str
    """A hook of two phases of one attempt runs twice, so the phase is part of it."""
    timeout_seconds: int
    checks: Mapping[Kind, HealthCheck] = field(default_factory=dict)


Record = Callable[[str], Awaitable[None]]
"""Writes down that a hook is done, before anything of it is cleaned up."""


def due(hooks: Iterable[WantedHook], phase: Phase, operation: str = "") -> list[WantedHook]:
    """The hooks of a phase in the order in which they run; `operation` is the inventory's."""
    events = set(_EVENTS[phase])
    if operation and phase in (Phase.PRE, Phase.POST):
        events.add(HookEvent(f"{phase}-{operation}"))
    chosen = [item for item in hooks if events.intersection(item.hook.events)]
    return sorted(chosen, key=lambda item: (item.hook.weight, rank_of(item.key), item.key))


def waits_for_health(hooks: Iterable[WantedHook]) -> bool:
    """May these hooks of POST begin only when all objects are healthy?"""
    return any(HookEvent.POST_SYNC in item.hook.events for item in hooks)


def done_name(phase: Phase, item: WantedHook) -> str:
    """How the inventory names a hook of a phase that is done."""
    return f"{phase}:{item.key}"


async def run_phase(
    site: Site,
    state: BundleState,
    hooks: list[WantedHook],
    attempt: Attempt,
    now: datetime,
    phase: Phase,
    record: Record,
) -> Outcome | None:
    """Go on with a phase; `None` if it is over, else why the bundle cannot go on yet."""
    ran = False
    for item in hooks:
        name = done_name(phase, item)
        if name in state.inventory.hooks_done:
            continue
        if site.superseded():
            return syncing("a newer target takes over")
        try:
            waiting = await _go_on(site, state, item, attempt, now)
        except ClusterError as error:
            return failed([Failure.of(item.key, error, item.object)])
        if waiting is not None:
            return waiting
        await record(name)
        ran = True
    if ran or attempt.name not in state.phases_over:
        await _clean_up(site, hooks, attempt)
        state.phases_over.add(attempt.name)
    return None


async def _clean_up(site: Site, hooks: Iterable[WantedHook], attempt: Attempt) -> None:
    """Delete what asks to go when it has succeeded; never the run of another phase."""
    for item in hooks:
        if "hook-succeeded" not in item.hook.delete_policies:
            continue
        live = await site.cluster.get(item.key)
        if live is not None and annotations_of(live).get(ATTEMPT) == attempt.name:
            await site.cluster.delete(item.key, uid=live["metadata"].get("uid", ""))


async def _go_on(
    site: Site, state: BundleState, item: WantedHook, attempt: Attempt, now: datetime
) -> Outcome | None:
    """Start a hook or look at it; `None` when it is done."""
    live = await site.cluster.get(item.key)
    if live is not None and live["metadata"].get("deletionTimestamp"):
        return syncing(f"hook {item.key} is being deleted")
    mine = live is not None and annotations_of(live).get(ATTEMPT) == attempt.name
    if live is None and state.hooks_started.pop(item.key, "") == attempt.name:
        text = f"hook {item.key}: somebody deleted it before it was done"
        return failed_bundle("hook-failed", text)
    if live is None or not mine or live["metadata"].get("uid") in state.hooks_failed:
        if live is not None and _is_awaited(item):
            await site.cluster.delete(item.key, uid=live["metadata"].get("uid", ""))
            if await site.cluster.get(item.key) is not None:
                return syncing(f"hook {item.key} is being deleted")
        live = await _create(site, item, attempt)
    if not _is_awaited(item):
        return None
    state.hooks_started[item.key] = attempt.name
    waiting = await _judge(site, state, item, live, attempt, now)
    if waiting is None or waiting.failed:
        state.hooks_started.pop(item.key, None)
    return waiting


def _is_awaited(item: WantedHook) -> bool:
    return item.key.kind_key in _AWAITED or bool(_OF_A_SYNC.intersection(item.hook.events))


async def _create(site: Site, item: WantedHook, attempt: Attempt) -> Object:
    metadata = item.object["metadata"]
    annotations = {**(metadata.get("annotations") or {}), ATTEMPT: attempt.name}
    marked = {**item.object, "metadata": {**metadata, "annotations": annotations}}
    return await site.cluster.apply(marked, manager=site.manager, force=True)


async def _judge(
    site: Site,
    state: BundleState,
    item: WantedHook,
    live: Object,
    attempt: Attempt,
    now: datetime,
) -> Outcome | None:
    """Has the hook completed, failed, or run too long?"""
    uid = live["metadata"].get("uid", "")
    found = assess(live, check=attempt.checks.get(item.key.kind_key))
    if _completed(live, found):
        return None
    if found.health is Health.SUSPENDED:
        state.hooks_seen[uid] = now  # time does not pass for what stands still on purpose
        return syncing(f"hook {item.key} is suspended")
    ran_seconds = (now - state.hooks_seen.setdefault(uid, now)).total_seconds()
    if found.health is Health.DEGRADED and not _may_recover(live):
        text = found.message
    elif ran_seconds > attempt.timeout_seconds:
        text = f"did not complete within {attempt.timeout_seconds} s"
    else:
        return syncing(f"hook {item.key} is running")
    state.hooks_failed.add(uid)
    if "hook-failed" in item.hook.delete_policies:
        await site.cluster.delete(item.key, uid=uid)
    return failed_bundle("hook-failed", f"hook {item.key}: {text}")


def _completed(live: Object, found: Assessment) -> bool:
    """A Pod that is merely ready has not completed."""
    if live["kind"] == "Pod":
        return bool((live.get("status") or {}).get("phase") == "Succeeded")
    return found.health is Health.HEALTHY


def _may_recover(live: Object) -> bool:
    """A Pod that cannot start yet may still; only one that has failed is over."""
    return live["kind"] == "Pod" and (live.get("status") or {}).get("phase") != "Failed"
