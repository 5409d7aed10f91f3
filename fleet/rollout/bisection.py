"""What the clusters that failed have in common against the Healthy ones: `onFailure.bisect`.

::

    labels       each value of each label named
    revisions    each content of each bundle that the run brings; and the commits since the last
                 run of the bundle that succeeded: one of them is to blame

A trait is found if Fisher's exact test (one-sided: is it more frequent among those that failed?)
says so at `ALPHA`, shared by all traits that so many clusters could set apart at all (Tarone): the
one that looks worst of twenty is no finding. Where none could be found whatever it looked like the
report says that the sample is too small, and what all that failed share is told as that and no
more. It decides nothing. Pure; SciPy is loaded with the first report.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache

from fleet.rollout.comparison import fisher
from fleet.rollout.evidence import Evidence
from fleet.rollout.memory import Memory
from fleet.rollout.run_plan import RunPlan
from fleet.rollout.step import Bisection, Trait

_fisher = cache(fisher)
ALPHA = 0.05
SHOWN = 5
DIGEST_CHARACTERS = 19
"""`sha256:` and twelve of its digits."""


def bisect(
    run: RunPlan, healthy: Iterable[str], memory: Memory, evidence: Evidence
) -> Bisection | None:
    """The report on what has failed so far; `None` if the policy wants none or nothing failed."""
    rules = run.rules.on_failure.bisect
    failed = sorted(
        c for c, (stage, _) in memory.failed.items() if (stage, c) in memory.ever_failed
    )
    if rules is None or not failed:
        return None
    well = sorted(set(healthy) - set(failed))
    having: dict[tuple[str, str], set[str]] = {}
    for cluster in (*failed, *well):
        known = evidence.clusters.get(cluster)
        for label in rules.labels:
            value = known.labels.get(label, "") if known else ""
            having.setdefault((label, value), set()).add(cluster)
        for change in run.changes[cluster] if rules.revisions else ():
            content = (f"bundle {change.bundle}", change.wanted[:DIGEST_CHARACTERS])
            having.setdefault(content, set()).add(cluster)
    traits, found = _traits(having, set(failed), len(well))
    enough = found > 0 or _could_tell(len(failed), len(well), len(having))
    said = _words(traits, found, len(failed), len(well), rules.labels, enough=enough)
    suspects = _suspects(run, failed, evidence.suspects) if rules.revisions else ()
    return Bisection(said, len(failed), len(well), traits[: max(SHOWN, found)], found, suspects)


def _traits(
    having: Mapping[tuple[str, str], set[str]], failed: set[str], healthy: int
) -> tuple[tuple[Trait, ...], int]:
    """Every trait of a failed cluster, and how many of them are findings."""
    counts = {key: (len(who & failed), len(who - failed)) for key, who in having.items()}
    total = len(failed)
    least = [
        _fisher(min(sum(both), total), sum(both) - min(sum(both), total), total, healthy)
        for both in counts.values()
    ]
    times = _correction(least) if least else 1
    traits = [
        Trait(name, value, mine, theirs, min(1.0, times * _fisher(mine, theirs, total, healthy)))
        for (name, value), (mine, theirs) in counts.items()
        if mine
    ]
    traits.sort(key=lambda one: (one.p, -one.failed, one.healthy, one.name, one.value))
    return tuple(traits), sum(one.p <= ALPHA for one in traits)


def _correction(least: Sequence[float]) -> int:
    """By how much p is multiplied: Bonferroni over the traits that could be found (Tarone)."""
    counts = range(1, len(least) + 1)
    return next(n for n in counts if sum(p <= ALPHA / n for p in least) <= n)


def _could_tell(failed: int, healthy: int, traits: int) -> bool:
    """Would a trait that exactly the failed ones have be a finding?"""
    return bool(healthy) and _fisher(failed, 0, failed, healthy) <= ALPHA / max(1, traits)


def _words(
    traits: Sequence[Trait],
    found: int,
    failed: int,
    healthy: int,
    labels: Sequence[str],
    *,
    enough: bool,
) -> str:
    if found:
        some = "; ".join(
            f"{one.words}: {one.failed} of {failed} that failed, {one.healthy} of {healthy} Healthy"
            f" (p = {one.p:.2g})"
            for one in traits[:found][:SHOWN]
        )
        return f"failures go with {some}"
    if not healthy:
        return f"no cluster is Healthy to compare the {failed} that failed with"
    if not enough:
        said = f"{failed} failed and {healthy} Healthy are too few to tell what sets them apart"
    else:
        what = ", ".join((*labels, *(() if labels else ("the contents",))))
        return f"nothing among {what} sets the {failed} that failed apart from {healthy} Healthy"
    shared = [one for one in traits if one.failed == failed and one.healthy < healthy]
    if not shared:
        return said
    some = ", ".join(
        f"{one.words} ({one.healthy} of {healthy} Healthy too)" for one in shared[:SHOWN]
    )
    return f"{said}; all that failed have {some}"


def _suspects(
    run: RunPlan, failed: Iterable[str], commits: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    """The commits of the bundles that the failed clusters were brought."""
    bundles = sorted({change.bundle for cluster in failed for change in run.changes[cluster]})
    return tuple(f"{bundle}: {commit}" for bundle in bundles for commit in commits.get(bundle, ()))
