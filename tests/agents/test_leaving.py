"""A cluster that leaves the fleet: its agent does what the signed target says, and no more."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from agents.lease import KEY
from agents.leaving import in_words
from agents.protocol import Deletion, Options, SyncState
from clusters.objects import Object
from tests.agents.lab import Lab
from tests.agents.log_lines import facts
from tests.agents.samples import config_map, key, secret

BUNDLES = ("api", "db", "web")
CHANGED = {"data": {"colour": "red"}}
BLUE = {"colour": "blue"}


async def _running(lab: Lab) -> None:
    """Three bundles with enough objects that removing them is a wipe."""
    for name in BUNDLES:
        objects = [config_map(f"{name}-{number}") for number in range(5)]
        lab.release(name, *objects, secret(f"{name}-secret", k="v"), run=name)
    await lab.settled(*BUNDLES)
    lab.recorder.writes.clear()


def _left(lab: Lab) -> bool:
    return lab.hub.received[-1].left


def _data(lab: Lab) -> Object:
    return dict(lab.there("ConfigMap", "web-0")["data"])


async def test_an_orphan_keeps_everything_and_nothing_is_touched_any_more(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    await _running(lab)
    before = lab.clock.now()
    with caplog.at_level(logging.WARNING):
        lab.hub.let_leave(Deletion.ORPHAN)
        await lab.until(lambda: _left(lab))
    assert (lab.clock.now() - before).total_seconds() < 5, "that waits for no heartbeat"
    told = facts(caplog.records, "fleet membership changed")
    assert [fact["meaning"] for fact in told] == [in_words(Deletion.ORPHAN)]
    lab.edit(key("ConfigMap", "web-0"), CHANGED)
    lab.cluster.server.delete(key("ConfigMap", "web-1"))
    await lab.run_for(200)
    assert lab.recorder.writes == []
    assert _data(lab) == CHANGED["data"]
    assert lab.there("ConfigMap", "bundle-web", "fleet-system"), "the inventory stays"
    assert lab.agent.standing().has_left


async def test_nothing_is_started_in_a_cluster_that_leaves(lab: Lab) -> None:
    await _running(lab)
    lab.hub.let_leave(Deletion.ORPHAN)
    await lab.until(lambda: _left(lab))
    started = len(lab.hub.starts)
    lab.release("more", config_map("more"), run="more")
    await lab.run_for(30)
    assert len(lab.hub.starts) == started
    assert lab.live("ConfigMap", "more") is None


async def test_it_has_left_for_an_agent_that_starts_again_without_a_hub_too(lab: Lab) -> None:
    await _running(lab)
    lab.hub.let_leave(Deletion.ORPHAN)
    await lab.until(lambda: _left(lab))
    lab.hub.reachable = False
    lab.new_agent()
    lab.edit(key("ConfigMap", "web-0"), CHANGED)
    await lab.run_for(200)
    assert _data(lab) == CHANGED["data"]
    assert lab.recorder.writes == []


async def test_it_has_left_for_an_agent_on_an_empty_disk_too(lab: Lab, tmp_path: Path) -> None:
    await _running(lab)
    lab.hub.let_leave(Deletion.ORPHAN)
    await lab.until(lambda: _left(lab))
    await lab.run_for(5)
    lab.hub.reachable = False
    lab.state_dir = tmp_path / "another node"
    lab.cluster.server.delete(KEY)  # the agent of before is dead, and its Lease with it
    lab.new_agent()
    lab.edit(key("ConfigMap", "web-0"), CHANGED)
    await lab.run_for(200)
    assert lab.agent.target is not None
    assert _data(lab) == CHANGED["data"]


async def test_a_cluster_that_is_declared_again_is_taken_up_where_it_was(lab: Lab) -> None:
    await _running(lab)
    lab.hub.let_leave(Deletion.ORPHAN)
    await lab.until(lambda: _left(lab))
    lab.edit(key("ConfigMap", "web-0"), CHANGED)
    lab.hub.let_leave(None)
    await lab.until(lambda: _data(lab) == BLUE)
    await lab.until(lambda: not _left(lab))
    assert not lab.agent.standing().has_left


@pytest.mark.parametrize("policy", [Deletion.DELETE, Deletion.WAIT])
async def test_a_cluster_that_is_to_be_emptied_is_and_that_is_no_wipe_by_accident(
    lab: Lab, policy: Deletion
) -> None:
    await _running(lab)
    lab.hub.let_leave(policy)
    await lab.until(lambda: _left(lab))
    assert not lab.agent.reports
    for name in BUNDLES:
        assert lab.live("ConfigMap", f"{name}-0") is None
        assert lab.live("ConfigMap", f"bundle-{name}", "fleet-system") is None
    assert lab.live("Namespace", "shop", "") is not None


async def test_only_wait_waits_until_the_last_object_has_gone(lab: Lab) -> None:
    held = config_map("held")
    held["metadata"]["finalizers"] = ["example.com/wait"]
    lab.release("web", held)
    await lab.settled("web")
    lab.hub.let_leave(Deletion.WAIT)
    await lab.run_for(60)
    assert not _left(lab)
    assert lab.report("web").sync is SyncState.SYNCING
    lab.hub.let_leave(Deletion.DELETE)
    await lab.until(lambda: _left(lab))
    assert lab.live("ConfigMap", "held") is not None


async def test_a_bundle_that_keeps_its_resources_keeps_them_when_its_cluster_goes(
    lab: Lab,
) -> None:
    options = Options(namespace="shop", keep_resources=True)
    lab.release("web", config_map(), options=options)
    await lab.settled("web")
    lab.hub.let_leave(Deletion.DELETE)
    await lab.until(lambda: _left(lab))
    assert lab.live("ConfigMap", "settings") is not None


def test_a_person_is_told_in_words_what_becomes_of_it() -> None:
    told = {in_words(item) for item in (None, *Deletion)}
    assert len(told) == 4
    assert all("declares this cluster" in text for text in told)
