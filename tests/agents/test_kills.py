"""Kill the agent after every single write: the next incarnation ends at the same cluster.

Each scenario is first run undisturbed, which counts its writes; then once for every n with a
death right after the n-th write. Compared are all objects that Fleet made, what each inventory
owns, and that nothing carries an owner label which no inventory knows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from agents.inventory import NAMESPACE, PART_OF, applyset_id, read_parent
from agents.protocol import BundleDeployment
from clusters.objects import Kind, Object, ObjectKey, key_of
from tests.agents.lab import Lab
from tests.agents.recorder import Crash
from tests.agents.samples import config_map, crd, deployment, hook, job, widget

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
    "handover": _handover,
}


async def _converge(lab: Lab) -> None:
    """Until everything is as the hub wants it, restarting the agent whenever it dies."""

    def done() -> bool:
        removed = all(item.bundle in lab.agent.reports for item in lab.hub.held.current)
        left = [name for name in lab.agent.reports if name not in _named(lab)]
        return removed and not left and not lab.hub.held.offers and _all_in_order(lab)

    for _ in range(3):
        try:
            await lab.until(done)
            return
        except Crash:
            lab.recorder.crash_after = None
            lab.new_agent()
    raise AssertionError("died more than once")


def _named(lab: Lab) -> set[str]:
    return {item.bundle for item in lab.hub.held.current}


def _all_in_order(lab: Lab) -> bool:
    return all(lab.is_in_order(item) for item in lab.hub.held.current)


async def _run(directory: Path, scenario: Scenario, crash_after: int | None) -> Lab:
    lab = Lab(directory)
    lab.recorder.crash_after = crash_after
    try:
        await scenario(lab)
    except Crash:
        raise AssertionError("the scenario's own preparation must converge") from None
    await _converge(lab)
    await lab.run_for(5)
    return lab


def _owned(lab: Lab) -> dict[ObjectKey, Object]:
    """Everything with an owner label, without what differs from run to run."""
    found: dict[ObjectKey, Object] = {}
    for kind in lab.cluster.server.resources().resources:
        items, _, _ = lab.cluster.server.list(kind, labels=PART_OF)
        for item in items:
            spec: dict[str, Any] = {name: item[name] for name in ("spec", "data") if name in item}
            found[key_of(item)] = {**spec, "owner": item["metadata"]["labels"][PART_OF]}
    return found


def _inventories(lab: Lab) -> dict[str, Any]:
    parents, _, _ = lab.cluster.server.list(Kind("", "ConfigMap"), namespace=NAMESPACE)
    read = [read_parent(item) for item in parents if "state" in (item.get("data") or {})]
    return {item.bundle: (item.objects, item.applied, item.operation) for item in read}


@pytest.mark.parametrize("name", SCENARIOS)
async def test_a_death_after_any_write_changes_nothing_in_the_end(
    name: str, tmp_path: Path
) -> None:
    calm = await _run(tmp_path / "calm", SCENARIOS[name], None)
    writes = len(calm.recorder.writes)
    assert writes >= 3
    for count in range(1, writes + 1):
        lab = await _run(tmp_path / str(count), SCENARIOS[name], count)
        assert lab.incarnations >= 2, f"nobody died at write {count} of {writes}"
        assert _owned(lab) == _owned(calm), f"after a death at write {count}"
        assert _inventories(lab) == _inventories(calm), f"after a death at write {count}"
        owners = {applyset_id(bundle) for bundle in _inventories(lab)}
        orphans = [k for k, item in _owned(lab).items() if item["owner"] not in owners]
        assert orphans == [], f"after a death at write {count}"
