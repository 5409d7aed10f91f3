"""Who may ask what: every route, every kind of token. Rows 8 and 9 of the hostile inputs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import Match, Route

from fleet.api.app import make_app
from fleet.rollout.step import Veto
from fleet.store.access import Access
from fleet.store.vetoes import add_vetoes
from tests.fleet.api.served import OPERATOR, Served, small_rig
from tests.fleet.hub.rig import SECRET, deployment_of

V1 = deployment_of("web", "v1")
OWN = {"cluster": "staging-1", "incarnation": "a"}
WIRE: tuple[tuple[str, str, Any], ...] = (
    ("POST", "/v1/agents/register", OWN),
    ("GET", "/v1/clusters/staging-1/target", None),
    ("GET", "/v1/clusters/staging-1/needs", None),
    ("POST", "/v1/clusters/staging-1/start", {"run": "x", "generation": 1, "incarnation": "a"}),
    ("GET", f"/v1/clusters/staging-1/artifacts/{V1.artifact}", None),
    ("POST", "/v1/clusters/staging-1/report", {**OWN, "sequence": 1}),
)
PEOPLE: tuple[tuple[str, str, Any], ...] = (
    ("GET", "/v1/status", None),
    ("GET", "/v1/clusters", None),
    ("GET", "/v1/clusters/staging-1", None),
    ("GET", "/v1/groups", None),
    ("GET", "/v1/groups/staging", None),
    ("GET", "/v1/bundles", None),
    ("GET", "/v1/bundles/web", None),
    ("GET", "/v1/bundledeployments", None),
    ("GET", "/v1/rollout/plan", None),
    ("GET", "/v1/rollout/status", None),
    ("GET", "/v1/rollout/history", None),
    ("GET", "/v1/rollout/explain/staging-1", None),
    ("GET", "/v1/runs", None),
    ("GET", "/v1/runs/web-", None),
    ("GET", "/v1/events", None),
    ("GET", "/v1/problems", None),
    ("GET", "/v1/explain/staging-1/web", None),
    ("POST", "/v1/query", {"sql": "SELECT 1"}),
    ("POST", "/v1/runs/web-/pause", {"actor": "ana"}),
    ("POST", f"/v1/commits/{1:040x}/resume", {"actor": "ana"}),
    ("POST", "/v1/fleet/freeze", {"actor": "ana", "reason": "an incident"}),
    ("POST", "/v1/bundles/web/unveto", {"actor": "ana", "reason": "mended"}),
    ("GET", "/v1/syncs", None),
    ("POST", "/v1/syncs", {"actor": "ana"}),
    ("GET", "/v1/syncs/1-1", None),
    ("POST", "/v1/clusters/production-1/token", {}),
    ("POST", "/v1/clusters/stray/forget", {}),
    ("POST", "/v1/source/refresh", {}),
)


@pytest.mark.parametrize("token", [None, "", "wrong", OPERATOR[:-1], f"{OPERATOR}x"])
async def test_no_empty_or_wrong_token_opens_anything(hub: Served, token: str | None) -> None:
    for method, path, body in (*WIRE, *PEOPLE):
        answer = await hub.ask(method, path, token, json=body)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated"), path
        assert answer.json()["fix"]
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


async def test_another_clusters_token_opens_none_of_a_clusters_routes(hub: Served) -> None:
    token = hub.token("production-1")
    for method, path, body in WIRE:
        answer = await hub.ask(method, path, token, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "not-your-cluster"), path
        assert V1.digest not in answer.text


async def test_the_operator_is_no_agent(hub: Served) -> None:
    for method, path, body in WIRE:
        answer = await hub.ask(method, path, OPERATOR, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "agent-token-needed"), path


async def test_an_agent_is_no_operator(hub: Served) -> None:
    token = hub.token("staging-1")
    for method, path, body in PEOPLE:
        answer = await hub.ask(method, path, token, json=body)
        assert (answer.status_code, answer.json()["code"]) == (403, "operator-token-needed"), path


async def test_the_operator_token_opens_every_route_of_people(hub: Served) -> None:
    hub.rig.agents["staging-1"].turn()  # so that there is something to sync
    hub.rig.join("stray")
    with hub.rig.store.write() as c:
        add_vetoes(c, [Veto("web", V1.digest, "")], hub.rig.clock.now())
    for method, path, body in PEOPLE:
        answer = await hub.ask(method, path, OPERATOR, json=body)
        assert answer.status_code in (200, 201), answer.text


def test_every_route_is_in_one_of_the_two_tables(tmp_path: Path) -> None:
    rig = small_rig(tmp_path)
    app = make_app(rig.hub, Access(rig.store, OPERATOR))
    routes = {route.name for route in app.routes if isinstance(route, Route)} - {"_healthz"}
    named = set()
    for method, path, _ in (*WIRE, *PEOPLE):
        for route in app.routes:
            scope = {"type": "http", "method": method, "path": path}
            if route.matches(scope)[0] is Match.FULL and isinstance(route, Route):
                named.add(route.name)
                break
    assert named == routes


def test_every_route_is_documented_and_every_documented_route_is_there(tmp_path: Path) -> None:
    rig = small_rig(tmp_path)
    app = make_app(rig.hub, Access(rig.store, OPERATOR))
    routes = {route.name for route in app.routes if isinstance(route, Route)} - {"_healthz"}
    text = (Path(__file__).parents[3] / "docs" / "api.md").read_text("utf-8")
    assert set(re.findall(r"^\| `((?:GET|POST) /v1/[^`]+)`", text, re.M)) == routes


async def test_a_report_in_another_name_than_the_paths_is_refused(hub: Served) -> None:
    body = {"cluster": "production-1", "incarnation": "a", "sequence": 1}
    token = hub.token("staging-1")
    answer = await hub.ask("POST", "/v1/clusters/staging-1/report", token, json=body)
    assert (answer.status_code, answer.json()["code"]) == (403, "not-your-cluster")


@pytest.mark.parametrize("cluster", [None, "", "staging-1"])
@pytest.mark.parametrize("incarnation", [None, ""])
async def test_empty_claims_are_refused_and_make_nobody_speak(
    hub: Served, cluster: str | None, incarnation: str | None
) -> None:
    token, before = hub.token("staging-1"), await hub.get("/v1/clusters/staging-1")
    claims = {"cluster": cluster, "incarnation": incarnation}
    said = {name: value for name, value in claims.items() if value is not None}
    more = {"sequence": 1, "full": True, "run": "web-", "generation": 1}
    for path in ("agents/register", "clusters/staging-1/report", "clusters/staging-1/start"):
        answer = await hub.ask("POST", f"/v1/{path}", token, json=said | more)
        assert answer.status_code in (400, 403, 422), path
        assert answer.json()["fix"]
    assert await hub.get("/v1/clusters/staging-1") == before


async def test_two_authorization_headers_are_nobodys(hub: Served) -> None:
    headers = [("Authorization", "Bearer wrong"), ("Authorization", f"Bearer {OPERATOR}")]
    async with httpx.AsyncClient(base_url=hub.url) as client:
        answer = await client.get("/v1/status", headers=headers)
    assert answer.status_code == 401


async def test_an_artifact_of_another_cluster_stays_closed(hub: Served) -> None:
    token = hub.token("production-1")
    path = f"/v1/clusters/production-1/artifacts/{V1.artifact}"
    answer = await hub.ask("GET", path, token)
    assert (answer.status_code, answer.json()["code"]) == (404, "no-such-artifact")


async def test_an_unclaimed_cluster_gets_nothing(hub: Served) -> None:
    token = hub.token("nobody")
    body = {"cluster": "nobody", "incarnation": "a"}
    registered = await hub.ask("POST", "/v1/agents/register", token, json=body)
    assert registered.json()["claimed"] is False
    target = await hub.ask("GET", "/v1/clusters/nobody/target", token)
    assert (target.json()["current"], target.json()["offers"]) == ([], [])
    artifact = await hub.ask("GET", f"/v1/clusters/nobody/artifacts/{V1.artifact}", token)
    assert artifact.status_code == 404
    assert (await hub.get("/v1/clusters/nobody"))["state"] == "Unclaimed"


async def test_no_answer_for_people_shows_a_variable_or_a_token(hub: Served) -> None:
    token = hub.token("staging-1")
    hub.rig.agents["staging-1"].turn()
    for method, path, body in PEOPLE:
        if path.endswith("/token"):
            continue
        text = (await hub.ask(method, path, OPERATOR, json=body)).text
        for secret in (SECRET, token, OPERATOR):
            assert secret not in text, path


async def test_a_failure_nobody_foresaw_says_nothing_of_its_inside(
    hub: Served, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise RuntimeError(SECRET)

    hub.rig.hub.refresh = fail  # type: ignore[method-assign]
    answer = await hub.ask("POST", "/v1/source/refresh", OPERATOR, json={})
    assert (answer.status_code, answer.json()["code"]) == (500, "hub-failed")
    assert SECRET not in answer.text
    assert "failed" in caplog.text


async def test_routes_and_methods_that_are_not_there_are_refused_alike(hub: Served) -> None:
    missing = await hub.ask("GET", "/v2/anything", OPERATOR)
    assert (missing.status_code, missing.json()["code"]) == (404, "no-such-route")
    wrong = await hub.ask("DELETE", "/v1/status", OPERATOR)
    assert (wrong.status_code, wrong.json()["code"]) == (405, "no-such-method")


async def test_whether_it_lives_may_be_asked_by_everybody(hub: Served) -> None:
    answer = await hub.ask("GET", "/healthz", None)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
