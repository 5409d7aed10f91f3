"""Hostile inputs, group 9: a hub, or somebody who recorded its answers, that says what it must not.

Everything here is signed by the hub's real key: only its age, its place or its bytes are wrong.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from agents.protocol import Artifact, StartRequest, Target
from agents.protocol.signing import sign_target
from clusters.objects import Digest
from tests.agents.lab import Lab
from tests.agents.log_lines import facts
from tests.agents.memory_hub import MemoryHub
from tests.agents.samples import config_map


class Replaying(MemoryHub):
    """A hub in whose place recorded answers are given."""

    def __init__(self) -> None:
        super().__init__()
        self.to_start: Target | None = None
        self.to_poll: Target | None = None
        self.swapped: dict[Digest, bytes] = {}

    async def start(self, request: StartRequest) -> Target:
        """Grant it, and answer with what was recorded."""
        granted = await super().start(request)
        return self.to_start or granted

    async def target(self, *, etag: str = "", wait_seconds: float = 0.0) -> Target | None:
        """What was recorded, if anything, else the truth."""
        return self.to_poll or await super().target(etag=etag, wait_seconds=wait_seconds)

    async def artifact(self, digest: Digest) -> bytes:
        """Other bytes for some digests."""
        return self.swapped.get(digest) or await super().artifact(digest)


@pytest.fixture
def hub() -> Replaying:
    """The hub of these stories."""
    return Replaying()


@pytest.fixture
def lab(tmp_path: Path, hub: Replaying) -> Lab:
    """An agent of it."""
    return Lab(tmp_path, hub=hub)


async def test_an_older_target_is_refused_as_the_answer_to_a_start_too(
    lab: Lab, hub: Replaying, caplog: pytest.LogCaptureFixture
) -> None:
    lab.release("web", config_map(colour="old"))
    await lab.settled("web")
    recorded = hub.signed()
    lab.release("web", config_map(colour="new"), run="second")
    await lab.settled("web")
    hub.to_start = recorded
    caplog.set_level(logging.INFO, "agents")
    lab.release("next", config_map("next"), run="third")
    await lab.run_for(10)
    assert lab.there("ConfigMap", "settings")["data"] == {"colour": "new"}
    assert lab.agent.target is not None
    assert lab.agent.target.order > recorded.order
    (told,) = facts(caplog.records, "hub failed")[:1]
    assert (told["code"], "refused" in told["reason"]) == ("hub-answer", True)
    hub.to_start = None
    await lab.settled("next")


@pytest.mark.parametrize(
    "change",
    [{"epoch": 0, "serial": 10**9}, {"serial": 1}, {"cluster": "prd-1"}, {"cluster": ""}],
    ids=str,
)
async def test_what_the_real_key_signed_for_another_time_or_place_changes_nothing(
    lab: Lab, hub: Replaying, change: dict[str, Any]
) -> None:
    lab.release("web", config_map(colour="new"))
    await lab.settled("web")
    held = lab.agent.target
    item = lab.deployment("next", config_map("next"))
    hub.to_poll = sign_target(hub.key, hub.held.model_copy(update={**change, "current": (item,)}))
    await lab.run_for(10)
    assert lab.agent.target == held
    assert lab.live("ConfigMap", "next") is None
    hub.to_poll = None
    lab.release("next", config_map("next"), run="second")
    await lab.settled("next")


async def test_another_clusters_artifact_under_this_ones_name_is_never_applied(
    lab: Lab, hub: Replaying
) -> None:
    theirs = Artifact(bundle="web", objects=(config_map(colour="theirs"),))
    ours = lab.deployment("web", config_map(colour="ours"))
    hub.swapped[ours.artifact] = theirs.to_bytes()
    hub.offer("run", ours)
    await lab.run_for(10)
    assert lab.live("ConfigMap", "settings") is None
    assert lab.report("web").code == "artifact"
    del hub.swapped[ours.artifact]
    await lab.settled("web")
    assert lab.there("ConfigMap", "settings")["data"] == {"colour": "ours"}


async def test_an_offer_that_is_refused_is_told_as_a_fact_with_its_parts(
    lab: Lab, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "agents")
    lab.hub.withdraw(lab.hub.offer("run-1", lab.deployment("web", config_map())))
    await lab.run_for(5)
    (told,) = facts(caplog.records, "offer refused")
    assert (told["run"], told["generation"], told["code"]) == ("run-1", 1, "withdrawn")
