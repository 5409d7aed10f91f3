"""The pull fleet in two zones under shared caps; the caps are judged on the true fleet.

The engine gets domains and recent offers as the hub would count them from its rows; `judge` counts
anew from the agents and from every offer that could still be started.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from agents.protocol import SyncState
from fleet.rollout import numbers
from fleet.rollout.budget_document import BudgetSpec
from fleet.rollout.evidence import Domain, Evidence, Rest
from fleet.rollout.shared_budget import PerDomain, RolloutBudget
from fleet.rollout.states import ClusterState
from fleet.rollout.tables import ENDED
from tests.fleet.rollout.fleet_values import Assignment, Stored
from tests.fleet.rollout.pull_fleet import MOVES, PullFleet

BAD = (ClusterState.FAILED, ClusterState.TIMED_OUT)
MINUTE = timedelta(minutes=1)


class CappedFleet(PullFleet):
    """Clusters alternate between zones a and b; `budgets` may be edited at any time."""

    budgets: tuple[RolloutBudget, ...] = ()

    def use(self, spec: dict[str, Any]) -> None:
        """The RolloutBudget is this from now on."""
        self.budgets = (BudgetSpec.model_validate(spec).value("fleet", "budget.yaml"),)

    def zone(self, cluster: str) -> str:
        """Which zone a cluster is in."""
        return self._zones[cluster]

    @cached_property
    def _zones(self) -> dict[str, str]:
        return {name: "ab"[at % 2] for at, name in enumerate(sorted(self.agents))}

    def evidence(self, run: Stored) -> Evidence:
        """As the plain fleet's, with what shared caps need."""
        plain = super().evidence(run)
        known = {
            name: replace(
                one,
                labels={"zone": self.zone(name)},
                runs=tuple(sorted(self._others(run, name))),
                changed_at=self._changed(run, name),
            )
            for name, one in plain.clusters.items()
        }
        return replace(plain, clusters=known, budgets=self.budgets, rest=self._rest())

    def _rest(self) -> Rest:
        moving = {name for name in self.agents if self._others(None, name) or self._syncs(name)}
        bad = moving | {name for name in self.agents if self._is_bad_to_the_hub(name)}
        found = [Domain("", "", len(self.agents), frozenset(moving), frozenset(bad))]
        for value in "ab":
            mine = {name for name in self.agents if self.zone(name) == value}
            found.append(
                Domain("zone", value, len(mine), frozenset(moving & mine), frozenset(bad & mine))
            )
        offers = (one.offered_at for one in self.assignments if self.now - one.offered_at < MINUTE)
        return Rest(tuple(found), tuple(sorted(offers)))

    def _others(self, run: Stored | None, name: str) -> set[str]:
        return {
            other.plan.uid
            for other in self.runs.values()
            if other is not run and other.state not in ENDED and self._moves(other, name)
        }

    def _moves(self, run: Stored, name: str) -> bool:
        found = self.newest(run.plan.uid, name)
        if found is None or (found.withdrawn_at and not found.started_at):
            return False
        return found.can_start or self._state(run, name) in MOVES

    def _syncs(self, name: str) -> bool:
        """Does something there sync, or was it granted and not reported on yet?"""
        return any(
            self._unheard(name, bundle) or self.reports[name][bundle].sync is SyncState.SYNCING
            for bundle in self.agents[name].current
        )

    def _is_bad_to_the_hub(self, name: str) -> bool:
        failed = any(
            self._state(run, name) in BAD for run in self.runs.values() if run.state not in ENDED
        )
        reports = self.reports[name]
        return not self.agents[name].online or failed or self.is_bad(name, dict.fromkeys(reports))

    def _changed(self, run: Stored, name: str) -> datetime | None:
        last = [self.last_granted(name, bundle) for bundle in run.plan.bundles]
        times = [one.started_at for one in last if one is not None and one.started_at]
        return max(times, default=None)

    # The truth

    def is_bad(self, name: str, among: dict[str, Any] | None = None) -> bool:
        """Is anything there not healthy in truth (of these bundles, if they are named)?"""
        current = self.agents[name].current
        return any(
            one.phase != "healthy" or self._unheard(name, bundle)
            for bundle, one in current.items()
            if among is None or bundle in among
        )

    def _unheard(self, name: str, bundle: str) -> bool:
        report = self.reports[name].get(bundle)
        return report is None or report.generation != self.agents[name].current[bundle].generation

    def in_flight(self, value: str = "") -> set[str]:
        """Clusters (of a zone) that change or could still start to, in truth."""
        live = {uid for uid, run in self.runs.items() if run.state not in ENDED}
        could = {one.cluster for one in self.assignments if one.can_start and one.run in live}
        moving = could | {name for name in self.agents if self._applies(name)}
        return {name for name in moving if not value or self.zone(name) == value}

    def _applies(self, name: str) -> bool:
        return any(
            one.phase == "applying" and self.runs[one.run].state not in ENDED
            for bundle, one in self.agents[name].current.items()
            if not self._heals(name, bundle)
        )

    def _heals(self, name: str, bundle: str) -> bool:
        """Did it settle before? What its agent mends by itself is no start of the hub's."""
        said = not self._unheard(name, bundle)
        return said and self.reports[name][bundle].sync is not SyncState.SYNCING

    def unavailable(self, value: str) -> set[str]:
        """Clusters of a zone that are offline or unwell, in truth."""
        names = [name for name in self.agents if self.zone(name) == value]
        return {name for name in names if not self.agents[name].online or self.is_bad(name)}

    def _has_its_place(self, name: str) -> bool:
        """Does a run hold it as moving or failed, whatever it is in truth?"""
        live = (run for run in self.runs.values() if run.state not in ENDED)
        return any(self._state(run, name) in (*BAD, *MOVES) for run in live)

    def _step(self, run: Stored) -> bool:
        moved = {"": self.in_flight()}
        moved |= {v: {name for name in moved[""] if self.zone(name) == v} for v in "ab"}
        before = {value: moved[value] | self.unavailable(value) for value in "ab"}
        placed = {name for name in self.agents if self._has_its_place(name)}
        offers = len(self.assignments)
        again = super()._step(run)
        made = [one.cluster for one in self.assignments[offers:]]
        for why in self._wrongs(run, made, placed, before, moved):
            raise AssertionError(f"{why} (run {run.plan.uid})")
        return again

    def _wrongs(
        self,
        run: Stored,
        made: list[str],
        placed: set[str],
        before: dict[str, set[str]],
        moved: dict[str, set[str]],
    ) -> Iterator[str]:
        """What the offers of one step broke, if anything."""
        mine = [one for one in self.assignments if one.run == run.plan.uid]
        for budget in self.budgets:
            if budget.freeze.active:
                held = [one for one in mine if one.can_start and self._is_frozen(budget, run, one)]
                if held:
                    yield f"I9: frozen, and {held[0].cluster} has an offer"
            yield from self._rates(budget, made)
            yield from self._lifted(run, budget, set(made) - placed, before, moved)

    def _is_frozen(self, budget: RolloutBudget, run: Stored, one: Assignment) -> bool:
        """What goes back passes a freeze that does not say that it blocks that."""
        return budget.freeze.blocks_rollback or not (one.reverts or run.plan.restores)

    def _rates(self, budget: RolloutBudget, made: list[str]) -> Iterator[str]:
        most = budget.fleet.max_starts_per_minute
        recent = [one for one in self.assignments if self.now - one.offered_at < MINUTE]
        if made and most is not None and len(recent) > most:
            yield f"{len(recent)} offers in a minute, {most} may be"
        alone = budget.per_cluster.max_concurrent_runs
        for name in made if alone is not None else ():
            if len(self._others(None, name)) > (alone or 0):
                yield f"{name} is moved by {self._others(None, name)}"

    def _lifted(
        self,
        run: Stored,
        budget: RolloutBudget,
        made: set[str],
        before: dict[str, set[str]],
        moved: dict[str, set[str]],
    ) -> Iterator[str]:
        rules = run.plan.rules.invariants
        kept = [PerDomain(one.key, None, one.max_unavailable) for one in rules if one.key]
        for one in (*budget.per_domain, *kept):
            for value in "ab":
                size = sum(1 for name in self.agents if self.zone(name) == value)
                mine = {name for name in made if self.zone(name) == value}
                if one.max_unavailable is not None and mine - before[value]:
                    most = numbers.cap(one.max_unavailable, size, at_least_one=False)
                    if len(before[value] | mine) > most:
                        yield f"I6: zone {value} lifted to {before[value] | mine}, cap {most}"
                if one.max_in_flight is not None and mine - moved[value]:
                    most = numbers.parallelism(one.max_in_flight, size)
                    if len(moved[value] | mine) > most:
                        yield f"I6: zone {value} moves {moved[value] | mine}, cap {most}"
        if budget.fleet.max_in_flight is not None and made - moved[""]:
            most = numbers.parallelism(budget.fleet.max_in_flight, len(self.agents))
            if len(moved[""] | made) > most:
                yield f"I6, I26: the fleet moves {moved[''] | made}, cap {most}"
