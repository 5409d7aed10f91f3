"""I17, I19 and the hotfix lane under random histories, with every supersede policy.

Commits come while runs are on their way; some ask for the lane, and a person opens it for some. On
the true fleet: never more un-baked revisions than the policy says, and one more only with a hotfix;
no more runs that had started are superseded in a row than it says, but by hotfixes; and the lane
brings nothing but what it was opened for. At the end everything runs what was committed last.

Mutations that must fail here: `superseding.deferrals` or `live_unbaked` answers 0; every run may
exceed `maxLiveUnbaked` by one, as a hotfix may.
"""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from fleet.rollout import hotfix
from fleet.rollout.decisions import Verb
from fleet.rollout.states import RunState
from tests.fleet.rollout.fleet_values import Stored
from tests.fleet.rollout.histories import HISTORIES
from tests.fleet.rollout.pull_fleet import PullFleet
from tests.fleet.rollout.stories import fleet, released

POLICIES = st.sampled_from(["Queue", "CoalesceLatest", "FinishStage", "Immediate"])
DEEDS = st.one_of(
    st.just(("commit", 0)),
    st.just(("commit", 1)),
    st.just(("hotfix", 0)),
    st.tuples(st.just("open"), st.integers(0, 3)),
    st.tuples(st.just("work"), st.integers(1, 3)),
    st.tuples(st.just("serve"), st.integers(0, 6)),
)
IN_A_ROW = [("commit", 1)] * 6
ONE_BY_ONE = [deed for _ in range(4) for deed in (("commit", 0), ("serve", 0), ("serve", 1))]


def opened(found: PullFleet, which: int, lane: dict[str, set[str]]) -> None:
    """A person opens the lane for one of the live runs that ask for it."""
    asking = [run for run in found.live() if hotfix.asks(run.plan) and not run.record().is_hotfix]
    if asking:
        run = asking[which % len(asking)]
        found.decide(run, Verb.HOTFIX, reason="CVE")
        lane[run.plan.uid] = contents(run)


def contents(run: Stored) -> set[str]:
    return {change.wanted for some in run.plan.changes.values() for change in some}


def judge(found: PullFleet, most: int, lane: dict[str, set[str]]) -> None:
    for bundle, runs in found.unbaked().items():
        urgent = any(found.runs[uid].record().is_hotfix for uid in runs)
        assert len(runs) <= most + urgent, f"I17: {bundle} lives un-baked by {sorted(runs)}"
    for run in found.runs.values():
        if run.plan.hotfix_of:
            lane.setdefault(run.plan.uid, lane[run.plan.hotfix_of])
        if run.record().is_hotfix:
            assert contents(run) <= lane[run.plan.uid], f"{run.plan.uid} brings what nobody saw"


def judge_rows(found: PullFleet, deferrals: int) -> None:
    row = 0
    for run in list(found.runs.values())[1:]:
        by = found.runs.get(run.superseded_by)
        if run.state is RunState.SUCCEEDED:
            row = 0
        elif run.marks.started and not (by and by.record().is_hotfix):
            row += 1
        assert row <= deferrals, f"I19: {row} were superseded in a row, {deferrals} may be"


@settings(HISTORIES, max_examples=40)
@given(
    policy=POLICIES,
    most=st.integers(1, 3),
    deferrals=st.integers(1, 3),
    deeds=st.lists(DEEDS, min_size=4, max_size=16),
)
@example("Immediate", 3, 1, IN_A_ROW)
@example("Immediate", 1, 3, ONE_BY_ONE)
def test_newer_runs_keep_their_bounds_in_every_history(
    policy: str, most: int, deferrals: int, deeds: list[tuple[str, int]]
) -> None:
    said: dict[str, Any] = {"policy": policy, "maxLiveUnbaked": most, "maxDeferrals": deferrals}
    found = released(fleet(staging=5, supersede={**said, "hotfix": {}}))
    lane: dict[str, set[str]] = {}
    names = sorted(found.agents, key=lambda name: (name.startswith("production"), name))
    for serial, (deed, how) in enumerate(deeds):
        found.trailers = {"Rollout-Class": "hotfix"} if deed == "hotfix" else {}
        match deed:
            case "commit" | "hotfix":
                found.want("app", f"n{serial}")
                found.tick(1)
                found.serve_all(how, seconds=5)
            case "open":
                opened(found, how, lane)
            case "work":
                found.serve_all(how, seconds=5)
            case "serve":
                found.serve(names[how])
        found.tick(1)
        judge(found, most, lane)
    for _ in range(60):
        found.serve_all(1)
        judge(found, most, lane)
    judge_rows(found, deferrals)
    assert not found.live()
    assert set(found.running("app").values()) == set(found.wanted["staging-0"].values())
