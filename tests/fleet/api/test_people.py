"""What people ask and decide over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from tests.fleet.api.served import ANA, OPERATOR, PEOPLE, Served, served, small_rig
from tests.fleet.hub.rig import deployment_of, fleet

V1, V2 = (deployment_of("web", f"v{n}") for n in (1, 2))


async def turned(hub: Served, condition: Callable[[], bool]) -> None:
    """Let agents and the hub act until a condition holds."""
    async with asyncio.timeout(20):
        while not condition():
            for agent in hub.rig.agents.values():
                agent.turn()
            hub.rig.clock.advance(1)
            await asyncio.sleep(0.01)


async def names(hub: Served, path: str, key: str, **params: str) -> list[str]:
    return [item[key] for item in (await hub.get(path, **params))["items"]]


async def test_the_whole_fleet_on_one_page(hub: Served) -> None:
    await turned(hub, lambda: not hub.rig.live())
    page = await hub.get("/v1/status")
    assert page["clusters"] == {"total": 2, "Online": 2}
    assert page["bundleDeployments"]["sync"] == {"Synced": 2}
    assert page["source"]["location"] == "git.example/fleet"
    assert page["source"]["state"] == "planned"
    assert [group["group"] for group in page["groups"]] == ["production", "staging"]
    assert page["problems"] == {"errors": 0, "warnings": 0}


async def test_lists_are_narrowed_by_labels_and_by_name(hub: Served) -> None:
    assert await names(hub, "/v1/clusters", "cluster") == ["production-1", "staging-1"]
    assert await names(hub, "/v1/clusters", "cluster", selector="env=staging") == ["staging-1"]
    assert await names(hub, "/v1/groups", "group", selector="env!=staging") == ["production"]
    assert await names(hub, "/v1/bundles", "bundle", selector="team=api") == []
    assert len(await names(hub, "/v1/runs", "run", selector="team=web")) == 1
    assert await names(hub, "/v1/runs", "run", selector="team=api") == []
    path = "/v1/bundledeployments"
    assert await names(hub, path, "cluster", selector="env=staging") == ["staging-1"]
    assert await names(hub, path, "cluster", name="web") == ["production-1", "staging-1"]
    assert await names(hub, path, "bundle", name="staging-1") == ["web"]
    assert await names(hub, path, "cluster", name="staging-1/web") == ["staging-1"]


async def test_what_is_not_there_is_a_404_with_the_way_to_list(hub: Served) -> None:
    for path in ("/v1/clusters/x", "/v1/groups/x", "/v1/bundles/x", "/v1/explain/staging-1/x"):
        answer = await hub.ask("GET", path, OPERATOR)
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found"), path
        assert answer.json()["fix"].startswith("list them all: fleet ")
    answer = await hub.ask("GET", "/v1/runs/x", OPERATOR)
    assert (answer.status_code, answer.json()["code"]) == (404, "no-such-run")


async def test_a_run_shows_stages_clusters_history_and_decisions(hub: Served) -> None:
    body = {"actor": "ana", "reason": "lunch"}
    answer = await hub.ask("POST", "/v1/runs/web-/pause", OPERATOR, json=body)
    assert answer.json()["message"].startswith("pause: recorded for run web-")
    run = await hub.get("/v1/runs/web-")
    assert run["intent"] == "Pause"
    assert [stage["stage"] for stage in run["stages"]] == ["staging", "production", "rest"]
    states = {row["cluster"]: row["stage"] for row in run["clusterStates"]}
    assert states == {"staging-1": "staging", "production-1": "production"}
    assert all(row["state"] for row in run["clusterStates"])
    (decision,) = run["decisions"]
    assert (decision["verb"], decision["actor"], decision["reason"]) == ("pause", "ana", "lunch")
    assert {"run-created", "decided-pause"} <= {event["kind"] for event in run["events"]}


async def test_a_decision_that_is_none_is_refused(hub: Served) -> None:
    answer = await hub.ask("POST", "/v1/runs/web-/explode", OPERATOR, json={"actor": "ana"})
    assert (answer.status_code, answer.json()["code"]) == (404, "no-such-decision")
    nameless = await hub.ask("POST", "/v1/runs/web-/pause", OPERATOR, json={})
    assert (nameless.status_code, nameless.json()["code"]) == (400, "no-actor")
    typo = await hub.ask("POST", "/v1/runs/web-/pause", OPERATOR, json={"actr": "ana"})
    assert (typo.status_code, typo.json()["code"]) == (400, "bad-body")


async def test_an_explanation_names_source_run_and_what_is_waited_for(hub: Served) -> None:
    waiting = await hub.get("/v1/explain/production-1/web")
    assert waiting["sync"] == "Waiting"
    assert any("stage production" in line for line in waiting["because"])
    assert any("apps/web by place" in line for line in waiting["because"])
    await turned(hub, lambda: not hub.rig.live())
    done = await hub.get("/v1/explain/production-1/web")
    assert (done["sync"], done["current"]["digest"]) == ("Synced", V1.digest)


async def test_a_refresh_brings_the_next_commit_without_waiting_for_the_poll(hub: Served) -> None:
    await turned(hub, lambda: not hub.rig.live())
    hub.rig.push(fleet(1, 1, web="v2"))
    answer = await hub.ask("POST", "/v1/source/refresh", OPERATOR)
    assert answer.status_code == 200
    await turned(hub, lambda: set(hub.rig.runs_what("web").values()) == {V2.digest})


async def test_sql_is_answered_in_columns_and_rows(hub: Served) -> None:
    sql = 'SELECT cluster, "group" FROM groups ORDER BY 1'
    answer = await hub.ask("POST", "/v1/query", OPERATOR, json={"sql": sql})
    assert answer.json() == {
        "columns": ["cluster", "group"],
        "rows": [["production-1", "production"], ["staging-1", "staging"]],
        "truncated": False,
    }
    refused = await hub.ask("POST", "/v1/query", OPERATOR, json={"sql": "DROP TABLE run"})
    assert (refused.status_code, refused.json()["code"]) == (400, "query-refused")


async def test_history_goes_on_after_a_number(hub: Served) -> None:
    events = (await hub.get("/v1/events"))["items"]
    later = (await hub.get("/v1/events", after=str(events[1]["number"])))["items"]
    assert later == events[2:]
    bad = await hub.ask("GET", "/v1/events?after=x", OPERATOR)
    assert bad.json()["code"] == "bad-after"


async def test_an_offline_clusters_states_are_never_counted_as_current(hub: Served) -> None:
    await turned(hub, lambda: not hub.rig.live())
    for _ in range(5):
        hub.rig.agents["staging-1"].report()
        hub.rig.clock.advance(10)
    await asyncio.to_thread(hub.rig.hub.release, hub.rig.clock.now())
    cluster = await hub.get("/v1/clusters/production-1")
    assert (cluster["state"], cluster["synced"], cluster["health"]) == ("Offline", 0, "Unknown")
    bundle = await hub.get("/v1/bundles/web")
    assert (bundle["synced"], bundle["offline"], bundle["clusters"]) == (1, 1, 2)
    (row,) = (await hub.get("/v1/bundledeployments", name="production-1"))["items"]
    assert (row["online"], row["sync"]) == (False, "Synced")
    assert row["asOf"] < hub.rig.clock.now().isoformat()


async def test_a_persons_token_says_who_decides_and_makes_no_agents_tokens(tmp_path: Path) -> None:
    async with served(small_rig(tmp_path), PEOPLE) as hub:
        await _ana_decides(hub)


async def _ana_decides(hub: Served) -> None:
    run = hub.rig.live()[0]
    answer = await hub.ask("POST", f"/v1/runs/{run}/pause", ANA, json={"actor": "somebody else"})
    assert answer.json()["message"].endswith("by ana")
    answer = await hub.ask("POST", f"/v1/runs/{run}/resume", OPERATOR, json={"actor": "eve"})
    assert answer.json()["message"].endswith("by eve (operator token)")
    document = await hub.get(f"/v1/runs/{run}")
    assert [d["actor"] for d in document["decisions"]] == ["ana", "eve (operator token)"]
    assert [d["method"] for d in document["decisions"]] == ["token", "operator"]
    answer = await hub.ask("POST", "/v1/clusters/staging-1/token", ANA, json={})
    assert (answer.status_code, answer.json()["code"]) == (403, "operator-token-needed")
    answer = await hub.ask("GET", "/v1/clusters/staging-1/target", ANA)
    assert (answer.status_code, answer.json()["code"]) == (403, "agent-token-needed")


async def test_a_sync_is_asked_for_and_followed_by_people(hub: Served) -> None:
    await turned(hub, lambda: not hub.rig.live())
    body = {"actor": "ana", "selector": "env=staging", "dryRun": True, "limitSeconds": 30}
    answer = await hub.ask("POST", "/v1/syncs", OPERATOR, json=body)
    assert answer.status_code == 201
    begun = answer.json()
    assert [(i["cluster"], i["state"]) for i in begun["items"]] == [("staging-1", "Asked")]
    assert (begun["dryRun"], begun["force"], begun["done"]) == (True, False, False)
    assert "objects" not in begun["items"][0]
    assert (await hub.get(f"/v1/syncs/{begun['sync']}"))["items"][0]["objects"] == []
    assert [item["sync"] for item in (await hub.get("/v1/syncs"))["items"]] == [begun["sync"]]
    answer = await hub.ask("GET", "/v1/syncs/x", OPERATOR)
    assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
    answer = await hub.ask("POST", "/v1/syncs", OPERATOR, json={**body, "limitSeconds": 1e9})
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-body")
