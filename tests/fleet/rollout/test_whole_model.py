"""Every promise under random histories of random *whole* policies, judged on the true fleet.

As `test_promises`, with a DAG, spreads, ramps, every gate, offline rules, failure actions and
scopes, invariants, shared caps, freezes, supersede policies, removals and every decision. Besides,
after each event the moment is asked what would be if: with less parallelism, a smaller budget or
a closed day nothing more is offered (I21); without all the reasons that a waiting cluster is told
it is offered its change (I22).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule, run_state_machine_as_test

from agents.protocol import ABSENT
from fleet import rollout
from fleet.rollout import advance
from fleet.rollout.decisions import Verb
from fleet.rollout.evidence import Answer
from fleet.rollout.gate_kinds import ClosedDays, Window
from fleet.rollout.obstacles import obstacles
from fleet.rollout.rules import OfflineRule
from fleet.rollout.run_plan import Ramp
from fleet.rollout.states import ClusterState, Intent, Lane, RunState
from fleet.rollout.tables import ENDED, IN_FLIGHT
from tests.fleet.rollout.fleet_values import START, Stored
from tests.fleet.rollout.histories import HISTORIES
from tests.fleet.rollout.taken_away import Moment, freed
from tests.fleet.rollout.test_cap_promises import CAPS
from tests.fleet.rollout.test_promises import (
    BUNDLES,
    CLUSTERS,
    NAMES,
    SECONDS,
    STEPS,
    Fleet,
    _needs_a_dark_one,
)
from tests.fleet.rollout.whole_fleet import WholeFleet

NOT_ASSIGNED = (
    *(ClusterState.QUEUED, ClusterState.HELD),
    *(ClusterState.OFFLINE, ClusterState.PENDING),
)
HALF_HOURS = {"allow": [{"cron": "0 * * * *", "duration": "40m"}]}
NIGHTS = {"allow": [{"cron": "30 1,2,3,4 * * *", "duration": "50m"}]}
LOCAL = {"timezone": {"fromLabel": "tz", "default": "UTC"}}
ASKED: list[dict[str, Any]] = [
    {"approval": True},
    {"approval": {"minApprovers": 2, "expires": "10m"}},
    {"window": HALF_HOURS},
    {"window": {**HALF_HOURS, **LOCAL}},
    {"window": {**NIGHTS, **LOCAL}},
    {"webhook": {"url": "https://change.example/ok", "timeout": "40m"}},
    {"dependency": "crds"},
    {"proven": {"in": "one", "min": "2m"}},
]
BEFORE = st.lists(st.sampled_from(ASKED), max_size=2, unique_by=lambda gate: next(iter(gate)))
STAGE = st.fixed_dictionaries(
    {
        "parallelism": STEPS,
        "failureBudget": st.sampled_from([0, 1, "50%", {"count": "100%", "consecutive": 2}]),
        "minHealthy": st.sampled_from([1, "50%"]),
        "clusterDeadline": st.sampled_from(["4m", "20m"]),
        "gates": st.fixed_dictionaries(
            {
                "before": BEFORE,
                "after": st.sampled_from([[], [{"soak": "5m"}]]),
            }
        ),
    },
    optional={"spread": st.just({"key": "zone"}), "stageDeadline": st.just("30h")},
)
FAILURE = st.sampled_from(
    [
        {},
        {"action": "Pause", "scope": "Stage", "veto": False},
        {"action": "Pause", "scope": "Stage"},
        {"action": "Abort"},
        {"action": "Continue", "scope": "Cluster"},
        {"action": "Rollback"},
        {"action": "Rollback", "scope": "Stage", "rollback": {"parallelism": 1}},
    ]
)
INVARIANTS = st.sampled_from(
    [
        [],
        [],
        [{"name": "zone-cap", "key": "zone", "maxUnavailable": "50%"}],
        [{"name": "unbaked", "scope": "Fleet", "maxExposed": "60%", "until": "Baked"}],
    ]
)
POLICIES = st.sampled_from(["CoalesceLatest", "Queue", "FinishStage", "Immediate"])
STARTS = st.sampled_from(
    [START, datetime(2026, 3, 29, 0, 10, tzinfo=UTC), datetime(2026, 10, 25, 0, 10, tzinfo=UTC)]
)
"""An ordinary night, and two in which clocks change in one of the zones."""


class Whole(Fleet):
    """Three groups of three clusters under a policy of everything."""

    fleet: WholeFleet

    @initialize(
        stages=st.lists(STAGE, min_size=3, max_size=3),
        dag=st.booleans(),
        failure=FAILURE,
        offline=st.sampled_from(["Skip", "Skip", "Wait", "Fail"]),
        invariants=INVARIANTS,
        supersede=POLICIES,
        caps=CAPS,
        at=STARTS,
    )
    def begin(
        self,
        stages: list[dict[str, Any]],
        dag: bool,
        failure: dict[str, Any],
        offline: str,
        invariants: list[dict[str, Any]],
        supersede: str,
        caps: dict[str, Any],
        at: datetime,
    ) -> None:
        names = ("one", "two", "three")
        said = [{"name": n, "group": n, **s} for n, s in zip(names, stages, strict=True)]
        said[0]["gates"] = {**said[0]["gates"], "before": _not_proven(said[0])}
        if dag:
            said[2]["dependsOn"] = ["one"]
        if any("maxExposed" in one for one in invariants):
            said[0]["gates"]["after"] = [{"soak": "5m"}]
        spec = {
            "stages": said,
            "connectivity": {"lease": "2m", "offline": offline},
            "onFailure": failure,
            "invariants": invariants,
            "supersede": {"policy": supersede},
        }
        bundles = {"app": ("lib",), "lib": (), "web": ()}
        self.fleet = WholeFleet(spec, dict.fromkeys(names, 3), bundles)
        self.fleet.now = at
        self.fleet.use(caps)
        for bundle in bundles:
            self.fleet.want(bundle, f"{bundle}-0")
        self.fleet.tick()

    @rule(caps=CAPS)
    def edit_caps(self, caps: dict[str, Any]) -> None:
        self.fleet.use(caps)
        self.fleet.tick(1)

    @rule(answer=st.sampled_from([Answer.PASS, Answer.NONE]), seconds=SECONDS)
    def webhook_says(self, answer: Answer, seconds: int) -> None:
        self.fleet.webhook = answer
        self.fleet.tick(seconds)

    @rule(cluster=CLUSTERS)
    def dependency_is_baked(self, cluster: str) -> None:
        self.fleet.ready.add(cluster)
        self.fleet.tick(1)

    @rule(bundle=BUNDLES, where=st.sampled_from([NAMES[:1], NAMES[4:6]]))
    def remove_some(self, bundle: str, where: list[str]) -> None:
        self.fleet.want(bundle, ABSENT, where)
        self.fleet.tick(1)

    @rule(cluster=CLUSTERS)
    def skip(self, cluster: str) -> None:
        for run in self.fleet.live():
            self.fleet.lift(run)
            self.fleet.decide(run, Verb.SKIP, clusters=(cluster,), reason="away")
        self.fleet.tick(1)

    @rule()
    def forgive(self) -> None:
        for run in self.fleet.live():
            if run.marks.failed or run.marks.breached:
                self.fleet.lift(run)
                self.fleet.decide(run, Verb.FORGIVE, reason="known")
        self.fleet.tick(1)

    @rule(pick=st.integers(0, 5), place=st.integers(0, 1))
    def force_a_gate(self, pick: int, place: int) -> None:
        for run in self.fleet.live():
            stage = run.plan.stages[pick % len(run.plan.stages)]
            self.fleet.decide(
                run, Verb.OVERRIDE, gate=f"{stage.name}/before/{place}", reason="urgent"
            )
        self.fleet.tick(1)

    @rule()
    def roll_back(self) -> None:
        for run in self.fleet.live():
            if not rollout.refusal(Verb.ROLLBACK, run.plan, run.state, run.marks):
                self.fleet.decide(run, Verb.ROLLBACK, reason="bad")
        self.fleet.tick(1)

    @rule(rounds=st.integers(2, 6))
    def release_with_everything_open(self, rounds: int) -> None:
        """Composite: all gates that people and machines open are open, and hours pass."""
        self.commit("app", "healthy", None)
        for _ in range(rounds):
            self._open_gates()
            self.fleet.serve_all(seconds=1300)

    @invariant()
    def a_tighter_policy_offers_no_more(self) -> None:
        """I21."""
        for moment in self._moments():
            was = _ask(moment).offer
            for stage in moment.run.stages:
                for tight in _tighter(moment, stage.name):
                    now = _ask(tight).offer
                    assert len(now) <= len(was), f"I21: {now} instead of {was}"
                    here = set(now) & set(stage.clusters)
                    assert len(here) <= len(set(was) & set(stage.clusters)), f"I21: {stage.name}"

    @invariant()
    def who_has_no_reason_left_is_offered(self) -> None:
        """I22; another cluster of each run after every event."""
        for moment in self._moments():
            step = _ask(moment)
            after = replace(moment, marks=step.marks)
            told = obstacles(moment.run, step, moment.evidence, moment.now, moment.intent)
            waiting = sorted(c.cluster for c in step.clusters if c.state in NOT_ASSIGNED)
            if not waiting:
                continue
            cluster = waiting[self.serial % len(waiting)]
            found = _ask(freed(after, cluster, told[cluster]))
            assert cluster in found.offer, (
                f"I22: {cluster} was told {told[cluster]}, and then: "
                f"{[one for one in found.clusters if one.cluster == cluster]} {found.state}"
            )

    def _moments(self) -> Iterator[Moment]:
        """Every live staged run, as the engine would be asked of it now."""
        for run in self.fleet.live() if hasattr(self, "fleet") else ():
            goes_back = run.marks.failure.back_since is not None
            if run.state not in ENDED and not run.superseded_by and not goes_back:
                yield Moment(
                    run.plan, run.marks, run.intent, self.fleet.evidence(run), self.fleet.now
                )

    def _stuck(self) -> str:
        """What has not ended, and why."""
        return "I10:\n" + "\n".join(
            f"{run.plan.uid} {run.state}: {one.cluster} {one.state} {one.code}: {one.reason}"
            for lane in Lane
            for run in self.fleet.live(lane.value)
            for one in (run.step.clusters if run.step else ())
            if one.state is not ClusterState.HEALTHY
        )

    def _counts_dark(self) -> bool:
        """Is there a cap that the dark cluster takes up?"""
        kept = [one.max_unavailable for b in self.fleet.budgets for one in b.per_domain]
        rules = [one for run in self.fleet.live() for one in run.plan.rules.invariants]
        return any([*kept, *(one.max_unavailable for one in rules)])

    def _open_gates(self) -> None:
        self.fleet.webhook = Answer.PASS
        self.fleet.ready = set(NAMES)
        self.fleet.budgets = tuple(
            replace(b, freeze=replace(b.freeze, active=False)) for b in self.fleet.budgets
        )
        self._approve_all()

    def _settle(self, dark: str = "") -> bool:
        """Faults end, gates open, agents are online but `dark`: does everything end?"""
        fleet = self.fleet
        fleet.bad.clear()
        for agent in fleet.agents.values():
            agent.online = agent.name != dark
        for _ in range(120):
            self._cure()
            fleet.tick(1)
            fleet.serve_all(seconds=310)
            if not fleet.live() and not fleet.live("CatchUp"):
                return True
            fleet.tick(self._idle_seconds())
        return False

    def _idle_seconds(self) -> float:
        """How long nothing but time is waited for."""
        steps = [r.step for lane in Lane for r in self.fleet.live(lane.value) if r.step]
        if any(one.state in IN_FLIGHT for step in steps for one in step.clusters):
            return 0
        wakes = [step.wake_at for step in steps if step.wake_at is not None]
        return max(0.0, (min(wakes, default=self.fleet.now) - self.fleet.now).total_seconds())

    def _cure(self) -> None:
        """Phases recover; people resume, retry or forgive, approve, `unveto`, and open gates."""
        self._open_gates()
        self.fleet.vetoed.clear()
        for agent in self.fleet.agents.values():
            for one in agent.current.values():
                one.phase = "healthy" if one.was_healthy else "applying"
        for run in [*self.fleet.live(), *self.fleet.live(Lane.CATCH_UP.value)]:
            if run.intent is Intent.PAUSE:
                run.intent = Intent.RUN
            if run.state is RunState.PAUSED and run.marks.failure.back_since is not None:
                run.intent = Intent.ABORT  # Some had nothing to go back to: a person's to end.
            if run.marks.gates.paused:
                self.fleet.decide(run, Verb.RESUME)
            if run.marks.failed:  # What failed counts as unavailable.
                self.fleet.retry(run)
            elif run.marks.breached:
                self.fleet.decide(run, Verb.FORGIVE, reason="late")
            for gate in self._unprovable(run):
                self.fleet.decide(run, Verb.OVERRIDE, gate=gate, reason="it never runs there")

    def _unprovable(self, run: Stored) -> list[str]:
        """`proven` gates that time alone never opens: what is new does not come to that stage."""
        stages = run.step.stages if run.step else ()
        gates = [gate for stage in stages for gate in stage.gates if gate.kind == "proven"]
        return [gate.gate for gate in gates if gate.verdict == "none" and gate.until is None]

    def _approve_all(self) -> None:
        for run in self.fleet.live():
            for stage in self._gated(run):
                self.fleet.approve(run, stage)
                self.fleet.decide(
                    run, Verb.APPROVE, stage=stage, plan_hash=run.plan.plan_hash, actor="bob"
                )

    def teardown(self) -> None:
        """I10: faults end and gates open: all ends, though one cluster is dark; then it is back."""
        if not hasattr(self, "fleet"):
            return
        dark = NAMES[self.serial % len(NAMES)]
        settled = self._settle(dark) or all(_may_wait(run) for run in self.fleet.live())
        settled = settled or self._counts_dark()
        assert settled, self._stuck()
        assert self._settle(), self._stuck()
        self._converged()


def _not_proven(stage: dict[str, Any]) -> list[dict[str, Any]]:
    return [gate for gate in stage["gates"]["before"] if "proven" not in gate]


def _may_wait(run: Stored) -> bool:
    """With one cluster dark: is it waited for, does it fail, is it what a cap has room for?"""
    rule = run.plan.rules.connectivity.offline
    return rule is not OfflineRule.SKIP or _needs_a_dark_one(run)


def _ask(moment: Moment) -> Any:
    return advance(moment.run, moment.marks, moment.intent, moment.evidence, moment.now)


def _tighter(moment: Moment, name: str) -> Iterator[Moment]:
    """Less parallelism, no budget, a closed day, for one stage of the moment's run.

    The entries of a ramp are also how much is asked for before the next: to lower one is not
    tighter everywhere, so ramps keep theirs.
    """
    stage = next(one for one in moment.run.stages if one.name == name)
    if len(stage.parallelism.steps) == 1 and stage.parallelism.steps[0] > 1:
        yield moment.with_stage(replace(stage, parallelism=Ramp((stage.parallelism.steps[0] - 1,))))
    if stage.failure_budget:
        yield moment.with_stage(replace(stage, failure_budget=0))
    closed = Window(deny=(ClosedDays("all", date(2000, 1, 1), date(2100, 1, 1)),))
    yield moment.with_stage(replace(stage, before=(*stage.before, closed)))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_promise_holds_under_every_policy() -> None:
    run_state_machine_as_test(
        Whole,
        settings=settings(HISTORIES, max_examples=20, stateful_step_count=30),
    )
