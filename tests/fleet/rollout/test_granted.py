"""I13: an agent applies only what its hub granted, whatever is offered, withdrawn, edited or lost.

A real agent on a simulated cluster; after every turn the cluster holds a colour that was granted.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from clusters.objects import ObjectKey
from tests.agents.lab import Lab
from tests.agents.samples import config_map
from tests.fleet.rollout.histories import HISTORIES

MAP = ObjectKey("", "ConfigMap", "shop", "settings")
DEEDS = st.sampled_from(["offer", "refused offer", "hub away", "restart", "edit", "wait"])


async def history(lab: Lab, deeds: list[str]) -> None:
    granted, edited = {"colour-0"}, "by hand"
    lab.release("web", config_map(colour="colour-0"))
    await lab.settled("web")
    for number, deed in enumerate(deeds, 1):
        colour = f"colour-{number}"
        if deed == "offer" and lab.hub.reachable:
            lab.release("web", config_map(colour=colour), run=colour)
            granted.add(colour)
        elif deed == "refused offer":
            lab.hub.offer(colour, lab.deployment("web", config_map(colour=colour)))
            lab.hub.withdraw(lab.hub.held.offers[-1].generation)
        elif deed == "hub away":
            lab.hub.reachable = not lab.hub.reachable
        elif deed == "restart":
            lab.new_agent()
        elif deed == "edit":
            lab.edit(MAP, {"data": {"colour": edited}})
        await lab.run_for(20)
        found: Any = lab.there("ConfigMap", "settings")["data"]["colour"]
        assert found in {*granted, edited}, f"I13: {found} runs and was never granted"


@settings(HISTORIES, max_examples=12)
@given(st.lists(DEEDS, min_size=2, max_size=6))
@example(["refused offer", "edit", "wait"])
def test_i13_an_agent_applies_only_what_was_granted(deeds: list[str]) -> None:
    with TemporaryDirectory() as where:
        asyncio.run(history(Lab(Path(where)), deeds))
