"""What one `advance` and one `propose` cost for 10,000 clusters, in processor time of one core.

Prints; asserts nothing::

    python -m tests.benchmarks.bench_advance
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import process_time
from zoneinfo import available_timezones

import click

from fleet.model import Cluster
from fleet.rollout import Situation, advance, propose, read_policies
from fleet.rollout.budget_document import BudgetSpec
from fleet.rollout.evidence import Domain, Evidence, Rest
from fleet.rollout.gate_kinds import OpenHours, Window
from fleet.rollout.marks import Marks
from fleet.rollout.numbers import read_amount
from fleet.rollout.rules import Invariant, Rules
from fleet.rollout.run_plan import RunPlan
from fleet.rollout.states import Intent
from tests.fleet.rollout.builders import NOW, after, cluster, healthy, offered, run, stage

CLUSTERS = tuple(f"cluster-{number:05}" for number in range(10_000))
BUNDLES = 50


def main() -> None:
    """Time the steps of a run over all clusters, and the opening of runs."""
    plan = run(stage("all", *CLUSTERS, parallelism=2500, failure_budget=200, soak_seconds=600))
    empty = Evidence({name: cluster() for name in CLUSTERS})
    first = advance(plan, Marks(), Intent.RUN, empty, NOW)
    half = Evidence(
        {
            name: healthy() if place < 5000 else offered() if place < 7500 else cluster()
            for place, name in enumerate(CLUSTERS)
        }
    )
    moving = advance(plan, first.marks, Intent.RUN, half, after(5))
    every = Evidence({name: healthy() for name in CLUSTERS})
    soaking = advance(plan, moving.marks, Intent.RUN, every, after(6))
    _time_advance("nothing offered yet", plan, Marks(), empty)
    _time_advance("half healthy, 2,500 in flight", plan, moving.marks, half)
    _time_advance("all healthy, soaking", plan, soaking.marks, every)
    _time_windows()
    _time_caps()
    _time_propose()


def _time_windows() -> None:
    """Clusters of forty time zones, none of which may start."""
    zones = sorted(zone for zone in available_timezones() if zone.startswith("Europe/"))[:40]
    window = Window((OpenHours("0 12 31 12 *", 60.0),), zone_label="tz", min_remaining=30.0)
    plan = run(stage("all", *CLUSTERS, parallelism=2500, before=(window,)))
    known = {name: cluster(labels={"tz": zones[place % 40]}) for place, name in enumerate(CLUSTERS)}
    _time_advance("closed windows in 40 time zones", plan, Marks(), Evidence(known))


def _time_caps() -> None:
    """Every cap there is; one evidence leaves room, the other lets nobody start."""
    zones = [str(place % 40) for place in range(len(CLUSTERS))]
    spec = {
        "perCluster": {"maxConcurrentRuns": 1, "quietAfter": "1s"},
        "perDomain": [{"key": "zone", "maxInFlight": "25%", "maxUnavailable": "25%"}],
        "fleet": {"maxInFlight": 2500, "maxStartsPerMinute": 5000},
    }
    exposed = Invariant("unbaked", max_exposed=read_amount("25%"))
    plan = run(stage("all", *CLUSTERS, parallelism=2500), rules=Rules(invariants=(exposed,)))
    known = {name: cluster(labels={"zone": z}) for name, z in zip(CLUSTERS, zones, strict=True)}
    budgets = (BudgetSpec.model_validate(spec).value("fleet", ""),)
    nobody: frozenset[str] = frozenset()
    for what, bad in (("shared caps with room", nobody), ("shared caps, all full", CLUSTERS)):
        domains = [
            Domain("zone", str(z), 250, nobody, frozenset(f"x{n}" for n in range(63)))
            if bad
            else Domain("zone", str(z), 250, nobody, nobody)
            for z in range(40)
        ]
        rest = Rest((Domain("", "", 10_000, nobody, nobody), *domains))
        evidence = Evidence(known, budgets=budgets, rest=rest)
        _time_advance(what, plan, Marks(), evidence)


def _time_advance(what: str, plan: RunPlan, marks: Marks, evidence: Evidence) -> None:
    _best(f"advance: {what}", lambda: advance(plan, marks, Intent.RUN, evidence, after(7)))


def _time_propose() -> None:
    wanted = {f"bundle-{number}": "2" for number in range(BUNDLES)}
    granted = {name: dict(wanted) for name in CLUSTERS}
    quiet = Situation(
        commit="abcdef0",
        now=NOW,
        wanted=dict.fromkeys(CLUSTERS, wanted),
        assigned=granted,
        policies=read_policies([], ()),
        clusters=tuple(Cluster(name) for name in CLUSTERS),
        bundles={name: {} for name in wanted},
        online=frozenset(CLUSTERS),
    )
    _best("propose: nothing differs", lambda: propose(quiet))
    changed = {**wanted, "bundle-7": "3"}
    newer = replace(quiet, wanted={name: changed for name in CLUSTERS})  # noqa: C420  (shared)
    _best("propose: one bundle differs everywhere", lambda: propose(newer))


def _best(what: str, call: Callable[[], object]) -> None:
    times = []
    for _ in range(7):
        begin = process_time()
        call()
        times.append(process_time() - begin)
    click.echo(f"{what:45} {min(times) * 1000:7.1f} ms, best of 7")


if __name__ == "__main__":
    main()
