"""Helm's hooks as phases: applied one after the other by weight, waited for, and cleaned up.

    due        pre- or post-, install or upgrade; test hooks never get into an artifact
    run_phase  as far as it goes without waiting; the inventory knows which are done

A hook object carries the attempt that it belongs to, so that a restarted agent finds its own run
again and an older one is replaced (`before-hook-creation`). Jobs and Pods are waited for until they
complete, other kinds are only applied. Hooks are never part of the inventory.

A Job that asks to be removed as soon as it is finished is kept for `SEEN_WITHIN_SECONDS`: one that
is gone could have completed or failed, and would be run again and again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto

from agents.apply.order import rank_of
from agents.apply.outcome import Failure, Outcome, failed, failed_bundle, syncing
from agents.apply.site import Site
from agents.apply.state import BundleState
from agents.apply.wanted import WantedHook
from agents.health import assess
from agents.protocol import Health, HookEvent
from clusters.errors import ClusterError
from clusters.objects import Kind, Object, annotations_of

ATTEMPT = "fleet.dev/hook-attempt"
SEEN_WITHIN_SECONDS = 600
"""How long a finished Job stays at least, so that an agent that was away for a moment sees it."""
_AWAITED = frozenset({Kind("batch", "Job"), Kind("", "Pod")})


@dataclass(frozen=True, slots=True)
class Attempt:
    """Which attempt the hooks belong to, and how long one of them may run."""

    name: str
    timeout_seconds: int


class _Run(Enum):
    """Where one hook is."""

    DONE = auto()
    UNDER_WAY = auto()


def due(hooks: tuple[WantedHook, ...], moment: str, operation: str) -> list[WantedHook]:
    """The hooks of `pre` or `post` and `install` or `upgrade`, in the order in which they run."""
    event = HookEvent(f"{moment}-{operation}")
    chosen = [item for item in hooks if event in item.hook.events]
    return sorted(chosen, key=lambda item: (item.hook.weight, rank_of(item.key), item.key))


def hook_id(item: WantedHook, moment: str) -> str:
    """How the inventory names a hook of a phase that is done."""
    return f"{moment}:{item.key}"


async def run_phase(
    site: Site,
    state: BundleState,
    hooks: list[WantedHook],
    attempt: Attempt,
    now: datetime,
    moment: str,
    record: Callable[[str], Awaitable[None]],
) -> Outcome | None:
    """Go on with a phase; `None` if it is over, else why the bundle cannot go on yet.

    `record` writes down that a hook is done, before anything of it is cleaned up.
    """
    for item in hooks:
        name = hook_id(item, moment)
        if name in state.inventory.hooks_done:
            continue
        if site.superseded():
            return syncing("a newer target takes over")
        try:
            run = await _go_on(site, state, item, attempt, now)
        except ClusterError as error:
            return failed([Failure.of(item.key, error, item.object)])
        if isinstance(run, Outcome):
            return run
        if run is _Run.UNDER_WAY:
            return syncing(f"hook {item.key} is running")
        await record(name)
    for item in hooks:
        done_with = "hook-succeeded" in item.hook.delete_policies
        if done_with and await site.cluster.get(item.key) is not None:
            await site.cluster.delete(item.key)
    return None


async def _go_on(
    site: Site, state: BundleState, item: WantedHook, attempt: Attempt, now: datetime
) -> _Run | Outcome:
    live = await site.cluster.get(item.key)
    if live is not None and live["metadata"].get("deletionTimestamp"):
        return _Run.UNDER_WAY
    mine = live is not None and annotations_of(live).get(ATTEMPT) == attempt.name
    if live is None or not mine or live["metadata"].get("uid") in state.hooks_failed:
        if live is not None and item.key.kind_key in _AWAITED:
            await site.cluster.delete(item.key, uid=live["metadata"].get("uid", ""))
            if await site.cluster.get(item.key) is not None:
                return _Run.UNDER_WAY
        live = await _create(site, item, attempt)
    if item.key.kind_key not in _AWAITED:
        return _Run.DONE
    return await _judge(site, state, item, live, attempt, now)


async def _create(site: Site, item: WantedHook, attempt: Attempt) -> Object:
    metadata = item.object["metadata"]
    annotations = {**(metadata.get("annotations") or {}), ATTEMPT: attempt.name}
    marked = {**item.object, "metadata": {**metadata, "annotations": annotations}}
    return await site.cluster.apply(_lasting(marked), manager=site.manager, force=True)


def _lasting(hook: Object) -> Object:
    """The hook, kept after its end for long enough to be seen."""
    spec = hook.get("spec")
    if hook["kind"] != "Job" or not isinstance(spec, dict):
        return hook
    asked = spec.get("ttlSecondsAfterFinished")
    if not isinstance(asked, int) or asked >= SEEN_WITHIN_SECONDS:
        return hook
    return {**hook, "spec": {**spec, "ttlSecondsAfterFinished": SEEN_WITHIN_SECONDS}}


async def _judge(
    site: Site,
    state: BundleState,
    item: WantedHook,
    live: Object,
    attempt: Attempt,
    now: datetime,
) -> _Run | Outcome:
    """Has the hook's Job or Pod completed, failed, or run too long?"""
    uid = live["metadata"].get("uid", "")
    if _completed(live):
        return _Run.DONE
    health = assess(live)
    ran_seconds = (now - state.hooks_seen.setdefault(uid, now)).total_seconds()
    if health.health is Health.DEGRADED and not _may_recover(live):
        text = health.message
    elif ran_seconds > attempt.timeout_seconds:
        text = f"did not complete within {attempt.timeout_seconds} s"
    else:
        return _Run.UNDER_WAY
    state.hooks_failed.add(uid)
    if "hook-failed" in item.hook.delete_policies:
        await site.cluster.delete(item.key, uid=uid)
    return failed_bundle("hook-failed", f"hook {item.key}: {text}")


def _completed(live: Object) -> bool:
    """A Pod that is merely ready has not completed."""
    if live["kind"] == "Pod":
        return bool((live.get("status") or {}).get("phase") == "Succeeded")
    return assess(live).health is Health.HEALTHY


def _may_recover(live: Object) -> bool:
    """A Pod that cannot start yet may still; only one that has failed is over."""
    return live["kind"] == "Pod" and (live.get("status") or {}).get("phase") != "Failed"
