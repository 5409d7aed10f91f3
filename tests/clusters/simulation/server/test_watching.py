"""The change feed and the watches on it: in order, filtered, bounded."""

from __future__ import annotations

import pytest

from clusters.cluster import EventType
from clusters.errors import ExpiredError
from clusters.simulation.server import Change, Subscription
from clusters.simulation.server.rejections import BadRequestError
from tests.clusters.simulation.samples import (
    CONFIG_MAP,
    SETTINGS,
    WIDGET,
    config_map,
    new_server,
    service,
    widget_definition,
)
from tests.clusters.simulation.server.test_deletion import DEFINITION


def seen(watch: Subscription) -> list[tuple[str, str]]:
    return [(event.type.value, event.object["metadata"]["name"]) for event in watch.poll()]


def labelled(value: str) -> dict[str, object]:
    body = config_map()
    body["metadata"]["labels"] = {"tier": value}
    return body


def test_the_feed_tells_every_write_once_and_in_order() -> None:
    server = new_server()
    changes: list[Change] = []
    stop = server.subscribe(changes.append)
    server.create(config_map(a="1"))
    server.patch(SETTINGS, {"data": {"a": "2"}}, manager="me")
    server.patch(SETTINGS, {"data": {"a": "2"}}, manager="me")
    server.delete(SETTINGS)
    stop()
    server.create(config_map())
    assert [change.type for change in changes] == [
        EventType.ADDED,
        EventType.MODIFIED,
        EventType.DELETED,
    ]
    first = changes[0].revision
    assert [change.revision for change in changes] == [first, first + 1, first + 2]
    assert changes[1].previous is changes[0].object
    assert changes[2].object["metadata"]["resourceVersion"] == str(first + 2)


def test_a_watch_goes_on_from_a_version() -> None:
    server = new_server()
    version = server.create(config_map())["metadata"]["resourceVersion"]
    server.create(config_map("later"))
    server.create(service())
    watch = server.watch(CONFIG_MAP, resource_version=version)
    assert seen(watch) == [("ADDED", "later")]
    server.delete(SETTINGS)
    assert seen(watch) == [("DELETED", "settings")]
    assert seen(watch) == []


def test_without_a_version_a_watch_begins_with_what_is_there() -> None:
    server = new_server()
    server.create(config_map())
    watch = server.watch(CONFIG_MAP, namespace="default")
    server.create(config_map("later"))
    assert seen(watch) == [("ADDED", "settings"), ("ADDED", "later")]


def test_a_selector_sees_objects_come_and_go_as_they_match() -> None:
    server = new_server()
    watch = server.watch(CONFIG_MAP, labels="tier=web", resource_version="1")
    server.create(labelled("db"))
    server.update(labelled("web"))
    server.patch(SETTINGS, {"data": {"a": "1"}}, manager="me")
    server.update(labelled("db"))
    assert seen(watch) == [
        ("ADDED", "settings"),
        ("MODIFIED", "settings"),
        ("DELETED", "settings"),
    ]


def test_a_version_that_is_compacted_has_expired() -> None:
    server = new_server(history_limit=3)
    first = server.create(config_map())["metadata"]["resourceVersion"]
    for value in "123":
        server.patch(SETTINGS, {"data": {"a": value}}, manager="me")
    assert len(server.watch(CONFIG_MAP, resource_version=first).poll()) == 3
    server.patch(SETTINGS, {"data": {"a": "4"}}, manager="me")
    with pytest.raises(ExpiredError):
        server.watch(CONFIG_MAP, resource_version=first)


def test_a_reader_that_falls_behind_is_told_and_nobody_waits_for_it() -> None:
    server = new_server()
    watch = server.watch(CONFIG_MAP, resource_version=server.resource_version, limit=2)
    for value in "123":
        server.create(config_map(f"c{value}"))
    with pytest.raises(ExpiredError):
        watch.poll()


def test_a_closed_watch_hears_nothing_more() -> None:
    server = new_server()
    watch = server.watch(CONFIG_MAP, resource_version=server.resource_version)
    woken: list[str] = []
    watch.wake = lambda: woken.append("now")
    server.create(config_map())
    watch.close()
    assert watch.closed
    assert len(woken) == 2
    server.create(config_map("later"))
    assert seen(watch) == [("ADDED", "settings")]


def test_the_watches_of_a_kind_end_with_the_kind() -> None:
    server = new_server()
    server.apply(widget_definition(), manager="m")
    watch = server.watch(WIDGET.kind_key)
    server.delete(DEFINITION)
    assert watch.closed


def test_a_version_that_is_no_number_is_refused() -> None:
    with pytest.raises(BadRequestError):
        new_server().watch(CONFIG_MAP, resource_version="new")


def test_a_list_comes_page_by_page_without_loss_or_repetition() -> None:
    server = new_server()
    for name in "edcba":
        server.create(config_map(name))
    names: list[str] = []
    token = ""
    while True:
        items, _, token = server.list(CONFIG_MAP, limit=2, continue_=token)
        names += [item["metadata"]["name"] for item in items]
        assert len(items) <= 2
        if not token:
            break
    assert names == list("abcde")
    with pytest.raises(BadRequestError):
        server.list(CONFIG_MAP, limit=2, continue_="nonsense")
