"""I6, I9, I10, I21 and I26 for shared caps, on the true fleet, under random histories.

Mutations that make the first test fail: `Room.take` counts nothing, `Room.refusal` leaves out
`_full`, `_full` lets `most + 1` be, `frozen` is always `None`, `moving` is not emptied by a freeze,
`_too_fast` compares with `<=`, `_in_cluster` ignores other runs. The second: only the first budget
is looked at.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet import rollout
from fleet.rollout.tables import ENDED
from tests.fleet.rollout.capped_fleet import CappedFleet
from tests.fleet.rollout.histories import HISTORIES

SPEC = {
    "stages": [
        {"name": "one", "group": "one", "parallelism": "100%", "failureBudget": "100%"},
        {"name": "two", "group": "two", "parallelism": {"ramp": [1, "50%"]}, "failureBudget": 9},
    ],
    "connectivity": {"lease": "2m"},
}
CAPS = st.fixed_dictionaries(
    {
        "perDomain": st.sampled_from(
            [
                [],
                [{"key": "zone", "maxInFlight": 1}],
                [{"key": "zone", "maxUnavailable": 1}],
                [{"key": "zone", "maxInFlight": "50%", "maxUnavailable": "50%"}],
            ]
        ),
        "fleet": st.sampled_from([{}, {"maxInFlight": 2}, {"maxStartsPerMinute": 2}]),
        "perCluster": st.sampled_from([{}, {"maxConcurrentRuns": 1}, {"quietAfter": "2m"}]),
        "freeze": st.sampled_from([{}, {}, {"active": True, "reason": "year end"}]),
    }
)
NAMES = [f"{group}-{i}" for group in ("one", "two") for i in range(4)]
DEEDS = st.one_of(
    st.tuples(st.just("want"), st.sampled_from(["app", "web"]), st.sampled_from(["", "failed"])),
    st.tuples(st.just("caps"), CAPS),
    st.tuples(st.just("serve"), st.sampled_from(NAMES)),
    st.tuples(st.just("fetch"), st.sampled_from(NAMES)),
    st.tuples(st.just("dark"), st.sampled_from(NAMES)),
    st.tuples(st.just("wait"), st.sampled_from([1, 30, 61, 130, 1300])),
    st.tuples(st.just("work"), st.integers(1, 3)),
)


def begin(
    caps: dict[str, Any], kind: type[CappedFleet] = CappedFleet, spec: dict[str, Any] | None = None
) -> CappedFleet:
    fleet = kind(spec or SPEC, {"one": 4, "two": 4}, {"app": (), "web": ()})
    fleet.use(caps)
    for bundle in fleet.bundles:
        fleet.want(bundle, f"{bundle}-0")
    fleet.tick()
    return fleet


def do(fleet: CappedFleet, deed: tuple[Any, ...], serial: int) -> None:
    match deed:
        case "want", bundle, fate:
            digest = f"{bundle}-{serial}"
            fleet.bad |= {digest: fate} if fate else {}
            fleet.want(bundle, digest)
        case "caps", spec:
            fleet.use(spec)
        case "serve", name:
            fleet.serve(name)
        case "fetch", name:
            fleet.fetch(name)
        case "dark", name:
            fleet.agents[name].online = not fleet.agents[name].online
        case "wait", seconds:
            fleet.tick(seconds)
        case "work", rounds:
            fleet.serve_all(rounds, 31)
    fleet.tick(1)


def settle(fleet: CappedFleet) -> bool:
    """Faults end, nothing is frozen: does everything end (I10), under the caps as they are?"""
    fleet.bad.clear()
    fleet.budgets = tuple(replace(b, freeze=replace(b.freeze, active=False)) for b in fleet.budgets)
    for _ in range(120):
        for agent in fleet.agents.values():
            agent.online = True
            for one in agent.current.values():
                one.phase = "healthy" if one.was_healthy else "applying"
        for run in fleet.live():
            if run.marks.breached or run.marks.failed:  # What failed counts as unavailable.
                fleet.retry(run)
        fleet.serve_all(seconds=61)
        if not fleet.live() and not fleet.live("CatchUp"):
            return True
    return False


@settings(HISTORIES, max_examples=60)
@given(caps=CAPS, deeds=st.lists(DEEDS, min_size=3, max_size=14))
def test_no_history_lifts_a_domain_above_its_cap(
    caps: dict[str, Any], deeds: list[tuple[Any, ...]]
) -> None:
    """I6, I9, I10, I26."""
    fleet = begin(caps)
    for serial, deed in enumerate(deeds, 1):
        do(fleet, deed, serial)
    assert settle(fleet), [(r.plan.uid, r.step) for r in fleet.live()]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(caps=CAPS, deeds=st.lists(DEEDS, max_size=10), tighter=CAPS)
def test_a_tighter_budget_never_lets_more_start(
    caps: dict[str, Any], deeds: list[tuple[Any, ...]], tighter: dict[str, Any]
) -> None:
    """I21: one more budget beside those that hold, at the same state."""
    fleet = begin(caps)
    for serial, deed in enumerate(deeds, 1):
        do(fleet, deed, serial)
    loose = fleet.budgets
    fleet.use(tighter)
    both = (*loose, *fleet.budgets)
    for run in fleet.runs.values():
        if run.state in ENDED:
            continue
        fleet.budgets = loose
        was = rollout.advance(run.plan, run.marks, run.intent, fleet.evidence(run), fleet.now)
        fleet.budgets = both
        now = rollout.advance(run.plan, run.marks, run.intent, fleet.evidence(run), fleet.now)
        assert len(now.offer) <= len(was.offer), "I21"


def test_one_more_budget_takes_no_other_away() -> None:
    """I21 in its plainest form."""
    fleet = begin({"fleet": {"maxInFlight": 2}, "freeze": {"active": True, "reason": "not yet"}})
    held = replace(fleet.budgets[0], freeze=replace(fleet.budgets[0].freeze, active=False))
    fleet.use({})
    fleet.budgets = (held, *fleet.budgets)
    fleet.tick(1)
    assert len(fleet.in_flight()) == 2
