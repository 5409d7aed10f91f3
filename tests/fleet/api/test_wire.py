"""The wire over real HTTP, spoken by the agent's own client."""

from __future__ import annotations

import asyncio

import pytest

from agents.errors import HubUnauthorizedError, OfferRefusedError, ProtocolMismatchError
from agents.protocol import (
    DeploymentReport,
    Health,
    RegisterRequest,
    Report,
    StartRequest,
    SyncState,
    read_artifact,
)
from fleet.rollout.decisions import Actor, Verb
from tests.fleet.api.served import Served
from tests.fleet.hub.rig import deployment_of

V1 = deployment_of("web", "v1")


async def test_an_agent_registers_pulls_starts_fetches_and_reports(hub: Served) -> None:
    agent = hub.agent("staging-1")
    registered = await agent.register(RegisterRequest(cluster="staging-1", incarnation="a"))
    assert registered.claimed
    target = await agent.target()
    assert target is not None
    (offer,) = target.offers
    asked = StartRequest(run=offer.run, generation=offer.generation, incarnation="a")
    started = await agent.start(asked)
    assert await agent.start(asked) == started
    (current,) = started.current
    data = await agent.artifact(current.artifact)
    assert read_artifact(data, current.artifact).bundle == "web"
    state = DeploymentReport(
        bundle="web",
        digest=current.digest,
        generation=offer.generation,
        sync=SyncState.SYNCED,
        health=Health.HEALTHY,
    )
    report = Report(cluster="staging-1", incarnation="a", sequence=1, deployments=(state,))
    assert (await agent.report(report)).accepted
    assert (await agent.report(report)).accepted
    await agent.close()
    document = await hub.get("/v1/clusters/staging-1")
    assert (document["synced"], document["health"]) == (1, "Healthy")


async def test_an_agent_to_be_asks_what_it_will_have_to_be_allowed(hub: Served) -> None:
    agent = hub.agent("staging-1")
    needs = await agent.needs()
    assert [obj["metadata"]["name"] for obj in needs.objects] == ["web"]
    await agent.close()


async def test_a_target_that_did_not_change_costs_nothing(hub: Served) -> None:
    agent = hub.agent("staging-1")
    target = await agent.target()
    assert target is not None
    assert await agent.target(etag=target.etag) is None
    await agent.close()


async def test_a_long_poll_over_http_answers_when_the_target_changes(hub: Served) -> None:
    agent = hub.agent("staging-1")
    first = await agent.target()
    assert first is not None
    waiting = asyncio.create_task(agent.target(etag=first.etag, wait_seconds=30))
    hub.rig.hub.desk.decide(hub.rig.live()[0], Verb.ABORT, actor=Actor("ana"))
    async with asyncio.timeout(20):
        while not waiting.done():
            hub.rig.clock.advance(1)
            await asyncio.sleep(0.01)
    withdrawn = await waiting
    assert withdrawn is not None
    assert withdrawn.offers == ()
    await agent.close()


async def test_a_refused_start_arrives_with_its_code(hub: Served) -> None:
    agent = hub.agent("staging-1")
    with pytest.raises(OfferRefusedError) as refused:
        await agent.start(StartRequest(run="none", generation=1, incarnation="a"))
    assert refused.value.code == "unknown-offer"
    await agent.close()


async def test_a_wire_version_that_nobody_shares_is_told_as_such(hub: Served) -> None:
    agent = hub.agent("staging-1")
    with pytest.raises(ProtocolMismatchError):
        await agent.register(
            RegisterRequest(cluster="staging-1", incarnation="a", protocol_min=8, protocol_max=9)
        )
    await agent.close()


async def test_a_wrong_token_arrives_as_unauthorized_with_the_cure(hub: Served) -> None:
    agent = hub.agent("staging-1", "wrong")
    with pytest.raises(HubUnauthorizedError) as refused:
        await agent.target()
    assert "fleet cluster token staging-1" in refused.value.fix
    assert "wrong" not in str(refused.value)
    await agent.close()


@pytest.mark.parametrize("wait", ["soon", "-1", "nan", "inf"])
async def test_a_wait_that_is_no_number_is_refused(hub: Served, wait: str) -> None:
    token = hub.token("staging-1")
    answer = await hub.ask("GET", f"/v1/clusters/staging-1/target?wait={wait}", token)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-wait")


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b'{"cluster": []}', {}, 400),
        (b"[1]", {}, 400),
        (b"\xff\xfe", {}, 400),
        (b"{}", {"Content-Encoding": "gzip"}, 415),
        (b" " * (16 * 1024 * 1024 + 1), {}, 413),
    ],
)
async def test_bodies_are_bounded_and_judged(
    hub: Served, body: bytes, headers: dict[str, str], status: int
) -> None:
    token = hub.token("staging-1")
    path = "/v1/clusters/staging-1/report"
    answer = await hub.ask("POST", path, token, content=body, headers=headers)
    assert answer.status_code == status
    assert {"code", "what", "at", "fix"} <= answer.json().keys()
