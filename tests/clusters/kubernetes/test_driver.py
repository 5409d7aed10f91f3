"""The driver's own promises, against a server that says what the test tells it to.

What it has in common with the simulated cluster is held by `tests/contracts`.
"""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from aiohttp import web

from clusters.cluster import EventType
from clusters.errors import (
    ClusterError,
    ExpiredError,
    InvalidError,
    KindNotFoundError,
    TooManyRequestsError,
    UnauthorizedError,
    UnreachableError,
)
from clusters.kubernetes import KubernetesCluster
from clusters.kubernetes.discovery import UNKNOWN_SECONDS
from clusters.objects import Kind, Object, ObjectKey, key_of
from tests.clusters.kubernetes.script import NO_GROUPS, Script, connected, write_kubeconfig

POD = Kind("", "Pod")
KEY = ObjectKey("", "Pod", "shop", "web")
POD_PATH = "/api/v1/namespaces/shop/pods/web"
WIDGET = Kind("example.io", "Widget")


def page(names: list[str], version: str, token: str = "") -> Object:
    """One page of a listing, as a server sends it: items without kinds."""
    items = [{"metadata": {"name": name}} for name in names]
    return {"metadata": {"resourceVersion": version, "continue": token}, "items": items}


def status(code: int, message: str = "") -> web.Response:
    """A Status with its code."""
    return web.json_response({"kind": "Status", "code": code, "message": message}, status=code)


async def test_a_listing_follows_its_pages_and_gives_items_their_kind(tmp_path: Path) -> None:
    script = Script()
    pages = {"": page(["a", "b"], "7", "next"), "next": page(["c"], "9")}
    script.answers["/api/v1/pods"] = lambda request: web.json_response(
        pages[request.query.get("continue", "")]
    )
    async with connected(script, tmp_path) as cluster:
        listing = await cluster.list(POD, labels="app=web")
    assert [item["metadata"]["name"] for item in listing.items] == ["a", "b", "c"]
    assert {(item["apiVersion"], item["kind"]) for item in listing.items} == {("v1", "Pod")}
    assert listing.resource_version == "7"
    assert {request.query["labelSelector"] for request in script.requests[2:]} == {"app=web"}


async def test_a_page_that_fails_fails_the_listing(tmp_path: Path) -> None:
    script = Script()
    script.answers["/api/v1/pods"] = lambda request: (
        status(503) if "continue" in request.query else web.json_response(page(["a"], "7", "next"))
    )
    async with connected(script, tmp_path) as cluster:
        with pytest.raises(TooManyRequestsError):
            await cluster.list(POD)


async def test_a_listing_whose_snapshot_expired_is_read_in_one_piece(tmp_path: Path) -> None:
    script = Script()

    def answer(request: web.Request) -> web.Response:
        if "continue" in request.query:
            return status(410)
        whole = "limit" not in request.query
        return web.json_response(page(["a", "b"], "9") if whole else page(["a"], "7", "next"))

    script.answers["/api/v1/pods"] = answer
    async with connected(script, tmp_path) as cluster:
        listing = await cluster.list(POD)
    assert len(listing.items) == 2
    assert listing.resource_version == "9"


async def test_expired_credentials_are_read_again_and_the_request_repeated(tmp_path: Path) -> None:
    script = Script()
    script.answers[POD_PATH] = lambda request: (
        web.json_response({"metadata": {"name": "web"}})
        if request.headers["Authorization"] == "Bearer second"
        else status(401)
    )
    async with connected(script, tmp_path) as cluster:
        write_kubeconfig(tmp_path, cluster.url, {"token": "second"})
        assert await cluster.get(KEY) is not None
    assert script.paths().count(POD_PATH) == 2


async def test_credentials_that_did_not_change_are_not_tried_twice(tmp_path: Path) -> None:
    script = Script()
    script.answers[POD_PATH] = lambda _: status(401, "Unauthorized")
    async with connected(script, tmp_path) as cluster:
        with pytest.raises(UnauthorizedError) as caught:
            await cluster.get(KEY)
    assert script.paths().count(POD_PATH) == 1
    assert "first" not in str(caught.value)


async def test_an_unknown_kind_asks_again_only_after_a_while(tmp_path: Path) -> None:
    script = Script()
    async with connected(script, tmp_path) as cluster:
        for _ in range(5):
            with pytest.raises(KindNotFoundError, match=r"Widget in example\.io"):
                await cluster.list(WIDGET)
        assert script.paths().count("/apis") == 1
        script.clock.advance(UNKNOWN_SECONDS)
        with pytest.raises(KindNotFoundError):
            await cluster.list(WIDGET)
        assert script.paths().count("/apis") == 2


async def test_a_kind_that_vanished_is_forgotten(tmp_path: Path) -> None:
    script = Script()
    async with connected(script, tmp_path) as cluster:
        await cluster.discover()
        with pytest.raises(KindNotFoundError):
            await cluster.get(KEY)  # the script knows no such path
        script.answers["/api"] = NO_GROUPS
        assert (await cluster.discover()).find(POD) is None


async def test_a_server_without_aggregated_discovery_is_read_group_by_group(
    tmp_path: Path,
) -> None:
    script = Script()
    groups = [
        {"name": name, "versions": [{"version": "v1"}], "preferredVersion": {"version": "v1"}}
        for name in ("example.io", "metrics.k8s.io")
    ]
    widgets = {"resources": [{"name": "widgets", "kind": "Widget", "namespaced": True}]}
    script.answers |= {
        "/api": {"kind": "APIVersions", "versions": ["v1"]},
        "/api/v1": {"resources": [{"name": "pods", "kind": "Pod", "namespaced": True}]},
        "/apis": {"kind": "APIGroupList", "groups": groups},
        "/apis/example.io/v1": widgets,
        "/apis/metrics.k8s.io/v1": lambda _: status(503),
    }
    async with connected(script, tmp_path) as cluster:
        found = await cluster.discover()
    assert set(found.resources) == {POD, WIDGET}


async def test_a_group_whose_server_is_down_keeps_its_kinds(tmp_path: Path) -> None:
    script = Script()
    group = {"name": "example.io", "versions": [{"version": "v1"}]}
    widgets = {"resources": [{"name": "widgets", "kind": "Widget", "namespaced": True}]}
    script.answers |= {
        "/apis": {"kind": "APIGroupList", "groups": [group]},
        "/apis/example.io/v1": widgets,
    }
    async with connected(script, tmp_path) as cluster:
        await cluster.discover()
        script.answers["/apis/example.io/v1"] = lambda _: status(503)
        assert (await cluster.discover(refresh=True)).find(WIDGET) is not None


async def test_a_group_that_aggregated_discovery_calls_stale_keeps_its_kinds(
    tmp_path: Path,
) -> None:
    script = Script()
    widget = {"resource": "widgets", "responseKind": {"kind": "Widget"}, "scope": "Namespaced"}
    version: Object = {"version": "v1", "resources": [widget], "freshness": "Current"}
    group = {"metadata": {"name": "example.io"}, "versions": [version]}
    script.answers["/apis"] = {"kind": "APIGroupDiscoveryList", "items": [group]}
    async with connected(script, tmp_path) as cluster:
        await cluster.discover()
        version |= {"resources": [], "freshness": "Stale"}
        assert (await cluster.discover(refresh=True)).find(WIDGET) is not None
        version |= {"freshness": "Current"}
        assert (await cluster.discover(refresh=True)).find(WIDGET) is None


@pytest.mark.parametrize("what", ["apply", "delete"])
async def test_after_a_write_that_changes_what_is_served_the_kinds_are_asked_for_anew(
    tmp_path: Path, what: str
) -> None:
    script = Script()
    crd = {"resource": "customresourcedefinitions", "scope": "Cluster"}
    crd |= {"responseKind": {"kind": "CustomResourceDefinition"}}  # type: ignore[dict-item]
    group = "apiextensions.k8s.io"
    versions = [{"version": "v1", "resources": [crd]}]
    script.answers["/apis"] = {
        "kind": "APIGroupDiscoveryList",
        "items": [{"metadata": {"name": group}, "versions": versions}],
    }
    script.answers[f"/apis/{group}/v1/customresourcedefinitions/w"] = {"metadata": {"name": "w"}}
    key = ObjectKey(group, "CustomResourceDefinition", "", "w")
    obj = {"apiVersion": f"{group}/v1", "kind": key.kind, "metadata": {"name": "w"}}
    async with connected(script, tmp_path) as cluster:
        await cluster.apply(obj, manager="m", dry_run=True)
        await cluster.discover()
        assert script.paths().count("/apis") == 1
        await (cluster.apply(obj, manager="m") if what == "apply" else cluster.delete(key))
        await cluster.discover()
        assert script.paths().count("/apis") == 2


async def test_a_version_that_is_not_served_is_no_kind(tmp_path: Path) -> None:
    pod = {"apiVersion": "v2", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop"}}
    async with connected(Script(), tmp_path) as cluster:
        with pytest.raises(KindNotFoundError):
            await cluster.apply(pod, manager="m")


async def test_a_namespaced_object_without_a_namespace_never_leaves(tmp_path: Path) -> None:
    script = Script()
    async with connected(script, tmp_path) as cluster:
        with pytest.raises(InvalidError):
            await cluster.delete(ObjectKey("", "Pod", "", "web"))
    assert set(script.paths()) == {"/api", "/apis"}


async def test_a_refused_secret_does_not_print_its_data(tmp_path: Path) -> None:
    script = Script()
    script.answers["/api/v1/namespaces/shop/secrets/db"] = lambda _: status(422, "bad: hunter2")
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "db", "namespace": "shop"},
        "stringData": {"password": "hunter2"},
    }
    async with connected(script, tmp_path) as cluster:
        with pytest.raises(InvalidError) as caught:
            await cluster.apply(secret, manager="m")
        assert b"hunter2" in script.bodies[-1]
        with pytest.raises(InvalidError) as kept:
            await cluster.delete(key_of(secret))
    assert "hunter2" not in f"{caught.value} {kept.value}"


async def test_an_apply_says_who_and_how(tmp_path: Path) -> None:
    script = Script()
    script.answers[POD_PATH] = {"metadata": {"name": "web"}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop"}}
    async with connected(script, tmp_path) as cluster:
        await cluster.apply(pod, manager="fleet/shop", force=True, dry_run=True)
    sent = script.requests[-1]
    assert sent.method == "PATCH"
    assert sent.content_type == "application/apply-patch+yaml"
    assert dict(sent.query) == {"fieldManager": "fleet/shop", "force": "true", "dryRun": "All"}
    assert orjson.loads(script.bodies[-1]) == pod


def streamed(*chunks: bytes) -> web.Response:
    """A watch's body that then ends."""
    return web.Response(body=b"".join(chunks), content_type="application/json")


def event(type_: str, obj: Object) -> bytes:
    """One line of a watch."""
    return orjson.dumps({"type": type_, "object": obj}) + b"\n"


async def test_a_watch_gives_events_until_the_server_ends_it(tmp_path: Path) -> None:
    script = Script()
    large = {"metadata": {"name": "a", "annotations": {"x": "y" * 300_000}}}
    script.answers["/api/v1/pods"] = lambda _: streamed(
        event("ADDED", large), event("BOOKMARK", {"metadata": {"resourceVersion": "8"}})
    )
    async with connected(script, tmp_path) as cluster:
        events = [event async for event in cluster.watch(POD, resource_version="5")]
    assert [event.type for event in events] == [EventType.ADDED, EventType.BOOKMARK]
    assert events[0].object == large
    query = script.requests[-1].query
    assert (query["resourceVersion"], query["allowWatchBookmarks"]) == ("5", "true")


@pytest.mark.parametrize("in_stream", [True, False])
async def test_a_compacted_version_ends_a_watch_as_expired(tmp_path: Path, in_stream: bool) -> None:
    script = Script()
    gone = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}
    script.answers["/api/v1/pods"] = lambda _: (
        streamed(event("ERROR", gone)) if in_stream else status(410)
    )
    async with connected(script, tmp_path) as cluster:
        with pytest.raises(ExpiredError):
            async for _ in cluster.watch(POD, resource_version="5"):
                pass


async def test_an_answer_that_is_no_json_is_told_as_such(tmp_path: Path) -> None:
    script = Script()
    script.answers["/version"] = lambda _: web.Response(text="<html>", content_type="text/html")
    async with connected(script, tmp_path) as cluster:
        with pytest.raises(ClusterError, match="not JSON"):
            await cluster.version()


async def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    script = Script()
    script.answers["/version"] = lambda _: web.Response(
        status=302, headers={"Location": "/elsewhere"}
    )
    async with connected(script, tmp_path) as cluster:
        with pytest.raises(ClusterError):
            await cluster.version()
    assert "/elsewhere" not in script.paths()


async def test_a_server_that_is_not_there_is_unreachable(tmp_path: Path) -> None:
    config = write_kubeconfig(tmp_path, "http://127.0.0.1:1", {"token": "canary"})
    cluster = await KubernetesCluster.connect(config)
    try:
        with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:1") as caught:
            await cluster.version()
    finally:
        await cluster.close()
    assert "canary" not in str(caught.value)


async def test_a_closed_cluster_is_unreachable(tmp_path: Path) -> None:
    async with connected(Script(), tmp_path) as cluster:
        await cluster.close()
        with pytest.raises(UnreachableError):
            await cluster.version()
