"""The agent as a whole: grants, targets, hubs that are away, wrong bytes, restarts, watches."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from agents.cache import Cache
from agents.errors import HubUnauthorizedError
from agents.inventory import PART_OF
from agents.protocol import Health, SyncState, Target
from clusters.clock import SystemClock
from clusters.objects import Kind, key_of
from clusters.simulation.cluster import partial_metadata
from tests.agents.lab import TEST_SETTINGS, Lab
from tests.agents.memory_hub import CLUSTER
from tests.agents.samples import SETTINGS, WEB, config_map, deployment, key

SETTINGS_0 = key("ConfigMap", "settings-0")


async def test_an_offer_is_started_applied_and_reported_healthy(lab: Lab) -> None:
    wanted = lab.release("web", deployment(), config_map())
    await lab.settled("web")
    assert lab.there("Deployment", "web", group="apps")["status"]["availableReplicas"] == 2
    report = lab.hub.known["web"]
    assert (report.digest, report.generation) == (wanted.digest, 1)
    assert (report.objects_total, report.objects_ready) == (2, 2)
    assert lab.hub.received[0].full


async def test_what_is_in_order_costs_no_write(lab: Lab) -> None:
    lab.release("web", deployment(), config_map())
    await lab.settled("web")
    lab.recorder.writes.clear()
    lab.recorder.dry_runs = 0
    await lab.run_for(300)
    assert lab.recorder.writes == []
    assert lab.recorder.dry_runs == 0


async def test_the_cost_of_a_check_is_one_list_for_each_kind_and_a_look_at_the_namespace(
    lab: Lab,
) -> None:
    lab.release("web", *[config_map(f"settings-{number}") for number in range(30)])
    await lab.settled("web")
    await lab.run_for(30)
    lab.recorder.reads.clear()
    await lab.run_for(61)
    own = ("bundle-web", "Node")
    owned = [line for line in lab.recorder.reads if not any(part in line for part in own)]
    assert owned == ["get Namespace shop", "list ConfigMap"]


async def test_a_grant_is_on_disk_before_the_first_write(lab: Lab) -> None:
    saved: list[bool] = []

    def look(what: str, obj: object) -> None:
        target = Cache(lab.state_dir).load_target(CLUSTER)
        saved.append(target is not None and [c.bundle for c in target.current] == ["web"])

    lab.recorder.before_write = look
    lab.release("web", config_map())
    await lab.settled("web")
    assert saved
    assert all(saved)


async def test_nothing_is_written_for_an_offer_that_is_refused(lab: Lab) -> None:
    lab.hub.withdraw(lab.hub.offer("run", lab.deployment("web", config_map())))
    await lab.run_for(30)
    assert lab.recorder.writes == []
    assert lab.agent.reports == {}
    assert len(lab.hub.starts) == 1, "a refused offer is forgotten until the target changes"
    lab.release("other", config_map("others"), run="second")
    await lab.until(lambda: lab.live("ConfigMap", "others") is not None)
    assert [item.generation for item in lab.hub.starts][1:3] == [1, 2], "asked again, then on"
    assert lab.live("ConfigMap", "settings") is None


async def test_offers_of_several_runs_are_started_side_by_side(lab: Lab) -> None:
    lab.release("first", config_map())
    lab.release("second", config_map("others"), run="second")
    await lab.settled("first", "second")
    assert [item.generation for item in lab.hub.starts] == [1, 2]
    assert lab.hub.known["second"].generation == 2


async def test_only_what_is_current_is_ever_applied(lab: Lab) -> None:
    """Everything that carries an owner label belongs to a digest that was granted before."""
    granted: set[str] = set()
    wrong: list[str] = []

    def look(what: str, obj: dict[str, object] | None) -> None:
        granted.update(item.digest for item in lab.hub.held.current)
        target = lab.agent.target
        held = {item.digest for item in target.current} if target else set()
        if not held <= granted or not held:
            wrong.append(what)

    lab.recorder.before_write = look
    for number in range(5):
        generation = lab.hub.offer(f"r{number}", lab.deployment("web", config_map(n=str(number))))
        if number % 2:
            lab.hub.withdraw(generation)
        await lab.run_for(3)
        live = lab.live("ConfigMap", "settings")
        assert live is not None
        assert live["data"]["n"] == str(number - number % 2)
    assert wrong == []


async def test_bytes_of_another_digest_are_never_applied(lab: Lab) -> None:
    wanted = lab.deployment("web", config_map())
    other = lab.deployment("web", config_map(colour="evil"))
    good = lab.hub.artifacts[wanted.artifact]
    lab.hub.artifacts[wanted.artifact] = lab.hub.artifacts[other.artifact]
    lab.hub.offer("run", wanted)
    await lab.run_for(60)
    assert lab.live("ConfigMap", "settings") is None
    assert lab.report("web").code == "artifact"
    assert lab.report("web").sync is SyncState.SYNCING
    lab.hub.artifacts[wanted.artifact] = good
    await lab.settled("web")


async def test_a_spoiled_cache_is_not_applied_but_fetched_again(lab: Lab) -> None:
    lab.release("web", config_map())
    await lab.settled("web")
    for path in (lab.state_dir / "artifacts").iterdir():
        path.write_bytes(path.read_bytes().replace(b"blue", b"evil"))
    lab.cluster.server.delete(SETTINGS)
    lab.new_agent()
    await lab.until(lambda: lab.live("ConfigMap", "settings") is not None)
    assert lab.there("ConfigMap", "settings")["data"] == {"colour": "blue"}


async def test_it_heals_from_disk_while_the_hub_is_away(lab: Lab) -> None:
    lab.release("web", config_map())
    await lab.settled("web")
    lab.hub.reachable = False
    lab.new_agent()
    lab.cluster.server.delete(SETTINGS)
    await lab.until(lambda: lab.live("ConfigMap", "settings") is not None)
    await lab.run_for(600)
    reports = len(lab.hub.received)
    lab.hub.reachable = True
    await lab.until(lambda: len(lab.hub.received) > reports, seconds=200)
    assert lab.hub.received[-1].full
    assert lab.hub.known["web"].healed == 1


async def test_an_older_target_is_refused(lab: Lab) -> None:
    lab.release("web", config_map())
    await lab.settled("web")
    held = lab.agent.target
    lab.hub.held = Target(cluster=CLUSTER, epoch=1, serial=1)
    await lab.run_for(30)
    assert lab.agent.target == held
    lab.new_agent()
    await lab.run_for(30)
    assert lab.agent.target == held
    assert lab.live("ConfigMap", "settings") is not None


async def test_a_restored_hub_of_a_higher_epoch_is_followed(lab: Lab) -> None:
    lab.release("web", config_map())
    await lab.settled("web")
    current = lab.hub.held.current
    lab.hub.held = Target(cluster=CLUSTER, epoch=2, serial=1, current=current)
    await lab.until(lambda: lab.agent.target is not None and lab.agent.target.epoch == 2)


async def test_a_target_of_another_cluster_is_refused(lab: Lab) -> None:
    item = lab.deployment("web", config_map())
    lab.hub.held = Target(cluster="prd-eu-1", epoch=9, serial=9, current=(item,))
    await lab.run_for(10)
    assert lab.agent.target is None
    assert lab.recorder.writes == []


async def test_reports_are_deltas_under_a_rising_sequence_with_heartbeats(lab: Lab) -> None:
    lab.release("web", config_map())
    lab.release("other", config_map("others"), run="b")
    await lab.settled("web", "other")
    sent = len(lab.hub.received)
    await lab.run_for(61)
    beats = lab.hub.received[sent:]
    assert 4 <= len(beats) <= 5
    assert not any(report.full or report.deployments for report in beats)
    sequences = [report.sequence for report in lab.hub.received]
    assert all(one < other for one, other in itertools.pairwise(sequences))
    assert [report.full for report in lab.hub.received].count(True) == 1


async def test_a_report_whose_answer_was_lost_is_sent_again_as_it_was(lab: Lab) -> None:
    lab.hub.lose_answers = 1
    lab.release("web", config_map())
    await lab.until(lambda: len(lab.hub.received) > 1)
    first, second = lab.hub.received[:2]
    assert first == second


async def test_a_hub_that_forgot_the_incarnation_is_told_everything(lab: Lab) -> None:
    lab.release("web", config_map())
    await lab.settled("web")
    lab.hub.known, lab.hub.known_incarnations = {}, set()
    await lab.until(lambda: "web" in lab.hub.known)
    assert lab.hub.received[-1].full


async def test_every_process_start_is_another_incarnation(lab: Lab) -> None:
    await lab.run_for(1)
    lab.new_agent()
    await lab.run_for(1)
    assert [item.incarnation for item in lab.hub.registrations] == ["inc-1", "inc-2"]
    assert lab.hub.registrations[0].kubernetes_version.startswith("v1.")


async def test_a_wrong_token_ends_the_first_step_with_a_cure(lab: Lab) -> None:
    lab.hub.authorized = False
    with pytest.raises(HubUnauthorizedError) as caught:
        await lab.agent.step(lab.clock.now())
    assert "fix:" in str(caught.value)


async def test_a_token_that_is_revoked_later_does_not_stop_the_healing(lab: Lab) -> None:
    lab.release("web", config_map())
    await lab.settled("web")
    lab.hub.authorized = False
    lab.cluster.server.delete(SETTINGS)
    await lab.until(lambda: lab.live("ConfigMap", "settings") is not None)


async def test_since_stays_while_the_state_does(lab: Lab) -> None:
    lab.release("web", config_map())
    await lab.settled("web")
    since = lab.report("web").since
    await lab.run_for(120)
    assert lab.report("web").since == since


async def test_an_inventory_that_somebody_broke_fails_its_bundle_until_mended(lab: Lab) -> None:
    lab.release("web", config_map())
    lab.release("other", config_map("others"), run="b")
    await lab.settled("web", "other")
    parent = lab.there("ConfigMap", "bundle-web", "fleet-system")
    where = key("ConfigMap", "bundle-web", "fleet-system")
    lab.edit(where, {"data": {"state": "{broken"}})
    lab.new_agent()
    await lab.until(lambda: lab.is_settled("other") and "web" in lab.agent.reports)
    assert lab.report("web").code == "inventory"
    lab.edit(where, {"data": {"state": parent["data"]["state"]}})
    await lab.settled("web")


async def test_a_deleted_inventory_is_written_again(lab: Lab) -> None:
    lab.release("web", config_map())
    await lab.settled("web")
    lab.cluster.server.delete(key("ConfigMap", "bundle-web", "fleet-system"))
    await lab.until(lambda: lab.live("ConfigMap", "bundle-web", "fleet-system") is not None)


@asynccontextmanager
async def _running(directory: Path) -> AsyncIterator[Lab]:
    """The agent's own loops and watches on real time, beside a running cluster."""
    lab = Lab(directory, settings=replace(TEST_SETTINGS, check_interval_seconds=600))
    clock = SystemClock()
    lab.clock = clock  # type: ignore[assignment]
    lab.hub.heartbeat_seconds = 0.5
    lab.__post_init__()
    tasks = [asyncio.create_task(lab.cluster.run()), asyncio.create_task(lab.agent.run())]
    try:
        yield lab
    finally:
        lab.agent.stop()
        await tasks[1]
        tasks[0].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _soon(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.02)


async def test_watches_heal_a_change_at_once_with_one_write(tmp_path: Path) -> None:
    async with _running(tmp_path) as lab:
        lab.release("web", deployment(), config_map())
        await _soon(lambda: lab.is_settled("web"))
        lab.recorder.writes.clear()
        loop = asyncio.get_running_loop()
        before = loop.time()
        lab.edit(WEB, {"spec": {"replicas": 5}})
        await _soon(lambda: lab.report("web").healed == 1)
        assert loop.time() - before < 2
        assert lab.recorder.writes == ["apply Deployment web"]
        lab.cluster.server.delete(SETTINGS)
        await _soon(lambda: lab.report("web").healed == 2)


async def test_what_the_first_listing_of_a_watch_shows_is_not_read_one_by_one(
    tmp_path: Path,
) -> None:
    async with _running(tmp_path) as lab:
        lab.release("web", *[config_map(f"settings-{number}") for number in range(30)])
        await _soon(lambda: lab.is_settled("web"))
        state = lab.agent._holdings.states["web"]
        known = dict(state.known)
        lab.recorder.reads.clear()
        state.known.clear()
        items = (await lab.cluster.list(Kind("", "ConfigMap"), labels=PART_OF)).items
        for item in items:
            lab.agent._holdings.saw(key_of(item), partial_metadata(item), whole=False)
        state.known.update(known)
        lab.edit(SETTINGS_0, {"data": {"colour": "red"}})
        lab.agent._wake_worker()
        await _soon(lambda: lab.report("web").healed == 1)
        reads = [line for line in lab.recorder.reads if "settings-" in line]
        assert set(reads) <= {f"get {SETTINGS_0}"}


async def test_a_status_that_worsens_is_seen_by_the_watch(tmp_path: Path) -> None:
    async with _running(tmp_path) as lab:
        lab.release("web", deployment())
        await _soon(lambda: lab.is_settled("web"))
        lab.recorder.writes.clear()
        pods, _, _ = lab.cluster.server.list(Kind("", "Pod"))
        lab.cluster.server.delete(key_of(pods[0]))
        await _soon(lambda: lab.report("web").health is Health.PROGRESSING)
        await _soon(lambda: lab.is_settled("web"))
        assert lab.recorder.writes == []


async def test_heartbeats_go_on_while_a_cluster_is_slow(tmp_path: Path) -> None:
    async with _running(tmp_path) as lab:
        await _soon(lambda: len(lab.hub.received) > 0)
        lab.cluster.faults.latency_seconds = 5
        lab.release("web", config_map())
        await _soon(lambda: bool(lab.hub.starts))
        sent = len(lab.hub.received)
        await _soon(lambda: len(lab.hub.received) >= sent + 3, seconds=5)
        assert lab.live("ConfigMap", "settings") is None
        lab.cluster.faults.latency_seconds = 0


async def test_a_partition_of_the_cluster_is_survived(tmp_path: Path) -> None:
    async with _running(tmp_path) as lab:
        lab.release("web", config_map())
        await _soon(lambda: lab.is_settled("web"))
        lab.cluster.faults.partitioned = True
        await asyncio.sleep(0)  # the watches end
        lab.cluster.server.delete(SETTINGS)
        lab.cluster.faults.partitioned = False
        await _soon(lambda: lab.live("ConfigMap", "settings") is not None)


async def test_after_an_outage_the_hub_is_not_asked_to_hold_before_it_has_answered(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[float] = []
    answer = lab.hub.target

    async def target(*, etag: str = "", wait_seconds: float = 0.0) -> Target | None:
        asked.append(wait_seconds)
        return await answer(etag=etag, wait_seconds=wait_seconds if lab.hub.reachable else 0.0)

    lab.release("web", config_map())
    await lab.settled("web")
    link = lab.agent._link
    monkeypatch.setattr(lab.hub, "target", target)
    lab.hub.reachable = False
    for _ in range(3):
        await link.poll(lab.clock.now(), wait_seconds=30)
    assert link.polls_failed == 3
    lab.hub.reachable = True
    await link.poll(lab.clock.now(), wait_seconds=30)
    assert (asked, link.polls_failed) == ([30, 0, 0, 0], 0)


async def test_run_ends_with_the_error_of_a_wrong_token(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    lab.hub.authorized = False
    with pytest.raises(HubUnauthorizedError):
        await lab.agent.run()


async def test_no_object_is_left_without_a_known_owner(lab: Lab) -> None:
    lab.release("web", config_map())
    await lab.settled("web")
    items, _, _ = lab.cluster.server.list(Kind("", "ConfigMap"), labels=PART_OF)
    assert [item["metadata"]["name"] for item in items] == ["settings"]


async def test_a_cluster_that_cannot_be_read_at_the_start_is_asked_at_a_calm_pace(
    lab: Lab,
) -> None:
    lab.cluster.faults.partitioned = True
    lab.release("web", config_map())
    await lab.run_for(10)
    assert len(lab.recorder.reads) <= 45
    assert lab.agent.reports == {}
    lab.cluster.faults.partitioned = False
    await lab.settled("web")
