"""Thresholds, and updated clusters against others: by hand, by chance, and promise I14.

Mutations that must fail here: `enough` is always True; `min(sizes) < gate.min_n` is left out; the
sign of `worse` is turned; `alternative` is two-sided; `LOOKS` is 1; NaN counts as a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import nan
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.rollout.comparison import Finding, Observed, judge, p_value
from fleet.rollout.evidence import Answer
from fleet.rollout.gate_kinds import Against, Analysis
from fleet.rollout.measures import Metric, MetricKind, Worse

ERRORS = Metric("errors", "q", max=0.05)
LATENCY = Metric("latency", "q")
UP = Metric("up", "q", kind=MetricKind.BINARY, worse=Worse.LOWER)
COHORT = Analysis("slo", against=Against.NOT_YET_UPDATED, min_n=4, alpha=0.05)


def named(prefix: str, *values: float) -> dict[str, float]:
    return {f"{prefix}{place:03}": value for place, value in enumerate(values)}


def judged(gate: Analysis, metric: Metric, seen: Observed, **more: Any) -> Finding:
    updated = more.pop("updated", tuple(seen.updated))
    return judge(gate, [metric], {metric.name: seen}, updated, more.pop("strata", {}), **more)


@pytest.mark.parametrize(
    ("values", "answer", "words"),
    [
        ((0.01, 0.02), Answer.PASS, "errors holds in 2 clusters"),
        ((0.01, 0.06), Answer.FAIL, "errors is above 0.05: 0.06 in a001"),
        ((0.05,), Answer.PASS, ""),
        ((), Answer.NONE, "0 of 0 updated clusters have data"),
        ((0.01, nan), Answer.NONE, "1 of 2 updated clusters have data"),
        ((1, 1, 1, 1, 1), Answer.FAIL, "1 in a000, 1 in a001, 1 in a002 and 2 more"),
    ],
)
def test_thresholds_hold_in_every_updated_cluster(
    values: tuple[float, ...], answer: Answer, words: str
) -> None:
    found = judged(Analysis("slo"), ERRORS, Observed(named("a", *values)))
    assert found.answer is answer
    assert words in found.why


def test_enough_is_min_n_clusters_or_all_there_are() -> None:
    eight = Analysis("slo", min_n=8)
    seen = Observed(named("a", *[0.01] * 8))
    everybody = [f"a{n:03}" for n in range(100)]
    assert judged(eight, ERRORS, seen, updated=everybody).answer is Answer.PASS
    few = Observed(named("a", *[0.01] * 7))
    assert judged(eight, ERRORS, few, updated=everybody).answer is Answer.NONE
    assert judged(eight, ERRORS, few).answer is Answer.PASS


def test_a_minimum_and_a_value_about_all_clusters() -> None:
    success = Metric("success", "q", worse=Worse.LOWER, min=0.99)
    assert judged(Analysis("s"), success, Observed(overall=0.995)).answer is Answer.PASS
    low = judged(Analysis("s"), success, Observed(overall=0.5))
    assert (low.answer, low.why) == (Answer.FAIL, "success is below 0.99: 0.5 in all clusters")
    assert judged(Analysis("s"), success, Observed(overall=nan)).answer is Answer.NONE


def test_what_is_worse_in_updated_clusters_fails_at_the_second_look() -> None:
    seen = Observed(named("a", 9, 8, 9, 7, 9), named("b", 1, 2, 1, 3, 2))
    first = judged(COHORT, LATENCY, seen)
    assert (first.answer, first.strikes) == (Answer.NONE, 1)
    assert "it is looked at once more" in first.why
    second = judged(COHORT, LATENCY, seen, strikes=1)
    assert (second.answer, second.strikes) == (Answer.FAIL, 2)
    assert second.why.startswith("latency is worse in updated clusters (p = 0.00")
    better = Observed(named("a", 1, 2, 1, 3, 2), named("b", 9, 8, 9, 7, 9))
    back = judged(COHORT, LATENCY, better, strikes=1)
    assert (back.answer, back.strikes) == (Answer.PASS, 0)


def test_lower_can_be_worse_and_what_holds_or_not_is_counted() -> None:
    down = Observed(named("a", 0, 0, 0, 0, 1), named("b", 1, 1, 1, 1, 1, 1, 1))
    assert judged(COHORT, UP, down, strikes=1).answer is Answer.FAIL
    alike = Observed(named("a", 1, 1, 1, 1), named("b", 1, 1, 0, 1))
    assert judged(COHORT, UP, alike, strikes=1).answer is Answer.PASS
    alarm = Metric("alarm", "q", kind=MetricKind.BINARY)
    rings = Observed(named("a", 1, 1, 1, 1, 1), named("b", 0, 0, 0, 0, 0))
    assert judged(COHORT, alarm, rings, strikes=1).answer is Answer.FAIL


def test_too_few_to_compare_leaves_it_to_the_thresholds() -> None:
    few = Observed(named("a", 0.01, 0.02, 0.03), named("b", *[0.01] * 9))
    assert judged(COHORT, LATENCY, few).answer is Answer.NONE
    assert "3 and 9 clusters are too few to compare" in judged(COHORT, LATENCY, few).why
    assert judged(COHORT, ERRORS, few).answer is Answer.PASS
    last_stage = Observed(named("a", *[0.01] * 9))
    assert judged(COHORT, LATENCY, last_stage).answer is Answer.NONE
    assert judged(COHORT, ERRORS, last_stage).answer is Answer.PASS
    bad = Observed(named("a", *[0.9] * 3))
    assert judged(COHORT, ERRORS, bad).answer is Answer.FAIL


def test_before_compares_each_cluster_with_itself() -> None:
    gate = Analysis("slo", against=Against.BEFORE, min_n=6, alpha=0.05)
    then = named("a", 1, 20, 300, 4000, 50000, 6)
    now = {name: value * 1.1 for name, value in then.items()}
    assert judged(gate, LATENCY, Observed(now, then), strikes=1).answer is Answer.FAIL
    assert judged(gate, LATENCY, Observed(then, dict(then)), strikes=1).answer is Answer.PASS
    unpaired = Observed(now, named("b", 1, 20, 300, 4000, 50000, 6))
    assert judged(gate, LATENCY, unpaired, strikes=1).answer is Answer.NONE


def test_strata_compare_like_with_like() -> None:
    """Big clusters are slow, and the update goes to the big ones first: that is no regression."""
    random = Random(7)
    big = [100 + random.random() for _ in range(40)]
    small = [10 + random.random() for _ in range(40)]
    updated = named("big", *big[:30]) | named("small", *small[:6])
    others = {f"x{n}": v for n, v in enumerate(big[30:])} | {
        f"y{n}": v for n, v in enumerate(small[6:])
    }
    every = {**updated, **others}
    zone = {cluster: "big" if value > 50 else "small" for cluster, value in every.items()}
    plain = Analysis("slo", against=Against.NOT_YET_UPDATED, alpha=0.01)
    seen = Observed(updated, others)
    assert judged(plain, LATENCY, seen, strata=zone, strikes=1).answer is Answer.FAIL
    fair = Analysis("slo", against=Against.NOT_YET_UPDATED, alpha=0.01, stratify_by="size")
    assert judged(fair, LATENCY, seen, strata=zone, strikes=1).answer is Answer.PASS
    slower = {c: v + 0.9 for c, v in updated.items()}
    found = judged(fair, LATENCY, Observed(slower, others), strata=zone, strikes=1)
    assert found.answer is Answer.FAIL


def test_a_stratum_with_one_cluster_on_a_side_says_nothing() -> None:
    p, sizes = p_value(LATENCY, {"a": 9.0}, {"b": 1.0, "c": 1.0}, {})
    assert (p, sizes) == (None, (0, 0))


def test_false_alarms_are_about_as_rare_as_alpha_says() -> None:
    """400 comparisons in which nothing differs, of values that are far from normal."""
    random = Random(11)
    hits = 0
    for _ in range(400):
        values = [random.lognormvariate(0, 2) for _ in range(24)]
        p, _ = p_value(LATENCY, named("a", *values[:12]), named("b", *values[12:]), {})
        assert p is not None
        hits += p < 0.05
    assert 5 <= hits <= 36, hits


def test_several_metrics_share_alpha_and_all_must_hold() -> None:
    seen = {
        "errors": Observed(named("a", *[0.01] * 5), named("b", *[0.01] * 5)),
        "latency": Observed(named("a", 5, 6, 7, 8), named("b", 1, 2, 3, 4)),
    }
    updated = [f"a{n:03}" for n in range(4)]
    alone = judge(COHORT, [LATENCY], seen, updated, {}, 1)
    assert (alone.answer, "p = 0.014" in alone.why) == (Answer.FAIL, True)
    metrics = [ERRORS, LATENCY, Metric("more", "q", max=1), Metric("most", "q", max=1)]
    seen |= {"more": seen["errors"], "most": seen["errors"]}
    assert judge(COHORT, metrics, seen, updated, {}, 1).answer is Answer.PASS
    missing = judge(COHORT, [*metrics, Metric("gone", "q", max=1)], seen, updated, {}, 1)
    assert (missing.answer, "gone: 0 of 4" in missing.why) == (Answer.NONE, True)


VALUES = st.dictionaries(
    st.sampled_from([f"c{n}" for n in range(9)]),
    st.floats(0, 1) | st.just(nan),
    max_size=9,
)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(tuple(Against)),
    st.integers(2, 5),
    st.booleans(),
    VALUES,
    VALUES,
    st.integers(0, 2),
)
def test_i14_a_pass_has_enough_numbers_behind_it(
    against: Against,
    min_n: int,
    threshold: bool,
    updated: Mapping[str, float],
    others: Mapping[str, float],
    strikes: int,
) -> None:
    """I14: whatever was measured, a pass needs minN clusters with data, or all that were updated;
    without thresholds it needs them on both sides."""
    gate = Analysis("slo", against=against, min_n=min_n)
    metric = Metric("m", "q", max=0.5 if threshold else None)
    everybody = tuple(updated)
    found = judge(gate, [metric], {"m": Observed(updated, others)}, everybody, {}, strikes)
    if found.answer is not Answer.PASS:
        return
    good = {c for c, v in updated.items() if v == v}
    assert len(good) >= min(min_n, len(everybody))
    assert good
    if threshold:
        assert all(updated[c] <= 0.5 for c in good)
    elif against is not Against.ABSOLUTE:
        there = {c for c, v in others.items() if v == v}
        assert min(len(good), len(there)) >= min_n
