"""What measurements say: thresholds, and updated clusters against others. Pure.

::

    metric    absolute: every updated cluster within min and max     → FAIL at the first beyond
    metric    relative: are the updated ones worse?  one-sided, alpha shared by the metrics
                against NotYetUpdated   Value   Mann-Whitney U
                                        Binary  Fisher's exact test
                against Before          both    Wilcoxon signed-rank, each cluster with itself
    stratifyBy  a test in each stratum, put together by Stouffer's method, weighted by size

The unit is the cluster: requests within one cluster are not independent, clusters nearly are. The
tests are exact or nearly so for few clusters and assume no distribution, since latencies and
shares of errors are far from normal. `alpha` is for one look; a stage is looked at many times, so
a relative FAIL needs `LOOKS` in a row, and NONE is said meanwhile.

No data is never a pass (I14): fewer than `minN` clusters with data (all of them, if fewer were
updated) is NONE; fewer than `minN` on either side is NONE for the relative part of that metric,
and its thresholds decide. SciPy is loaded with the first comparison.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite, sqrt

from fleet.rollout.evidence import Answer
from fleet.rollout.gate_kinds import Against, Analysis
from fleet.rollout.measures import Metric, MetricKind, Worse

LOOKS = 2
SHOWN = 3
SMALLEST_STRATUM = 2


@dataclass(frozen=True, slots=True)
class Observed:
    """The values of one metric; what is not a number is no value."""

    updated: Mapping[str, float] = field(default_factory=dict)
    others: Mapping[str, float] = field(default_factory=dict)
    """Clusters that do not run it yet; against Before: the updated ones as they were."""
    overall: float | None = None
    """A value that is about no single cluster."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What all metrics say together."""

    answer: Answer
    why: str
    strikes: int = 0
    """At so many looks in a row the updated clusters were worse."""


def judge(
    gate: Analysis,
    metrics: Iterable[Metric],
    observed: Mapping[str, Observed],
    updated: Collection[str],
    strata: Mapping[str, str],
    strikes: int = 0,
) -> Finding:
    """`observed` by metric; `updated`: the clusters that should have data; `strata`: cluster →
    its stratum; `strikes`: those of the last look."""
    every = tuple(metrics)
    found = [_absolute(gate, m, observed.get(m.name, Observed()), updated) for m in every]
    worse: list[str] = []
    if gate.against is not Against.ABSOLUTE:
        alpha = gate.alpha / len(every)
        for index, metric in enumerate(every):
            seen = observed.get(metric.name, Observed())
            found[index] = _relative(gate, metric, seen, strata, alpha, found[index], worse)
    strikes = strikes + 1 if worse else 0
    if worse and not any(one.answer is Answer.FAIL for one in found):
        answer = Answer.FAIL if strikes >= LOOKS else Answer.NONE
        again = "" if strikes >= LOOKS else "; it is looked at once more"
        return Finding(answer, "; ".join(worse) + again, strikes)
    for answer in (Answer.FAIL, Answer.NONE, Answer.PASS):
        same = [one.why for one in found if one.answer is answer]
        if same:
            return Finding(answer, "; ".join(same), strikes)
    return Finding(Answer.NONE, "nothing is measured", strikes)


def _absolute(gate: Analysis, metric: Metric, seen: Observed, updated: Collection[str]) -> Finding:
    values = {c: v for c, v in sorted(seen.updated.items()) if isfinite(v) and c in updated}
    if seen.overall is not None and isfinite(seen.overall):
        values = values or {"all clusters": seen.overall}
        enough = True
    else:
        enough = bool(values) and len(values) >= min(gate.min_n, len(updated))
    beyond = [f"{v:g} in {c}" for c, v in values.items() if _is_beyond(metric, v)]
    if beyond:
        more = f" and {len(beyond) - SHOWN} more" if len(beyond) > SHOWN else ""
        limits = " or ".join(
            f"{word} {limit:g}"
            for word, limit in (("above", metric.max), ("below", metric.min))
            if limit is not None
        )
        shown = ", ".join(beyond[:SHOWN]) + more
        return Finding(Answer.FAIL, f"{metric.name} is {limits}: {shown}")
    if not enough:
        what = f"{metric.name}: {len(values)} of {len(updated)} updated clusters have data"
        return Finding(Answer.NONE, what)
    return Finding(Answer.PASS, f"{metric.name} holds in {len(values)} clusters")


def _is_beyond(metric: Metric, value: float) -> bool:
    above = metric.max is not None and value > metric.max
    return above or (metric.min is not None and value < metric.min)


def _relative(
    gate: Analysis,
    metric: Metric,
    seen: Observed,
    strata: Mapping[str, str],
    alpha: float,
    absolute: Finding,
    worse: list[str],
) -> Finding:
    """The absolute finding, made stricter by the comparison."""
    if absolute.answer is Answer.FAIL:
        return absolute
    updated = {c: v for c, v in seen.updated.items() if isfinite(v)}
    others = {c: v for c, v in seen.others.items() if isfinite(v)}
    if gate.against is Against.BEFORE:
        both = updated.keys() & others.keys()
        updated, others = ({c: side[c] for c in both} for side in (updated, others))
    strata = strata if gate.stratify_by else {}
    p, sizes = p_value(metric, updated, others, strata, paired=gate.against is Against.BEFORE)
    if p is None or min(sizes) < gate.min_n:
        few = f"{metric.name}: {sizes[0]} and {sizes[1]} clusters are too few to compare"
        return absolute if metric.has_threshold else Finding(Answer.NONE, few)
    if p < alpha:
        worse.append(f"{metric.name} is worse in updated clusters (p = {p:.2g}, alpha {alpha:g})")
    if absolute.answer is Answer.NONE:
        return absolute
    return Finding(Answer.PASS, f"{metric.name} is no worse (p = {p:.2g})")


def p_value(
    metric: Metric,
    updated: Mapping[str, float],
    others: Mapping[str, float],
    strata: Mapping[str, str],
    *,
    paired: bool = False,
) -> tuple[float | None, tuple[int, int]]:
    """How likely values as bad as these are if nothing got worse, and how many clusters were used.

    `None` if no stratum has two clusters on either side.
    """
    names = sorted({strata.get(cluster, "") for cluster in (*updated, *others)})
    found: list[tuple[float, float]] = []
    used = [0, 0]
    for name in names:
        mine = sorted(c for c in updated if strata.get(c, "") == name)
        theirs = sorted(c for c in others if strata.get(c, "") == name)
        if min(len(mine), len(theirs)) < SMALLEST_STRATUM:
            continue
        new, old = [updated[c] for c in mine], [others[c] for c in theirs]
        found.append((_test(metric, new, old, paired=paired), sqrt(len(mine) + len(theirs))))
        used = [used[0] + len(mine), used[1] + len(theirs)]
    return _together(found), (used[0], used[1])


def _test(metric: Metric, new: list[float], old: list[float], *, paired: bool) -> float:
    """One-sided: is `new` worse?"""
    from scipy import stats

    sign = 1.0 if metric.worse is Worse.HIGHER else -1.0
    new, old = [sign * value for value in new], [sign * value for value in old]
    if paired:
        changes = [after - before for after, before in zip(new, old, strict=True)]
        if not any(changes):
            return 1.0
        return float(stats.wilcoxon(changes, alternative="greater", method="auto").pvalue)
    if metric.kind is MetricKind.BINARY:
        bad = [sum(1 for value in side if value > sign / 2) for side in (new, old)]
        return fisher(bad[0], bad[1], len(new), len(old))
    return float(stats.mannwhitneyu(new, old, alternative="greater", method="auto").pvalue)


def fisher(mine: int, theirs: int, of: int, of_them: int) -> float:
    """Fisher's exact test, one-sided: how likely are so many, `mine` of `of` against `theirs` of
    `of_them`, if there is no difference?"""
    from scipy import stats

    table = [[mine, of - mine], [theirs, of_them - theirs]]
    return float(stats.fisher_exact(table, alternative="greater").pvalue)


def _together(found: list[tuple[float, float]]) -> float | None:
    """Stouffer's method, weighted; a single test as it is."""
    if len(found) < SMALLEST_STRATUM:
        return found[0][0] if found else None
    from scipy import stats

    # A p of exactly 0 or 1 has no normal quantile.
    ps = [min(max(p, 1e-300), 1 - 1e-16) for p, _ in found]
    weights = [weight for _, weight in found]
    return float(stats.combine_pvalues(ps, method="stouffer", weights=weights).pvalue)
