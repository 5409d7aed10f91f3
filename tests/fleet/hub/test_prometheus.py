"""Prometheus' API, answered by a machine that speaks it, and by some that do not."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fleet.hub.outgoing import NoAnswer, Outgoing
from fleet.hub.prometheus import Values, query, values_of
from tests.fleet.hub.machines import Prometheus, always, machine

NOW = datetime(2030, 1, 1, tzinfo=UTC)


async def asked(url: str, text: str, window: float = 1800) -> Values:
    outgoing = Outgoing()
    try:
        return await query(outgoing, url, text, "cluster", NOW, timedelta(seconds=window))
    finally:
        await outgoing.close()


async def test_a_query_is_asked_at_a_time_with_its_window_filled_in() -> None:
    there = Prometheus({"rate(x[1800s])": always(eu_1=0.5, eu_2=2)})
    async with machine(there) as server:
        found = await asked(server.url + "/", "rate(x[$window])")
    assert found == Values({"eu-1": 0.5, "eu-2": 2.0})
    assert there.asked == [("rate(x[1800s])", NOW.timestamp())]
    short = Prometheus({"rate(x[60s])": always(a=1)})
    async with machine(short) as server:
        assert (await asked(server.url, "rate(x[$window])", 0)).by_cluster == {"a": 1.0}


async def test_a_query_that_prometheus_refuses_is_no_answer_and_is_not_shown() -> None:
    async with machine(Prometheus()) as server:
        with pytest.raises(NoAnswer) as found:
            await asked(server.url, "secret{")
    assert str(found.value) == "Prometheus answers 400"


def body(result: Any, kind: str = "vector", status: str = "success") -> bytes:
    data = {"resultType": kind, "result": result}
    return json.dumps({"status": status, "data": data}).encode()


def one(value: Any, **labels: str) -> dict[str, Any]:
    return {"metric": labels, "value": [1.0, value]}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (body([]), Values()),
        (body([one("0.5", cluster="a"), one("NaN", cluster="b")]), Values({"a": 0.5})),
        (body([one("+Inf", cluster="a")]), Values()),
        (body([one("3", job="x")]), Values(overall=3.0)),
        (body([one("3", job="x"), one("4", job="y")]), Values()),
        (body([one("3"), one("4", cluster="a")]), Values({"a": 4.0})),
        (body([one("1", cluster="a", pod="x"), one("2", cluster="a", pod="y")]), Values()),
        (body([1.0, "7"], "scalar"), Values(overall=7.0)),
        (body([1.0, "NaN"], "scalar"), Values()),
    ],
)
def test_what_answers_mean(text: bytes, expected: Values) -> None:
    assert values_of(text, "cluster") == expected


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b'{"status": "success"}',
        b'{"status": "success", "data": {"resultType": "vector", "result": {}, "x": 1}}'[:-20],
        body([], status="error"),
        body([], "matrix"),
        body([{"metric": {}}]),
        body([{"metric": [], "value": [1, "1"]}]),
        body([one("many", cluster="a")]),
        body([one(None, cluster="a")]),
        body("text"),
    ],
)
def test_what_is_no_answer(text: bytes) -> None:
    with pytest.raises(NoAnswer):
        values_of(text, "cluster")
