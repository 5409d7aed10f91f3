"""The hub's metrics over real HTTP: counts by closed words, and a port of their own."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from fleet.api.serving import Listen, Serving
from fleet.errors import ServeError
from fleet.store.access import Access
from tests.fleet.api.served import OPERATOR, small_rig
from tests.fleet.hub.rig import SECRET, Rig

OPERATE = Path(__file__).resolve().parents[3] / "docs" / "operate.md"


async def scraped(rig: Rig) -> str:
    """One scrape."""
    listen = Listen(port=0, metrics="127.0.0.1:0")
    async with (
        Serving(rig.hub, Access(rig.store, OPERATOR), listen) as serving,
        httpx.AsyncClient() as client,
    ):
        answer = await client.get(serving.metrics_url + "/metrics")
        assert answer.status_code == 200, answer.text
        assert (await client.get(serving.metrics_url + "/healthz")).text == "ok\n"
        assert (await client.get(serving.metrics_url + "/v1/status")).status_code == 404
        assert (await client.get(serving.url + "/metrics")).status_code == 404
        return answer.text


async def test_a_scrape_counts_the_fleet(tmp_path: Path) -> None:
    rig = small_rig(tmp_path)
    rig.converge()
    text = await scraped(rig)
    assert 'fleet_clusters{state="Online"} 2.0' in text
    assert 'fleet_clusters{state="Offline"} 0.0' in text
    assert 'fleet_bundle_deployments_sync{sync="Synced"} 2.0' in text
    assert 'fleet_bundle_deployments_sync{sync="Failed"} 0.0' in text
    assert "process_resident_memory_bytes" in text
    for word in (SECRET, OPERATOR, "staging-1", "git.example"):
        assert word not in text, "no name and no secret"


async def test_every_metric_and_label_of_the_hub_is_documented_and_no_other(tmp_path: Path) -> None:
    families = text_string_to_metric_families(await scraped(small_rig(tmp_path)))
    shown = {
        (sample.name, ",".join(sorted(sample.labels)))
        for family in families
        for sample in family.samples
        if sample.name.startswith("fleet_")
    }
    rows = re.findall(r"^\| `(fleet_(?!agent_)\w+)` \|([^|]*)\|", OPERATE.read_text("utf-8"), re.M)
    said = {(name, ",".join(sorted(re.findall(r"`(\w+)`", labels)))) for name, labels in rows}
    assert shown == said


async def test_without_being_asked_for_nothing_listens(tmp_path: Path) -> None:
    rig = small_rig(tmp_path)
    async with Serving(rig.hub, Access(rig.store, OPERATOR), Listen(port=0)) as serving:
        assert serving.metrics_url == ""


def test_what_is_no_address_for_metrics_is_refused(tmp_path: Path) -> None:
    rig = small_rig(tmp_path)
    with pytest.raises(ServeError) as found:
        Serving(rig.hub, Access(rig.store, OPERATOR), Listen(port=0, metrics="nowhere"))
    assert found.value.code == "cannot-listen"
