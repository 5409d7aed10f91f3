"""Who of a stage goes first, and what an expression from Git may count with."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model import Cluster
from fleet.rollout.ordering import ordered
from fleet.rollout.score import read_score
from fleet.rollout.stages import Order, OrderBy, OrderType

FLEET = {
    name: Cluster(name, labels={"turn": turn} if turn else {}, values={"nodes": nodes})
    for name, turn, nodes in (("a", "10", 3), ("b", "9", 1), ("c", "", 2), ("d", "9", "many"))
}


def in_order(uid: str = "r1", **said: Any) -> str:
    return "".join(ordered(Order(**said), FLEET, FLEET, uid))


def test_by_name_unless_something_else_is_said() -> None:
    assert in_order() == "abcd"


def test_labels_compare_as_text_or_as_whole_numbers_and_those_without_go_last() -> None:
    assert in_order(by=OrderBy.LABEL, key="turn") == "abdc"
    assert in_order(by=OrderBy.LABEL, key="turn", type=OrderType.INT) == "bdac"
    assert in_order(by=OrderBy.LABEL, key="nobody-has-it") == "abcd"


def test_a_hash_varies_the_victims_between_runs_and_not_within_one() -> None:
    orders = {in_order(f"run-{n}", by=OrderBy.HASH) for n in range(20)}
    assert len(orders) > 5
    assert {min(order.index(c) for order in orders) for c in "abcd"} == {0}
    assert in_order("run-1", by=OrderBy.HASH) == in_order("run-1", by=OrderBy.HASH)


def test_a_score_puts_the_least_first_and_what_cannot_be_worked_out_last() -> None:
    assert in_order(by=OrderBy.SCORE, expression='values["nodes"]') == "bcad"
    assert in_order(by=OrderBy.SCORE, expression='-values["nodes"] * 2 + 1') == "acbd"
    assert in_order(by=OrderBy.SCORE, expression='1 / (values["nodes"] - 2)') == "bacd"


@given(st.permutations(sorted(FLEET)), st.sampled_from(list(OrderBy)))
def test_the_order_of_the_input_changes_nothing(names: list[str], by: OrderBy) -> None:
    order = Order(by, key="turn", expression='values["nodes"]')
    assert ordered(order, names, FLEET, "r1") == ordered(order, sorted(FLEET), FLEET, "r1")


@pytest.mark.parametrize(
    ("text", "worth"),
    [
        ("1 + 2 * 3", Fraction(7)),
        ("(1 + 2) * 3", Fraction(9)),
        ("1 / 3", Fraction(1, 3)),
        ("0.1 + 0.2", Fraction(3, 10)),
        ("1 / 0", None),
        ('labels["traffic"] - 1', Fraction(41)),
        ('labels["zone"]', None),
        ('labels["huge"]', None),
        ('values["flag"]', None),
        ('values["list"]', None),
    ],
)
def test_an_expression_is_exact_arithmetic_over_what_is_declared(
    text: str, worth: Fraction | None
) -> None:
    facts: dict[str, dict[str, Any]] = {
        "labels": {"traffic": "42", "zone": "a", "huge": "1" * 400},
        "values": {"flag": True, "list": [1]},
    }
    assert read_score(text)(facts) == worth


@pytest.mark.parametrize(
    "text",
    [
        *("", "1 +", "x", "labels", "labels.a", "labels[1]", "open('/etc/passwd')", "2 ** 9"),
        *('labels["a"]["b"]', "True", "'text'", "lambda: 1", "[1]", "1 if 2 else 3", "1e400"),
        *("9" * 400, "(" * 300, "1+" * 251 + "1", "1; 2", "labels[(1)]", "\x00"),
    ],
)
def test_everything_else_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        read_score(text)
