"""The agent's port over real HTTP: probes, metrics, and nothing that is secret."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agents.errors import AgentError
from agents.metrics import MOST_BUNDLES, exposition
from agents.probes import STUCK_SECONDS, Probes, address_of
from agents.protocol import DeploymentReport, Health, SyncState
from agents.standing import Standing
from tests.agents.lab import Lab
from tests.agents.samples import SETTINGS, config_map, secret

QUIET = Standing("prd-1", "1.2.3", True, True, True, 0, 1.0, {}, {})
OPERATE = Path(__file__).resolve().parents[2] / "docs" / "operate.md"


def report(bundle: str, **more: object) -> DeploymentReport:
    said = {"sync": SyncState.SYNCED, "health": Health.HEALTHY, **more}
    return DeploymentReport(bundle=bundle, digest="d", generation=1, **said)  # type: ignore[arg-type]


async def asked(standing: Standing, path: str) -> tuple[int, str]:
    """What the port answers."""
    async with Probes("127.0.0.1:0", lambda: standing) as probes, aiohttp.ClientSession() as http:
        answer = await http.get(probes.url + path)
        return answer.status, await answer.text()


def samples(standing: Standing) -> dict[str, float]:
    """Every series of a scrape with its value."""
    text = exposition(standing).decode()
    return {
        f"{s.name}{{{','.join(f'{k}={v}' for k, v in sorted(s.labels.items()))}}}": s.value
        for family in text_string_to_metric_families(text)
        for s in family.samples
    }


async def test_an_agent_that_turns_is_alive_and_one_that_is_stuck_is_not() -> None:
    assert await asked(QUIET, "/healthz") == (200, "ok\n")
    stuck = replace(QUIET, seconds_since_turn=STUCK_SECONDS + 1)
    assert (await asked(stuck, "/healthz"))[0] == 503


@pytest.mark.parametrize(
    "lacking", [replace(QUIET, opened=False), replace(QUIET, has_target=False)]
)
async def test_an_agent_is_ready_when_it_knows_what_is_there_and_what_is_wanted(
    lacking: Standing,
) -> None:
    assert (await asked(QUIET, "/readyz"))[0] == 200
    assert (await asked(lacking, "/readyz"))[0] == 503
    assert samples(lacking)["fleet_agent_ready{}"] == 0


async def test_a_hub_that_is_away_makes_no_agent_unready() -> None:
    away = replace(QUIET, registered=False, polls_failed=100)
    assert (await asked(away, "/readyz"))[0] == 200
    assert samples(away)["fleet_agent_hub_failures{}"] == 100


async def test_a_scrape_over_http_tells_how_bundles_stand(lab: Lab) -> None:
    lab.release("web", config_map(), secret(password="c4n4ry"))
    await lab.settled("web")
    lab.edit(SETTINGS, {"data": {"colour": "by hand"}})
    await lab.run_for(70)
    status, text = await asked(lab.agent.standing(), "/metrics")
    assert status == 200
    assert 'fleet_agent_bundle_state{bundle="web",health="Healthy",sync="Synced"} 1.0' in text
    assert 'fleet_agent_bundle_objects_ready{bundle="web"} 2.0' in text
    assert 'fleet_agent_bundle_healed_total{bundle="web"} 1.0' in text
    assert 'fleet_agent_bundles{health="Healthy",sync="Synced"} 1.0' in text
    assert "process_resident_memory_bytes" in text
    assert "c4n4ry" not in text
    assert "password" not in text


def test_however_many_bundles_there_are_the_series_are_bounded() -> None:
    reports = {f"b{n:05}": report(f"b{n:05}") for n in range(3 * MOST_BUNDLES)}
    found = samples(replace(QUIET, reports=reports))
    assert len([name for name in found if name.startswith("fleet_agent_bundle_objects{")]) == 500
    assert found["fleet_agent_bundles{health=Healthy,sync=Synced}"] == 3 * MOST_BUNDLES


def test_every_metric_and_label_of_the_agent_is_documented_and_no_other() -> None:
    standing = replace(QUIET, reports={"web": report("web")}, passes={SyncState.SYNCED: 1})
    families = text_string_to_metric_families(exposition(standing).decode())
    shown = {
        (s.name, ",".join(sorted(s.labels)))
        for family in families
        for s in family.samples
        if s.name.startswith("fleet_") and not s.name.endswith("_created")
    }
    rows = re.findall(r"^\| `(fleet_agent_\w+)` \|([^|]*)\|", OPERATE.read_text("utf-8"), re.M)
    said = {(name, ",".join(sorted(re.findall(r"`(\w+)`", labels)))) for name, labels in rows}
    assert shown == said


@pytest.mark.parametrize("listen", ["", "8781", ":8781", "host:", "host:x", "host:70000"])
def test_what_is_no_address_is_refused(listen: str) -> None:
    with pytest.raises(AgentError) as found:
        address_of(listen)
    assert found.value.code == "cannot-listen"


async def test_a_port_that_is_taken_is_one_error() -> None:
    async with Probes("127.0.0.1:0", lambda: QUIET) as probes:
        with pytest.raises(AgentError) as found:
            await Probes(probes.url.removeprefix("http://"), lambda: QUIET).__aenter__()
    assert found.value.code == "cannot-listen"
