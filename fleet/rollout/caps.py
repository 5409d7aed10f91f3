"""Shared caps, judged at every assignment: what this tick may still start beyond its slots.

::

    perCluster   maxConcurrentRuns, quietAfter        of one cluster
    perDomain    maxInFlight, maxUnavailable          of one value of a cluster label
    fleet        maxInFlight, maxStartsPerMinute      of all clusters
    invariants   maxUnavailable, maxExposed           of a domain or the fleet, by the run

A `Room` is made once for a tick and shared by its stages: what one takes the next one cannot. No
start lifts a domain above its cap. A cluster that is unavailable (or in flight) already adds
nothing, so what is broken may always be mended. Without a RolloutBudget and without invariants
there is always room. A way back is held by the same caps but two: `quietAfter`, since the change
that it would be quiet after is the one that failed, and `maxExposed`, since what it brings was
proven before. Pure; each question costs as much as there are caps, not clusters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache

from fleet.rollout import exposure, numbers
from fleet.rollout.evidence import ClusterEvidence, Domain, Evidence
from fleet.rollout.memory import Memory
from fleet.rollout.numbers import Amount
from fleet.rollout.reasons import Reason
from fleet.rollout.rules import Invariant
from fleet.rollout.run_plan import RunPlan
from fleet.rollout.shared_budget import RolloutBudget

MINUTE = timedelta(seconds=60)
CODES = frozenset({"CapReached", "StartsPerMinute", "RunsPerCluster", "Quiet", "CapUnknown"})
"""What a cluster that a cap holds is told: it may go when something elsewhere changes."""
_NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, eq=False)
class _Cap:
    """One limit on every value of one label."""

    name: str
    """Who says so: `fleet: maxInFlight`."""
    key: str
    limit: Callable[[int], int]
    """Clusters of the domain → how many may be."""
    counted: Callable[[Domain], frozenset[str]]
    what: str


@dataclass(slots=True)
class Room:
    """How much of every cap is left in this tick."""

    run: RunPlan
    evidence: Evidence
    now: datetime
    wakes: list[datetime] = field(default_factory=list)
    """When time alone makes room again is added here."""
    _caps: tuple[_Cap, ...] = ()
    _domains: dict[tuple[str, str], Domain] = field(default_factory=dict)
    _used: Counter[tuple[_Cap, str]] = field(default_factory=Counter)
    """(cap, value of its label) → clusters that this tick added."""
    full: bool = False
    """A cap on a domain held somebody in this tick."""
    goes_back: bool = False
    """It is asked for ways back."""
    _starts: list[datetime] = field(default_factory=list)
    """Those of the last minute, the oldest first."""

    @classmethod
    def of(
        cls,
        run: RunPlan,
        evidence: Evidence,
        memory: Memory,
        now: datetime,
        wakes: list[datetime],
        *,
        goes_back: bool = False,
    ) -> Room:
        """The room of one tick."""
        caps = [cap for budget in evidence.budgets for cap in _of_budget(budget)]
        bound = None if goes_back else exposure.bound(run, evidence, memory, now, wakes)
        for one in run.rules.invariants:
            if one.max_unavailable is not None:
                caps.append(_unavailable(one.name, one.key, one.max_unavailable, one.at_least_one))
            elif bound is not None:
                caps.append(_exposed(one, bound))
        domains = {(one.key, one.value): one for one in evidence.rest.domains}
        starts = sorted(at for at in evidence.rest.starts if now - at < MINUTE)
        return cls(
            run, evidence, now, wakes, tuple(caps), domains, goes_back=goes_back, _starts=starts
        )

    def refusal(self, cluster: str) -> Reason | None:
        """Why no cap lets this cluster start now, or `None`."""
        return next(self.refusals(cluster), None)

    def refusals(self, cluster: str) -> Iterator[Reason]:
        """Every cap that keeps this cluster from starting now."""
        known = self.evidence.clusters[cluster]
        for budget in self.evidence.budgets:
            yield from filter(None, (self._in_cluster(budget, known), self._too_fast(budget)))
        yield from filter(None, (self._full(cap, cluster, known) for cap in self._caps))

    def take(self, cluster: str) -> None:
        """The cluster starts: it counts from here on."""
        self._starts.append(self.now)
        known = self.evidence.clusters[cluster]
        for cap in self._caps:
            value = _value(cap, known)
            domain = self._domains.get((cap.key, value))
            if domain is not None and cluster not in cap.counted(domain):
                self._used[cap, value] += 1

    def _full(self, cap: _Cap, cluster: str, known: ClusterEvidence) -> Reason | None:
        value = _value(cap, known)
        domain = self._domains.get((cap.key, value))
        if domain is None:
            said = f"nothing is known of {_words(cap.key, value)} yet"
            return Reason("CapUnknown", f"{cap.name}: {said}")
        counted = cap.counted(domain)
        if cluster in counted:
            return None
        used, most = len(counted) + self._used[cap, value], cap.limit(domain.size)
        if used + 1 <= most:
            return None
        self.full = True
        said = f"{used} of {_words(cap.key, value)} {cap.what}, {most} may be"
        return Reason("CapReached", f"{cap.name}: {said}")

    def _in_cluster(self, budget: RolloutBudget, known: ClusterEvidence) -> Reason | None:
        most, quiet = budget.per_cluster.max_concurrent_runs, budget.per_cluster.quiet_after_seconds
        if most is not None and len(known.runs) >= most:
            said = f"{', '.join(known.runs[:3])} not settled here"
            return Reason("RunsPerCluster", f"{budget.name}: maxConcurrentRuns {most}: {said}")
        if quiet is None or known.changed_at is None or self.goes_back:
            return None
        until = known.changed_at + timedelta(seconds=quiet)
        if self.now >= until:
            return None
        self.wakes.append(until)
        return Reason("Quiet", f"{budget.name}: quietAfter {quiet:g} s of its last change", until)

    def _too_fast(self, budget: RolloutBudget) -> Reason | None:
        most = budget.fleet.max_starts_per_minute
        if most is None or len(self._starts) < most:
            return None
        until = self._starts[0] + MINUTE
        self.wakes.append(until)
        return Reason("StartsPerMinute", f"{budget.name}: {most} starts in a minute", until)


def keys(run: RunPlan, budgets: Iterable[RolloutBudget]) -> frozenset[str]:
    """The labels whose domains the caps count by; empty text: the whole fleet is one of them."""
    caps = [cap.key for budget in budgets for cap in _of_budget(budget)]
    return frozenset([*caps, *(one.key for one in run.rules.invariants)])


def _of_budget(budget: RolloutBudget) -> Iterable[_Cap]:
    for one in budget.per_domain:
        if one.max_in_flight is not None:
            yield _in_flight(budget.name, one.key, one.max_in_flight)
        if one.max_unavailable is not None:
            yield _unavailable(budget.name, one.key, one.max_unavailable, False)
    if budget.fleet.max_in_flight is not None:
        yield _in_flight(budget.name, "", budget.fleet.max_in_flight)


def _in_flight(name: str, key: str, amount: Amount) -> _Cap:
    return _Cap(
        f"{name}: maxInFlight",
        key,
        cache(lambda size: numbers.parallelism(amount, size)),
        lambda domain: domain.in_flight,
        "in flight",
    )


def _unavailable(name: str, key: str, amount: Amount, at_least_one: bool) -> _Cap:
    return _Cap(
        f"{name}: maxUnavailable",
        key,
        cache(lambda size: numbers.cap(amount, size, at_least_one=at_least_one)),
        lambda domain: domain.unavailable,
        "unavailable",
    )


def _exposed(one: Invariant, mine: exposure.Exposed) -> _Cap:
    amount, key = one.max_exposed, one.key
    assert amount is not None, "the document has one of the two"
    own = exposure.by_value(mine, key)

    @cache
    def counted(domain: Domain) -> frozenset[str]:
        return domain.exposed | own.get(domain.value, _NOBODY)

    return _Cap(
        f"{one.name}: maxExposed",
        key,
        cache(lambda size: numbers.cap(amount, size, at_least_one=one.at_least_one)),
        counted,
        "on a revision that is not baked",
    )


def _value(cap: _Cap, known: ClusterEvidence) -> str:
    return known.labels.get(cap.key, "") if cap.key else ""


def _words(key: str, value: str) -> str:
    if not key:
        return "the fleet"
    return f"{key}={value}" if value else f"clusters without label {key}"
