"""Rules of health in CEL: what they see, what is refused, and that none runs away."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any

import pytest

from agents.protocol import ExpressionError, HealthCheck, check_expression, holds
from clusters.objects import Kind, Object

CONDITIONS = [
    {"type": "Ready", "status": "True", "observedGeneration": 2},
    {"type": "Synced", "status": "False", "reason": "Late"},
]
LIVE: Object = {
    "apiVersion": "example.com/v1",
    "kind": "Widget",
    "metadata": {"name": "one", "generation": 2, "labels": {"size": "s"}},
    "spec": {"size": 3, "ratio": 0.5},
    "status": {"observedGeneration": 2, "phase": "Active", "conditions": CONDITIONS},
}
READY = "status.conditions.filter(e, e.type == 'Ready').all(e, e.status == 'True')"


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (READY, True),
        ("has(status.phase) && status.phase in ['Active', 'Bound']", True),
        ("status.?missing.orValue([]).exists(e, e.type == 'Ready')", False),
        ("status.?conditions.orValue([]).exists_one(e, e.type == 'Ready')", True),
        ("has(status.missing)", False),
        ("metadata.generation == status.observedGeneration", True),
        ("spec.size + 1 == 4 && spec.ratio < 0.6", True),
        ("self.kind == 'Widget' && apiVersion.startsWith('example.com/')", True),
        ("metadata.labels['size'] == 's'", True),
        ("status.conditions[1].reason.matches('^L.*e$')", True),
        ("status.?missing.orValue({}) == {}", True),
        ("size(status.conditions) > 1 ? status.conditions[0].status == 'True' : false", True),
        ("status.phase == 'map' || status.phase == '[x]' || status.phase == \"it's {a}\"", False),
    ],
)
def test_an_expression_sees_the_object(text: str, answer: bool) -> None:
    check_expression(text)
    assert holds(text, LIVE) is answer


def test_what_an_object_has_not_got_at_all_is_empty() -> None:
    bare = {"apiVersion": "v1", "kind": "Widget", "metadata": {"name": "x"}, "status": None}
    assert holds("has(status.phase) || has(spec.size)", bare) is False


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("1 +", "no CEL"),
        ("status.conditions.exists(", "no CEL"),
        ("nosuch.field == 1", "undeclared reference to 'nosuch.field'"),
        ("getenv('HOME') == ''", "undeclared reference"),
        ("'text'", "answers STRING"),
        ("1", "answers INT"),
        ("status.conditions.filter(e, true)", "answers LIST"),
        ("status.x == 1 || " * 100 + "true", "longer than 1000"),
        ("(" * 100 + "true" + ")" * 100, "no CEL"),
        ("status.conditions.map(e, e.type) == []", "map"),
        ("optional.of(status).optMap(s, s).hasValue()", "optMap"),
        ("[status, status] == []", "constants"),
        ("[spec.size].all(e, [e, e].all(f, true))", "constants"),
        ("[(spec)].size() == 1", "constants"),
        ("status in [status.x]", "constants"),
        ("{'a': status} == {}", "map or a message"),
        ("google.protobuf.Struct{fields: status} == status", "map or a message"),
        ("r'\\'.size() == 1 && [status].size() == 1 // '", "constants"),
        ("'''a''b'''.size() == 1 && [status].size() == 1", "constants"),
    ],
)
def test_what_is_no_rule_is_refused_in_words(text: str, why: str) -> None:
    with pytest.raises(ExpressionError, match=why):
        check_expression(text)
    with pytest.raises(ExpressionError, match=why):
        holds(text, LIVE)


@pytest.mark.parametrize(
    "text",
    [
        "status.missing == 1",
        "status.conditions[7].type == 'x'",
        "status.conditions[-1].type == 'x'",
        "status['/~2'] == 1",
        "status[''] == 1",
        "1 / (spec.size - 3) == 1",
        "spec.size + 9223372036854775807 > 0",
        "status.phase > 3",
        "status.phase",
        "int(status.phase) == 1",
        "timestamp(status.phase) > timestamp('2020-01-01T00:00:00Z')",
    ],
)
def test_an_expression_without_an_answer_is_an_error_and_no_crash(text: str) -> None:
    check_expression(text)
    with pytest.raises(ExpressionError):
        holds(text, LIVE)


@pytest.mark.parametrize("value", [2**63, 2**64, 10**40, float("inf"), {1: 2}, {"x": object()}])
def test_a_value_that_cel_hardly_knows_is_not_taken_for_another_and_no_crash(value: Any) -> None:
    try:
        assert holds("status.n == 1", {**LIVE, "status": {"n": value}}) is False
    except ExpressionError:
        assert value in (2**64, 10**40) or isinstance(value, dict)


TEN = "[1,2,3,4,5,6,7,8,9,10]"


@pytest.mark.parametrize(
    "text",
    [
        "".join(f"{TEN}.all({name}, " for name in "abcdefgh") + "true" + ")" * 8,
        "status.many.all(a, status.many.all(b, a == b || a != b))",
        f"status.many.filter(a, status.many == status.many && a in {TEN}).size() == 1",
        "status.long.matches('(a*)*b')",
        "(" + " + ".join(["status.long"] * 20) + ").size() == 1",
    ],
)
def test_no_expression_runs_away(text: str) -> None:
    large = {**LIVE, "status": {"many": list(range(2000)), "long": "a" * 100_000}}
    began = time.perf_counter()
    said = ""
    try:
        holds(text, large)
    except ExpressionError as error:
        said = str(error)
    assert not said or "Iteration budget exceeded" in said
    assert time.perf_counter() - began < 5


def test_a_rule_is_about_its_kind_in_any_version() -> None:
    check = HealthCheck(api_version="example.com/v1beta1", kind="Widget", current="true")
    assert check.judges == Kind("example.com", "Widget")
    assert HealthCheck(api_version="v1", kind="Pod", current="true").judges == Kind("", "Pod")


def test_the_library_is_loaded_with_the_first_expression_and_costs_little() -> None:
    script = (
        "import sys, agents.agent, agents.protocol as p;"
        "rss = lambda: next(int(l.split()[1]) for l in open('/proc/self/status')"
        " if l.startswith('VmRSS'));"
        "assert not any('cel_expr' in name for name in sys.modules); before = rss();"
        "p.holds('has(status.x)', {'status': {}}); print(rss() - before)"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert int(found.stdout) < 24 * 1024, "KiB"
