"""The HTTP face answers as an API server does: statuses, forms, watches, discovery."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from clusters.clock import FakeClock
from clusters.simulation import SimulatedCluster
from clusters.simulation.http import serve
from clusters.simulation.server import Verdict
from tests.clusters.simulation.http.client import APPLY, CONFIG_MAPS, Client
from tests.clusters.simulation.samples import (
    CONFIG_MAP,
    SETTINGS,
    WEB,
    config_map,
    deployment,
    namespace,
    service,
    widget,
    widget_definition,
)
from tests.clusters.simulation.server.admission.policies import HOOK, quota, rule, webhook

PATIENCE_SECONDS = 10.0
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
SERVICES = "/api/v1/namespaces/default/services"
MERGE = {"Content-Type": "application/merge-patch+json"}


async def test_an_object_goes_through_all_the_verbs(client: Client) -> None:
    status, made = await client.ask("POST", CONFIG_MAPS, config_map(a="1"))
    assert (status, made["kind"]) == (201, "ConfigMap")
    made["data"]["a"] = "2"
    status, put = await client.ask("PUT", f"{CONFIG_MAPS}/settings", made)
    assert (status, put["data"]) == (200, {"a": "2"})
    status, patched = await client.ask(
        "PATCH", f"{CONFIG_MAPS}/settings", {"data": {"b": "3"}}, **MERGE
    )
    assert (status, patched["data"]) == (200, {"a": "2", "b": "3"})
    listed = await client.get(f"{CONFIG_MAPS}?limit=1")
    assert (listed["kind"], len(listed["items"])) == ("ConfigMapList", 1)
    status, gone = await client.ask("DELETE", f"{CONFIG_MAPS}/settings")
    assert (status, gone["status"], gone["details"]["name"]) == (200, "Success", "settings")
    status, missing = await client.ask("GET", f"{CONFIG_MAPS}/settings")
    assert (status, missing["reason"]) == (404, "NotFound")
    assert missing["details"] == {"name": "settings", "kind": "configmaps"}


async def test_an_apply_creates_then_changes(client: Client) -> None:
    assert (await client.apply(DEPLOYMENTS, deployment()))[0] == 201
    assert (await client.apply(DEPLOYMENTS, deployment()))[0] == 200
    status, shown = await client.apply(DEPLOYMENTS, deployment(replicas=9), "&dryRun=All")
    assert (status, shown["spec"]["replicas"]) == (200, 9)
    assert client.clusters["lab"].server.get(WEB)["spec"]["replicas"] == 2


async def test_a_conflict_says_who_owns_what(client: Client) -> None:
    await client.apply(DEPLOYMENTS, deployment())
    status, answer = await client.ask(
        "PATCH", f"{DEPLOYMENTS}/web?fieldManager=other", deployment(replicas=5), **APPLY
    )
    assert (status, answer["reason"], answer["code"]) == (409, "Conflict", 409)
    assert answer["details"]["causes"] == [
        {
            "reason": "FieldManagerConflict",
            "message": 'conflict with "m"',
            "field": ".spec.replicas",
        }
    ]
    status, forced = await client.ask(
        "PATCH", f"{DEPLOYMENTS}/web?fieldManager=other&force=true", deployment(5), **APPLY
    )
    assert (status, forced["spec"]["replicas"]) == (200, 5)


async def test_refusals_have_the_code_and_reason_of_a_real_server(client: Client) -> None:
    await client.ask("POST", CONFIG_MAPS, config_map())
    wrong_name = config_map("Not_Valid")
    unknown_field = deployment()
    unknown_field["spec"]["replicsa"] = 1
    far = "/api/v1/namespaces/nowhere/configmaps"
    answers = {
        "exists": await client.ask("POST", CONFIG_MAPS, config_map()),
        "invalid": await client.ask("POST", CONFIG_MAPS, wrong_name),
        "typed": await client.apply(DEPLOYMENTS, unknown_field),
        "strict": await client.ask("POST", f"{DEPLOYMENTS}?fieldValidation=Strict", unknown_field),
        "no namespace": await client.ask("POST", far, config_map(namespace="nowhere")),
        "no kind": await client.ask("GET", "/apis/example.com/v1/widgets"),
        "no path": await client.ask("GET", "/nothing"),
        "no yaml": await client.ask("POST", CONFIG_MAPS, "{"),
        "stale": await client.ask(
            "PATCH", f"{CONFIG_MAPS}/settings", {"metadata": {"resourceVersion": "1"}}, **MERGE
        ),
        "other name": await client.ask("PUT", f"{CONFIG_MAPS}/settings", config_map("other")),
        "method": await client.ask("PUT", CONFIG_MAPS, config_map()),
        "patch type": await client.ask("PATCH", f"{CONFIG_MAPS}/settings", {}),
        "dry run": await client.ask("POST", f"{CONFIG_MAPS}?dryRun=Some", config_map("x")),
    }
    told = {name: (status, body.get("reason", "")) for name, (status, body) in answers.items()}
    assert told == {
        "exists": (409, "AlreadyExists"),
        "invalid": (422, "Invalid"),
        "typed": (500, ""),
        "strict": (400, "BadRequest"),
        "no namespace": (404, "NotFound"),
        "no kind": (404, "NotFound"),
        "no path": (404, "NotFound"),
        "no yaml": (400, "BadRequest"),
        "stale": (409, "Conflict"),
        "other name": (400, "BadRequest"),
        "method": (405, "MethodNotAllowed"),
        "patch type": (400, "BadRequest"),
        "dry run": (422, "Invalid"),
    }
    assert answers["no namespace"][1]["details"] == {"name": "nowhere", "kind": "namespaces"}
    assert answers["no kind"][1]["details"] == {}  # kubectl reads through it
    assert answers["invalid"][1]["details"]["causes"][0]["field"] == "metadata.name"


async def test_policies_refuse_with_the_code_and_reason_of_a_real_server(client: Client) -> None:
    server = client.clusters["lab"].server
    server.create(quota({"configmaps": "0"}))
    status, refused = await client.ask("POST", CONFIG_MAPS, config_map())
    assert (status, refused["reason"]) == (403, "Forbidden")
    assert refused["details"] == {"name": "settings", "kind": "configmaps"}
    server.create(webhook(rule("services")))
    status, refused = await client.ask("POST", SERVICES, service())
    assert (status, refused["reason"]) == (500, "InternalError")
    words = f'failed calling webhook "{HOOK}": failed to call webhook: Post '
    assert refused["message"].startswith(f"Internal error occurred: {words}")
    (cause,) = refused["details"]["causes"]
    assert cause["message"].startswith(words)
    server.webhooks[HOOK] = lambda review: Verdict(allowed=False, code=451, reason="Law")
    status, refused = await client.ask("POST", SERVICES, service())
    assert (status, refused["reason"], "details" in refused) == (451, "Law", False)
    assert refused["message"] == f'admission webhook "{HOOK}" denied the request: Law'


async def test_a_namespace_that_goes_away_says_so_as_its_cause(client: Client) -> None:
    held = namespace("shop")
    held["metadata"]["finalizers"] = ["example.com/hold"]
    await client.ask("POST", "/api/v1/namespaces", held)
    status, left = await client.ask("DELETE", "/api/v1/namespaces/shop")
    assert (status, left["status"]["phase"]) == (200, "Terminating")
    where = "/api/v1/namespaces/shop/configmaps"
    status, refused = await client.ask("POST", where, config_map(namespace="shop"))
    assert (status, refused["reason"]) == (403, "Forbidden")
    assert refused["details"]["causes"][0]["reason"] == "NamespaceTerminating"


async def test_a_table_has_the_columns_that_kubectl_prints(client: Client) -> None:
    await client.apply(DEPLOYMENTS, deployment())
    table = await client.get(DEPLOYMENTS, TABLE)
    assert table["kind"] == "Table"
    titles = [column["name"] for column in table["columnDefinitions"]]
    assert titles[:5] == ["Name", "Ready", "Up-to-date", "Available", "Age"]
    row = table["rows"][0]
    assert row["cells"][:5] == ["web", "0/2", 0, 0, "0s"]
    assert row["object"]["kind"] == "PartialObjectMetadata"
    whole = await client.get(f"{DEPLOYMENTS}?includeObject=Object", TABLE)
    assert whole["rows"][0]["object"]["kind"] == "Deployment"


async def test_custom_kinds_print_their_own_columns(client: Client) -> None:
    columns = [
        {"name": "Color", "type": "string", "jsonPath": ".spec.color"},
        {"name": "First", "type": "string", "jsonPath": ".spec.parts[0].name"},
        {"name": "B", "type": "integer", "jsonPath": '.spec.parts[?(@.name=="b")].size'},
    ]
    server = client.clusters["lab"].server
    server.apply(widget_definition(additionalPrinterColumns=columns), manager="m")
    server.apply(widget(parts=[{"name": "a"}, {"name": "b", "size": 2}]), manager="m")
    table = await client.get("/apis/example.com/v1/widgets", TABLE)
    assert table["rows"][0]["cells"] == ["blue", "blue", "a", 2, "0s"]


async def test_metadata_alone_is_sent_to_who_asks_for_that(client: Client) -> None:
    await client.ask("POST", CONFIG_MAPS, config_map(a="1"))
    accept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    listed = await client.get(CONFIG_MAPS, accept)
    assert listed["kind"] == "PartialObjectMetadataList"
    assert [set(item) for item in listed["items"]] == [{"apiVersion", "kind", "metadata"}]


async def read_events(answer: aiohttp.ClientResponse, count: int) -> list[Any]:
    lines = [
        await asyncio.wait_for(answer.content.readline(), PATIENCE_SECONDS) for _ in range(count)
    ]
    return [json.loads(line) for line in lines]


async def test_a_watch_streams_changes_and_ends_with_a_bookmark(client: Client) -> None:
    server = client.clusters["lab"].server
    version = server.resource_version
    query = f"?watch=true&resourceVersion={version}&allowWatchBookmarks=true&timeoutSeconds=1"
    async with client.session.get(client.url(CONFIG_MAPS + query)) as answer:
        server.create(config_map(a="1"))
        server.create(config_map("other", namespace="kube-system"))
        events = await read_events(answer, 2)
    assert [event["type"] for event in events] == ["ADDED", "BOOKMARK"]
    assert events[0]["object"]["data"] == {"a": "1"}
    assert events[1]["object"]["metadata"]["resourceVersion"] == server.resource_version


async def test_a_watch_that_starts_with_a_list_marks_where_that_ends(client: Client) -> None:
    client.clusters["lab"].server.create(config_map())
    query = "?watch=1&sendInitialEvents=true&allowWatchBookmarks=true&timeoutSeconds=1"
    async with client.session.get(client.url(CONFIG_MAPS + query)) as answer:
        events = await read_events(answer, 2)
    assert [event["type"] for event in events] == ["ADDED", "BOOKMARK"]
    annotations = events[1]["object"]["metadata"]["annotations"]
    assert annotations == {"k8s.io/initial-events-end": "true"}


async def test_a_watch_from_a_compacted_version_is_gone(client: Client) -> None:
    server = client.clusters["lab"].server
    server.create(config_map())
    for value in range(600):
        server.patch(
            SETTINGS,
            {"data": {"n": str(value)}},
            manager="m",
        )
    status, body = await client.ask("GET", f"{CONFIG_MAPS}?watch=true&resourceVersion=2")
    assert (status, body["reason"]) == (410, "Expired")


async def test_a_watch_of_a_table_describes_its_columns_once(client: Client) -> None:
    server = client.clusters["lab"].server
    server.create(config_map("one"))
    server.create(config_map("two"))
    url = client.url(f"{CONFIG_MAPS}?watch=true&timeoutSeconds=1")
    async with client.session.get(url, headers={"Accept": TABLE}) as answer:
        events = await read_events(answer, 2)
    definitions = [bool(event["object"]["columnDefinitions"]) for event in events]
    assert definitions == [True, False]


async def test_closing_the_server_ends_its_watches() -> None:
    server = await serve({"lab": SimulatedCluster("lab", FakeClock())})
    async with aiohttp.ClientSession() as session:
        url = f"{server.url_of('lab')}{CONFIG_MAPS}?watch=true"
        async with session.get(url) as answer:
            await asyncio.wait_for(server.close(), PATIENCE_SECONDS)
            assert await asyncio.wait_for(answer.content.read(), PATIENCE_SECONDS) == b""


async def test_a_partition_cuts_connections_instead_of_answering(client: Client) -> None:
    cluster = client.clusters["lab"]
    async with client.session.get(client.url(f"{CONFIG_MAPS}?watch=true")) as answer:
        cluster.faults.partitioned = True
        with pytest.raises(aiohttp.ClientError):
            await asyncio.wait_for(answer.content.readline(), PATIENCE_SECONDS)
    with pytest.raises(aiohttp.ClientError):
        await client.ask("GET", "/version")
    cluster.faults.partitioned = False
    assert (await client.get("/version"))["gitVersion"] == "v1.37.2"


async def test_a_scale_is_read_and_written_in_place_of_the_workload(client: Client) -> None:
    await client.apply(DEPLOYMENTS, deployment())
    scale = await client.get(f"{DEPLOYMENTS}/web/scale")
    assert (scale["kind"], scale["spec"]) == ("Scale", {"replicas": 2})
    assert scale["status"]["selector"] == "app=web"
    scale["spec"]["replicas"] = 4
    status, after = await client.ask("PUT", f"{DEPLOYMENTS}/web/scale", scale)
    assert (status, after["spec"]["replicas"]) == (200, 4)
    assert (await client.ask("PUT", f"{DEPLOYMENTS}/web/scale", scale))[0] == 409
    live = client.clusters["lab"].server.get(WEB)
    assert live["spec"]["replicas"] == 4
    subresources = {entry.get("subresource") for entry in live["metadata"]["managedFields"]}
    assert subresources == {None, "scale"}


async def test_status_is_written_by_its_own_path(client: Client) -> None:
    await client.apply(DEPLOYMENTS, deployment())
    body = {"spec": {"replicas": 9}, "status": {"replicas": 1}}
    status, after = await client.ask("PATCH", f"{DEPLOYMENTS}/web/status", body, **MERGE)
    assert status == 200
    assert (after["spec"]["replicas"], after["status"]["replicas"]) == (2, 1)


async def test_a_collection_is_deleted_by_its_selector(client: Client) -> None:
    server = client.clusters["lab"].server
    kept, dropped = config_map("kept"), config_map("dropped")
    dropped["metadata"]["labels"] = {"tier": "web"}
    server.create(kept)
    server.create(dropped)
    status, listed = await client.ask("DELETE", f"{CONFIG_MAPS}?labelSelector=tier%3Dweb")
    assert (status, len(listed["items"])) == (200, 1)
    assert [item["metadata"]["name"] for item in server.peek_all(CONFIG_MAP)] == ["kept"]


async def test_delete_options_in_the_body_are_honoured(client: Client) -> None:
    server = client.clusters["lab"].server
    made = server.create(config_map())["metadata"]
    where = f"{CONFIG_MAPS}/settings"
    wrong = {"preconditions": {"uid": "other"}}
    assert (await client.ask("DELETE", where, wrong))[0] == 409
    assert (await client.ask("DELETE", where, {"dryRun": ["All"]}))[0] == 200
    right = {"preconditions": {"uid": made["uid"]}, "propagationPolicy": "Foreground"}
    assert (await client.ask("DELETE", where, right))[0] == 200
    assert list(server.peek_all(CONFIG_MAP)) == []


async def test_both_forms_of_discovery_name_the_same_kinds(client: Client) -> None:
    client.clusters["lab"].server.apply(widget_definition(), manager="m")
    groups = await client.get("/apis")
    names = {group["name"] for group in groups["groups"]}
    assert {"apps", "example.com", "rbac.authorization.k8s.io"} <= names
    plain = await client.get("/apis/apps/v1")
    plurals = {entry["name"] for entry in plain["resources"]}
    assert {"deployments", "deployments/status", "deployments/scale"} <= plurals
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    whole = await client.get("/apis", accept)
    by_name = {item["metadata"]["name"]: item for item in whole["items"]}
    assert set(by_name) == names
    [widgets] = by_name["example.com"]["versions"][0]["resources"]
    assert (widgets["resource"], widgets["shortNames"]) == ("widgets", ["wd"])
    horizontal = next(g for g in groups["groups"] if g["name"] == "autoscaling")
    assert [version["version"] for version in horizontal["versions"]] == ["v2", "v1"]


async def test_the_schemas_are_those_of_kubernetes_and_of_the_custom_kinds(
    client: Client,
) -> None:
    client.clusters["lab"].server.apply(widget_definition(), manager="m")
    index = await client.get("/openapi/v3")
    url = index["paths"]["apis/example.com/v1"]["serverRelativeURL"]
    assert url.startswith("/clusters/lab/openapi/v3/apis/example.com/v1")
    custom = await client.get("/openapi/v3/apis/example.com/v1")
    widgets = custom["components"]["schemas"]["com.example.v1.Widget"]
    assert widgets["properties"]["spec"]["properties"]["color"] == {"type": "string"}
    apps = await client.get("/openapi/v3/apis/apps/v1")
    schemas = apps["components"]["schemas"]
    containers = schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"]
    assert containers["x-kubernetes-patch-merge-key"] == "name"
    references = json.dumps(apps).split('"#/components/schemas/')[1:]
    assert {reference.partition('"')[0] for reference in references} <= set(schemas)
    two = await client.get("/openapi/v2")
    assert "io.k8s.api.apps.v1.Deployment" in two["definitions"]
    assert "com.example.v1.Widget" in two["definitions"]


async def test_a_token_is_asked_for_when_one_is_set() -> None:
    server = await serve({"lab": SimulatedCluster("lab", FakeClock())}, token="s3cret")
    try:
        async with aiohttp.ClientSession() as session:
            url = f"{server.url_of('lab')}/version"
            for header, expected in (("", 401), ("Bearer wrong", 401), ("Bearer s3cret", 200)):
                async with session.get(url, headers={"Authorization": header}) as answer:
                    assert answer.status == expected
                    assert "s3cret" not in await answer.text()
    finally:
        await server.close()


async def test_a_cluster_that_is_not_served_is_not_found(client: Client) -> None:
    async with client.session.get(client.url("").replace("lab", "other")) as answer:
        assert answer.status == 404
