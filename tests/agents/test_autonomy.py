"""An agent by itself: without a hub, without its disk, beside another agent, before a false hub."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agents.agent import Agent
from agents.cache import Cache
from agents.errors import LeaseLostError
from agents.protocol import Target
from agents.protocol.signing import check_target, sign_target, succeed
from agents.protocol.sshsig import key_line
from clusters.clock import FakeClock
from clusters.objects import ObjectKey
from tests.agents.lab import TEST_SETTINGS, Lab
from tests.agents.log_lines import printed
from tests.agents.memory_hub import CLUSTER, MemoryHub
from tests.agents.samples import config_map

SETTINGS_MAP = ObjectKey("", "ConfigMap", "shop", "settings")


def new_disk(lab: Lab, name: str = "elsewhere") -> None:
    """The next incarnation starts on another node: an empty disk."""
    lab.state_dir = lab.state_dir.parent / name
    lab.new_agent()


def colour(lab: Lab) -> str:
    """What the cluster holds."""
    return str(lab.there("ConfigMap", "settings")["data"]["colour"])


async def released(lab: Lab, value: str = "blue") -> None:
    """A bundle in order, and all that the agent does after it."""
    lab.release("web", config_map(colour=value), run=f"run-{value}")
    await lab.settled("web")
    await lab.run_for(3)


async def test_an_empty_disk_while_the_hub_is_away_heals_from_the_cluster(lab: Lab) -> None:
    await released(lab)
    lab.hub.reachable = False
    lab.edit(SETTINGS_MAP, {"data": {"colour": "red"}})
    new_disk(lab)
    lab.clock.advance(lab.settings.lease_seconds)
    await lab.run_for(60)
    assert colour(lab) == "blue"
    assert lab.agent.reports["web"].sync == "Synced"
    held = Cache(lab.state_dir).load_target(CLUSTER)
    assert held is not None
    check_target(held, key_line(lab.hub.key))


async def test_an_older_target_stays_refused_on_an_empty_disk(lab: Lab) -> None:
    await released(lab, "blue")
    old = lab.hub.held
    await released(lab, "green")
    new_disk(lab)
    lab.hub.held = old
    lab.clock.advance(lab.settings.lease_seconds)
    await lab.run_for(120)
    assert colour(lab) == "green"
    assert lab.agent.target is not None
    assert lab.agent.target.order > old.order


async def test_a_false_hub_is_refused_on_an_empty_disk_and_healing_goes_on(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    await released(lab)
    true_hub, lab.hub = lab.hub, MemoryHub()
    lab.hub.held = sign_target(lab.hub.key, Target(cluster=CLUSTER, epoch=9, serial=9))
    lab.release("evil", config_map("evil"))
    new_disk(lab)
    lab.clock.advance(lab.settings.lease_seconds)
    with caplog.at_level(logging.WARNING):
        await lab.run_for(60)
    assert lab.live("ConfigMap", "evil") is None
    assert lab.hub.starts == []
    assert lab.hub.received == [], "nor is it told anything"
    assert "has another key than the one pinned" in lab.hub.registrations[-1].trouble
    assert "has another key than the one pinned" in printed(caplog.records)
    assert "--hub-key" in printed(caplog.records)
    lab.edit(SETTINGS_MAP, {"data": {"colour": "red"}})
    await lab.run_for(lab.settings.check_interval_seconds + 5)
    assert colour(lab) == "blue"
    lab.hub = true_hub
    lab.new_agent()
    await lab.until(lambda: bool(lab.hub.received) and not lab.hub.received[-1].trouble)


async def test_before_the_cluster_was_looked_at_no_first_hub_is_believed(lab: Lab) -> None:
    lab.cluster.faults.partitioned = True
    await lab.run_for(30)
    assert lab.hub.registrations == []
    lab.cluster.faults.partitioned = False
    await lab.run_for(30)
    assert lab.hub.registrations


async def test_an_agent_that_was_told_its_hub_asks_it_at_once(lab: Lab) -> None:
    lab.cluster.faults.partitioned = True
    lab.agent = _agent(lab, lab.state_dir, key_line(lab.hub.key))
    await lab.run_for(5)
    assert lab.hub.registrations


def _agent(lab: Lab, state_dir: Path, hub_key: str = "") -> Agent:
    lab.incarnations += 1
    name = f"inc-{lab.incarnations}"
    return Agent(
        lab.recorder,
        lab.hub,
        lab.clock,
        state_dir,
        name=CLUSTER,
        incarnation=name,
        settings=lab.settings,
        hub_key=hub_key,
    )


async def test_a_target_that_another_key_signed_is_refused(lab: Lab) -> None:
    await released(lab)
    lab.hub.key = Ed25519PrivateKey.generate()
    lab.release("web", config_map(colour="evil"), run="evil")
    await lab.run_for(60)
    assert colour(lab) == "blue"


async def test_a_running_agent_follows_a_key_that_was_rotated(lab: Lab) -> None:
    await released(lab)
    old, new = lab.hub.key, Ed25519PrivateKey.generate()
    lab.hub.key, lab.hub.successions = new, (succeed(old, new),)
    await released(lab, "green")
    assert colour(lab) == "green"
    lab.hub.reachable = False
    lab.edit(SETTINGS_MAP, {"data": {"colour": "red"}})
    new_disk(lab)
    lab.clock.advance(lab.settings.lease_seconds)
    await lab.run_for(60)
    assert colour(lab) == "green", "the copy in the cluster moved along"


@pytest.mark.parametrize("spoil", ["digest", "signature", "stranger", "pin"])
async def test_a_target_on_disk_that_was_tampered_with_is_not_used(lab: Lab, spoil: str) -> None:
    await released(lab)
    cache = Cache(lab.state_dir)
    held = cache.load_target(CLUSTER)
    assert held is not None
    stranger = Ed25519PrivateKey.generate()
    if spoil == "digest":
        item = lab.deployment("web", config_map(colour="evil"))
        cache.save_artifact(item.artifact, lab.hub.artifacts[item.artifact])
        held = held.model_copy(update={"current": (item,)})
    elif spoil == "stranger":
        held = sign_target(stranger, held)
    elif spoil == "signature":
        held = held.model_copy(update={"signature": ""})
    else:
        cache.save_key(b"")
    cache.save_target(held)
    lab.hub.reachable = False
    lab.new_agent()
    assert lab.agent.target is None
    await lab.run_for(10)
    assert colour(lab) == "blue", "the copy in the cluster takes its place"
    assert lab.agent.target is not None


async def test_an_option_that_the_agent_does_not_know_stops_its_bundle_alone(lab: Lab) -> None:
    await released(lab)
    lab.release("other", config_map("others"), run="second")
    item = lab.deployment("web", config_map(colour="green"))
    lab.hub.offer("third", item.model_copy(update={"digest": "sha256:" + "0" * 64}))
    await lab.settled("other")
    await lab.run_for(30)
    assert (lab.report("web").sync, lab.report("web").code) == ("Failed", "digest")
    assert colour(lab) == "blue"


async def test_a_second_agent_waits_leaves_the_hub_alone_and_takes_over(lab: Lab) -> None:
    await released(lab)
    first = lab.agent
    second = _agent(lab, lab.state_dir.parent / "second")
    for _ in range(200):
        await second.step(lab.clock.now())
        await first.step(lab.clock.now())
        lab.clock.advance(0.5)
    assert second.waits_for
    assert [item.incarnation for item in lab.hub.registrations] == ["inc-1"]
    assert second.reports == {}
    lab.agent = second
    lab.edit(SETTINGS_MAP, {"data": {"colour": "red"}})
    await lab.until(lambda: colour(lab) == "blue", seconds=120)
    assert second.waits_for == ""
    assert [item.incarnation for item in lab.hub.registrations] == ["inc-1", "inc-2"]
    with pytest.raises(LeaseLostError):
        await first.step(lab.clock.now())


async def test_days_without_a_hub_and_then_one_report_of_how_things_are(lab: Lab) -> None:
    lab.settings = replace(lab.settings, check_interval_seconds=3600, lease_seconds=0)
    lab.new_agent()
    await released(lab)
    lab.hub.reachable = False
    told = len(lab.hub.received)
    for day in range(4):
        lab.edit(SETTINGS_MAP, {"data": {"colour": f"by-hand-{day}"}})
        lab.edit(SETTINGS_MAP, {"metadata": {"annotations": {"day": str(day)}}})
        for _ in range(24):
            lab.clock.advance(3600)
            await lab.agent.step(lab.clock.now())
        assert colour(lab) == "blue"
    lab.hub.reachable = True
    lab.clock.advance(lab.settings.backoff_limit_seconds * 2)
    await lab.run_for(10)
    news = [report for report in lab.hub.received[told:] if report.deployments]
    assert len(news) <= 2, "what was not answered, and the newest since"
    assert lab.hub.known["web"].healed == 4


@pytest.mark.parametrize("hours", [-30, -3, 3, 30])
async def test_a_clock_that_is_wrong_by_hours_changes_nothing(tmp_path: Path, hours: int) -> None:
    lab = Lab(tmp_path / "state")
    wrong = FakeClock(lab.clock.now() + timedelta(hours=hours))
    lab.agent = Agent(
        lab.recorder,
        lab.hub,
        wrong,
        lab.state_dir,
        name=CLUSTER,
        incarnation="skewed",
        settings=TEST_SETTINGS,
    )
    lab.release("web", config_map())
    for _ in range(200):
        await lab.agent.step(wrong.now())
        for clock in (wrong, lab.clock):
            clock.advance(0.5)
    assert lab.is_settled("web")
    lab.edit(SETTINGS_MAP, {"data": {"colour": "red"}})
    for _ in range(200):
        await lab.agent.step(wrong.now())
        for clock in (wrong, lab.clock):
            clock.advance(0.5)
    assert colour(lab) == "blue"


async def test_what_is_offered_is_on_disk_before_it_is_started(lab: Lab) -> None:
    item = lab.release("web", config_map())
    await lab.settled("web")
    assert lab.hub.calls.index(f"artifact {item.artifact}") < lab.hub.calls.index("start")
    assert lab.hub.calls.count(f"artifact {item.artifact}") == 1


@pytest.mark.parametrize("half", ["target.json", "hub-key.json", "identity"])
async def test_a_kill_in_the_middle_of_a_file_leaves_the_file_before_it(
    lab: Lab, half: str
) -> None:
    await released(lab)
    (lab.state_dir / f".{half}.new").write_bytes(b'{"clus')
    (lab.state_dir / "artifacts" / ".0123.new").write_bytes(b"half an artifact")
    lab.hub.reachable = False
    lab.edit(SETTINGS_MAP, {"data": {"colour": "red"}})
    lab.new_agent()
    assert lab.agent.target == lab.hub.signed()
    await lab.run_for(10)
    assert colour(lab) == "blue"
    lab.hub.reachable = True
    await lab.run_for(120)
    await released(lab, "green")
    assert not list((lab.state_dir / "artifacts").glob(".*")), "what was left half is cleared away"
