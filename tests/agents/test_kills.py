"""Kill the agent after every single write: the next incarnation ends at the same cluster.

Each scenario is first run undisturbed, which counts its writes; then once for every n with a
death right after the n-th write; then once with a death after every write of every incarnation.
Compared are all objects that people and agents make, with owner and managers, what each inventory
owns, and that what carries an owner label and what inventories know is the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from agents.inventory import NAMESPACE, PART_OF, applyset_id, read_parent
from agents.protocol import BundleDeployment, Options
from clusters.objects import Kind, Object, ObjectKey, key_of
from tests.agents.lab import Lab
from tests.agents.recorder import Crash
from tests.agents.samples import config_map, crd, deployment, hook, job, namespace, widget

Scenario = Callable[[Lab], Awaitable[None]]


async def _first_install(lab: Lab) -> None:
    lab.release("web", deployment(), config_map(), crd(), widget())


async def _upgrade_that_prunes(lab: Lab) -> None:
    lab.release("web", deployment(), config_map("old"), config_map("older"))
    await _converge(lab)
    lab.release("web", deployment(image="example/web:2"), config_map("new"), run="second")


async def _hooks(lab: Lab) -> None:
    hooks = (
        hook(job("before"), "pre-install", policies=("hook-succeeded",)),
        hook(job("after"), "post-install"),
    )
    lab.release("web", config_map(), hooks=hooks)


async def _removal(lab: Lab) -> None:
    lab.release("web", deployment(), config_map())
    await _converge(lab)
    lab.hub.offer("removal", BundleDeployment.absent("web"))


async def _all_at_once(lab: Lab) -> None:
    """A release with hooks, a new kind, a recreation, a prune, and objects that change bundles."""
    forced = Options(namespace="shop", force=True)
    old = [config_map("moves", colour="red", extra="x"), config_map("old"), job("again")]
    lab.release("web", deployment(), config_map(), *old, options=forced)
    await _converge(lab)
    hooks = (
        hook(job("before"), "pre-upgrade", policies=("hook-succeeded",)),
        hook(job("after"), "post-upgrade"),
    )
    newer = [deployment(image="example/web:2"), config_map(n="2"), crd(), widget()]
    again = job("again", image="example/migrate:2")
    lab.hub.offer(
        "second",
        lab.deployment("web", *newer, again, hooks=hooks, options=forced),
        lab.deployment("next", config_map("moves", colour="green"), namespace("extra")),
    )


async def _changed_places(lab: Lab) -> None:
    """Two bundles swap their objects."""
    lab.release("one", config_map("a", x="1"), config_map("b", x="1"))
    lab.release("two", config_map("c", x="2"), config_map("d", x="2"), run="two")
    await _converge(lab)
    lab.hub.offer(
        "swap",
        lab.deployment("one", config_map("c", y="1"), config_map("d", y="1")),
        lab.deployment("two", config_map("a", y="2"), config_map("b", y="2")),
    )


def _in_wave(obj: Object, wave: int) -> Object:
    annotations = {"fleet.dev/sync-wave": str(wave)}
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}


async def _waves(lab: Lab) -> None:
    """Waves with a hook between, a Job that removes itself, and a way back."""
    hooks = (
        hook(job("before"), "pre-sync", "post-rollback", policies=("hook-succeeded",)),
        hook(job("between"), "sync", weight=1),
        hook(job("after"), "post-sync"),
    )
    gone = job("gone")
    gone["spec"]["ttlSecondsAfterFinished"] = 0
    first = [_in_wave(deployment(), -1), gone, _in_wave(config_map(), 2)]
    lab.release("web", *first, hooks=hooks)
    await _converge(lab)
    lab.release("web", *first, config_map("more"), hooks=hooks, run="forth")
    await _converge(lab)
    lab.release("web", *first, hooks=hooks, run="back")


async def _removal_with_hooks(lab: Lab) -> None:
    hooks = (
        hook(job("before"), "pre-delete", policies=("hook-succeeded",)),
        hook(job("after"), "post-delete"),
    )
    lab.release("web", deployment(), config_map(), hooks=hooks)
    await _converge(lab)
    lab.hub.offer("removal", BundleDeployment.absent("web"))


async def _handover(lab: Lab) -> None:
    lab.release("web", config_map(), config_map("stays"))
    await _converge(lab)
    lab.hub.offer(
        "move",
        lab.deployment("web", config_map("stays")),
        lab.deployment("next", config_map(colour="green")),
    )


SCENARIOS: dict[str, Scenario] = {
    "first install": _first_install,
    "upgrade that prunes": _upgrade_that_prunes,
    "hooks": _hooks,
    "removal": _removal,
    "removal with hooks": _removal_with_hooks,
    "waves": _waves,
    "handover": _handover,
    "all at once": _all_at_once,
    "changed places": _changed_places,
}


async def _converge(lab: Lab) -> None:
    """Until everything is as the hub wants it, restarting the agent whenever it dies."""
    every = lab.recorder.dies_every

    def done() -> bool:
        removed = all(item.bundle in lab.agent.reports for item in lab.hub.held.current)
        left = [name for name in lab.agent.reports if name not in _named(lab)]
        return removed and not left and not lab.hub.held.offers and _all_in_order(lab)

    for _ in range(200 if every else 2):
        try:
            await lab.until(done, seconds=600)
            return
        except Crash:
            lab.recorder.crash_after = len(lab.recorder.all_writes) + every if every else None
            lab.new_agent()
    raise AssertionError("died more often than the test allows")


def _named(lab: Lab) -> set[str]:
    return {item.bundle for item in lab.hub.held.current}


def _all_in_order(lab: Lab) -> bool:
    return all(lab.is_in_order(item) for item in lab.hub.held.current)


async def _run(
    directory: Path, scenario: Scenario, crash_after: int | None, *, dies_every: int | None = None
) -> Lab:
    lab = Lab(directory)
    lab.recorder.crash_after, lab.recorder.dies_every = crash_after, dies_every
    try:
        await scenario(lab)
    except Crash:
        raise AssertionError("the scenario's own preparation must converge") from None
    await _converge(lab)
    lab.recorder.crash_after = None
    await lab.run_for(5)
    return lab


_OF_CONTROLLERS = ("Pod", "ReplicaSet", "Event", "Node", "Lease", "EndpointSlice")


def _everything(lab: Lab) -> dict[ObjectKey, Object]:
    """All that people and agents make, without what differs from run to run."""
    found: dict[ObjectKey, Object] = {}
    for kind in lab.cluster.server.resources().resources:
        if kind.kind in _OF_CONTROLLERS:
            continue
        items, _, _ = lab.cluster.server.list(kind)
        for item in items:
            metadata = item["metadata"]
            if metadata.get("namespace") == NAMESPACE:
                continue  # the inventories are compared by what they say
            # A Job's selector and labels hold its uid.
            content = {} if kind.kind == "Job" else {k: item.get(k) for k in ("spec", "data")}
            managers = [m["manager"] for m in metadata.get("managedFields") or []]
            ours = sorted({name for name in managers if name.startswith("fleet/")})
            owner = (metadata.get("labels") or {}).get(PART_OF, "")
            found[key_of(item)] = {**content, "owner": owner, "managers": ours}
    return found


def _inventories(lab: Lab) -> dict[str, Any]:
    parents, _, _ = lab.cluster.server.list(Kind("", "ConfigMap"), namespace=NAMESPACE)
    read = [read_parent(item) for item in parents if "state" in (item.get("data") or {})]
    return {item.bundle: (item.objects, item.applied, item.operation) for item in read}


def _kept_hooks(lab: Lab) -> list[tuple[str, str]]:
    """The Secrets with hooks of removal: none is left when its bundle is gone."""
    secrets, _, _ = lab.cluster.server.list(Kind("", "Secret"), namespace=NAMESPACE)
    kept = [item for item in secrets if "hooks" in (item.get("data") or {})]
    return [(item["metadata"]["name"], item["data"]["hooks"]) for item in kept]


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_death_after_any_write_changes_nothing_in_the_end(
    name: str, tmp_path: Path
) -> None:
    calm = await _run(tmp_path / "calm", SCENARIOS[name], None)
    writes = len(calm.recorder.all_writes)
    assert writes >= 3
    for count in range(1, writes + 1):
        lab = await _run(tmp_path / str(count), SCENARIOS[name], count)
        assert lab.incarnations >= 2, f"nobody died at write {count} of {writes}"
        _assert_same(lab, calm, f"after a death at write {count}")


@pytest.mark.parametrize("name", SCENARIOS)
async def test_an_agent_that_dies_after_each_of_its_writes_gets_there_all_the_same(
    name: str, tmp_path: Path
) -> None:
    calm = await _run(tmp_path / "calm", SCENARIOS[name], None)
    lab = await _run(tmp_path / "dying", SCENARIOS[name], 1, dies_every=1)
    assert lab.incarnations > 3
    _assert_same(lab, calm, "after a death at every write")


def _assert_same(lab: Lab, calm: Lab, when: str) -> None:
    assert _everything(lab) == _everything(calm), when
    assert _inventories(lab) == _inventories(calm), when
    assert _kept_hooks(lab) == _kept_hooks(calm), when
    known = {key for objects, _, _ in _inventories(lab).values() for key in objects}
    owners = {applyset_id(bundle) for bundle in _inventories(lab)}
    labelled = {key: item["owner"] for key, item in _everything(lab).items() if item["owner"]}
    assert labelled.keys() == known, when
    assert set(labelled.values()) <= owners, when
