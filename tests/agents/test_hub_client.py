"""The hub over HTTP: every answer becomes a value or one typed error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from agents.errors import (
    HubAnswerError,
    HubError,
    HubUnauthorizedError,
    HubUnreachableError,
    OfferRefusedError,
    ProtocolMismatchError,
)
from agents.hub_client import HttpHub
from agents.protocol import Artifact, BundleDeployment, Options, RegisterRequest, Report
from agents.protocol import StartRequest as Start
from tests.agents.memory_hub import CLUSTER, MemoryHub
from tests.agents.samples import config_map
from tests.agents.served_hub import TOKEN, ServedHub

REGISTER = RegisterRequest(cluster=CLUSTER, incarnation="inc-1")


@pytest.fixture
async def served() -> AsyncIterator[ServedHub]:
    """A hub on loopback."""
    async with ServedHub(MemoryHub()).serving() as serving:
        yield serving


@pytest.fixture
async def client(served: ServedHub) -> AsyncIterator[HttpHub]:
    """A client with the right token."""
    hub = HttpHub(served.url + "/", CLUSTER, TOKEN, limit_seconds=5)
    yield hub
    await hub.close()


async def test_registering_tells_the_heartbeat_and_the_epoch(client: HttpHub) -> None:
    answer = await client.register(REGISTER)
    assert (answer.heartbeat_seconds, answer.epoch, answer.claimed) == (15.0, 1, True)


async def test_an_unchanged_target_is_none(client: HttpHub) -> None:
    target = await client.target()
    assert target is not None
    assert await client.target(etag=target.etag) is None


async def test_a_held_request_ends_when_the_target_changes(
    client: HttpHub, served: ServedHub
) -> None:
    target = await client.target()
    assert target is not None
    held = asyncio.create_task(client.target(etag=target.etag, wait_seconds=30))
    async with asyncio.timeout(5):
        while not any("wait=30" in line for line in served.seen):
            await asyncio.sleep(0)
        served.hub.offer("run", BundleDeployment.absent("web"))
        changed = await held
    assert changed is not None
    assert changed.offers


async def test_a_granted_start_answers_the_new_target_and_a_refused_one_says_why(
    client: HttpHub, served: ServedHub
) -> None:
    item = BundleDeployment.of("web", "sha256:1", {}, Options())
    generation = served.hub.offer("run", item)
    granted = await client.start(Start(run="run", generation=generation, incarnation="i"))
    assert granted.current == (item,)
    assert granted.generations == {"web": generation}
    with pytest.raises(OfferRefusedError) as caught:
        await client.start(Start(run="run", generation=99, incarnation="i"))
    assert caught.value.code == "withdrawn"
    assert "withdrawn" in caught.value.what


async def test_an_artifact_arrives_byte_by_byte(client: HttpHub, served: ServedHub) -> None:
    artifact = Artifact(bundle="web", objects=(config_map(),))
    digest = served.hub.put(artifact)
    assert await client.artifact(digest) == artifact.to_bytes()
    with pytest.raises(HubAnswerError) as caught:
        await client.artifact("sha256:" + "0" * 64)
    assert caught.value.status == 404


async def test_a_report_is_answered(client: HttpHub, served: ServedHub) -> None:
    report = Report(cluster=CLUSTER, incarnation="inc-1", sequence=1)
    assert (await client.report(report)).resync
    assert (await client.report(report.model_copy(update={"full": True}))).accepted
    assert served.hub.received[0].full


async def test_a_wrong_token_says_so_with_a_cure_and_without_the_token(served: ServedHub) -> None:
    hub = HttpHub(served.url, CLUSTER, "wrong-token-canary")
    try:
        with pytest.raises(HubUnauthorizedError) as caught:
            await hub.register(REGISTER)
    finally:
        await hub.close()
    assert f"fleet cluster token {CLUSTER}" in str(caught.value)
    assert "canary" not in str(caught.value)


async def test_nobody_there_is_unreachable() -> None:
    hub = HttpHub("http://127.0.0.1:9", CLUSTER, TOKEN, limit_seconds=2)
    try:
        with pytest.raises(HubUnreachableError) as caught:
            await hub.target()
    finally:
        await hub.close()
    assert "fix:" in str(caught.value)


async def test_an_answer_that_does_not_come_is_unreachable(served: ServedHub) -> None:
    hub = HttpHub(served.url, CLUSTER, TOKEN, limit_seconds=0.05)
    try:
        target = await hub.target()
        assert target is not None
        with pytest.raises(HubUnreachableError):
            await hub.target(etag=target.etag, wait_seconds=0.05)
    finally:
        await hub.close()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, HubUnauthorizedError),
        (403, HubUnauthorizedError),
        (404, HubAnswerError),
        (409, OfferRefusedError),
        (426, ProtocolMismatchError),
        (429, HubUnreachableError),
        (500, HubAnswerError),
        (503, HubUnreachableError),
        (302, HubAnswerError),
    ],
)
async def test_each_status_is_one_error(
    client: HttpHub, served: ServedHub, status: int, kind: type[HubError]
) -> None:
    headers = {"Location": "http://elsewhere.example/"} if status == 302 else {}
    served.broken = web.Response(status=status, text="<html>", headers=headers)
    with pytest.raises(kind):
        await client.target()
    assert len(served.seen) == 1, "a redirect is not followed"


@pytest.mark.parametrize("body", ["", "<html>", "[]", "{}", '{"cluster": 1}'])
async def test_an_answer_of_the_wrong_form_is_an_error(
    client: HttpHub, served: ServedHub, body: str
) -> None:
    served.broken = web.Response(text=body)
    with pytest.raises(HubAnswerError):
        await client.target()


async def test_a_wire_version_that_is_not_ours_is_a_mismatch(
    client: HttpHub, served: ServedHub
) -> None:
    answer = {"cluster": CLUSTER, "epoch": 1, "protocol": 99, "claimed": True}
    served.broken = web.json_response({**answer, "heartbeat_seconds": 15})
    with pytest.raises(ProtocolMismatchError) as caught:
        await client.register(REGISTER)
    assert "upgrade" in str(caught.value)


async def test_an_endless_answer_is_cut_off(
    client: HttpHub, served: ServedHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.hub_client.MAX_ANSWER_BYTES", 1000)
    served.broken = web.Response(body=b"x" * 2000)
    with pytest.raises(HubAnswerError, match="more than"):
        await client.target()


@pytest.mark.parametrize("url", ["", "hub:8080", "ftp://hub", "http://"])
def test_an_address_that_is_none_is_refused_at_once(url: str) -> None:
    with pytest.raises(HubAnswerError, match="no address"):
        HttpHub(url, CLUSTER, TOKEN)


@pytest.mark.parametrize("host", ["hub.example", "10.0.0.7", "127.0.0.1.example"])
def test_a_token_never_crosses_a_network_in_the_clear(host: str) -> None:
    with pytest.raises(HubAnswerError, match="plain HTTP"):
        HttpHub(f"http://{host}:8780", CLUSTER, TOKEN)
    HttpHub(f"https://{host}", CLUSTER, TOKEN)


async def test_a_cluster_name_cannot_leave_its_path(served: ServedHub) -> None:
    hub = HttpHub(served.url, "../agents", TOKEN)
    try:
        await hub.target()
    finally:
        await hub.close()
    assert served.seen == ["GET /v1/clusters/..%2Fagents/target?wait=0"]
