"""The promises under random histories: every step of the hub is judged by the oracle.

Rules are small (one agent fetches, another goes dark) and productive (a whole release, a late
waker in one rule), since uniformly random ones miss real defects. At the end faults end, gates
open and agents are online: every run must come to its end in bounded ticks (I10).
"""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from agents.protocol import ABSENT
from fleet import rollout
from fleet.rollout.decisions import Verb
from fleet.rollout.states import Intent, RunState, StageState
from fleet.rollout.tables import ENDED
from tests.fleet.rollout.fleet_values import Stored
from tests.fleet.rollout.histories import HISTORIES
from tests.fleet.rollout.pull_fleet import PullFleet

AMOUNTS = st.sampled_from([1, 2, 10, "25%", "100%"])
STEPS = st.one_of(AMOUNTS, st.just({"ramp": [1, "50%"]}), st.just({"ramp": [1, 2, 3]}))
BUDGETS = st.sampled_from([0, 1, 10, "25%", "50%"])
STAGE = st.fixed_dictionaries(
    {
        "parallelism": STEPS,
        "failureBudget": BUDGETS,
        "clusterDeadline": st.sampled_from(["4m", "20m"]),
        "gates": st.fixed_dictionaries(
            {
                "before": st.sampled_from([[], [], [{"approval": True}]]),
                "after": st.sampled_from([[], [{"soak": "5m"}]]),
            }
        ),
    }
)
NAMES = [f"{group}-{i}" for group in ("one", "two", "three") for i in range(3)]
CLUSTERS = st.sampled_from(NAMES)
BUNDLES = st.sampled_from(["app", "web", "lib"])
SECONDS = st.sampled_from([0, 1, 30, 61, 130, 301, 1300])
FATES = st.sampled_from(["healthy", "healthy", "healthy", "failed", "degraded"])


class Fleet(RuleBasedStateMachine):
    """Three groups of three clusters, three bundles of which two are joined."""

    fleet: PullFleet
    serial = 0

    @initialize(stages=st.lists(STAGE, min_size=3, max_size=3), dag=st.booleans())
    def begin(self, stages: list[dict[str, Any]], dag: bool) -> None:
        names = ("one", "two", "three")
        said = [{"name": n, "group": n, **s} for n, s in zip(names, stages, strict=True)]
        if dag:
            said[2]["dependsOn"] = ["one"]
        spec = {"stages": said, "connectivity": {"lease": "2m"}}
        bundles = {"app": ("lib",), "lib": (), "web": ()}
        self.fleet = PullFleet(spec, dict.fromkeys(names, 3), bundles)
        for bundle in bundles:
            self.fleet.want(bundle, f"{bundle}-0")
        self.fleet.tick()

    @rule(bundle=BUNDLES, fate=FATES, where=st.sampled_from([None, NAMES[:4], NAMES[5:]]))
    def commit(self, bundle: str, fate: str, where: list[str] | None) -> None:
        self.serial += 1
        digest = f"{bundle}-{self.serial}"
        if fate != "healthy":
            self.fleet.bad[digest] = fate
        self.fleet.want(bundle, digest, where)
        self.fleet.tick()

    @rule(bundle=BUNDLES, back=st.integers(0, 2))
    def revert(self, bundle: str, back: int) -> None:
        self.fleet.want(bundle, f"{bundle}-{max(0, self.serial - back)}")
        self.fleet.tick(1)

    @rule(bundle=st.sampled_from(["web"]))
    def remove(self, bundle: str) -> None:
        self.fleet.want(bundle, ABSENT)
        self.fleet.tick(1)

    @rule(bundle=BUNDLES, rounds=st.integers(1, 8))
    def release(self, bundle: str, rounds: int) -> None:
        self.commit(bundle, "healthy", None)
        self._approve_all()
        self.fleet.serve_all(rounds, seconds=61)

    @rule(rounds=st.integers(1, 6), seconds=SECONDS)
    def work(self, rounds: int, seconds: int) -> None:
        self.fleet.serve_all(rounds, seconds)

    @rule(cluster=CLUSTERS, seconds=SECONDS)
    def serve(self, cluster: str, seconds: int) -> None:
        self.fleet.serve(cluster)
        self.fleet.tick(seconds)

    @rule(cluster=CLUSTERS)
    def fetch_only(self, cluster: str) -> None:
        self.fleet.fetch(cluster)

    @rule(cluster=CLUSTERS)
    def start_and_say_nothing(self, cluster: str) -> None:
        self.fleet.fetch(cluster)
        self.fleet.start(cluster)
        self.fleet.tick(1)

    @rule(cluster=CLUSTERS, seconds=SECONDS)
    def go_dark(self, cluster: str, seconds: int) -> None:
        self.fleet.agents[cluster].online = False
        self.fleet.tick(seconds)

    @rule(seconds=SECONDS)
    def all_online(self, seconds: int) -> None:
        for agent in self.fleet.agents.values():
            agent.online = True
        self.fleet.tick(seconds)

    @rule(cluster=CLUSTERS)
    def late_waker(self, cluster: str) -> None:
        """Fetches, sleeps past its lease while others move, and wakes to start."""
        self.fleet.fetch(cluster)
        self.fleet.agents[cluster].online = False
        self.fleet.tick(130)
        for name in NAMES:
            self.fleet.fetch(name)
        self.fleet.agents[cluster].online = True
        self.fleet.start(cluster)
        self.fleet.tick(1)

    @rule(cluster=CLUSTERS, phase=st.sampled_from(["progressing", "degraded", "healthy"]))
    def regress_or_recover(self, cluster: str, phase: str) -> None:
        for one in self.fleet.agents[cluster].current.values():
            if one.was_healthy:
                one.phase = phase
        self.fleet.report(cluster)
        self.fleet.tick(1)

    @rule(cluster=CLUSTERS, seconds=SECONDS)
    def fail_here(self, cluster: str, seconds: int) -> None:
        for digest in self.fleet.wanted[cluster].values():
            self.fleet.bad[f"{cluster}:{digest}"] = "failed"
        self.fleet.serve(cluster)
        self.fleet.tick(seconds)

    @rule(seconds=SECONDS)
    def wait(self, seconds: int) -> None:
        self.fleet.tick(seconds)

    @rule()
    def approve(self) -> None:
        self._approve_all()
        self.fleet.tick(1)

    @rule(stage=st.sampled_from(["one", "two", "three", ""]), what=st.sampled_from(["run", "plan"]))
    def approve_wrongly(self, stage: str, what: str) -> None:
        """An answer that names another run or another plan."""
        for run in self.fleet.live():
            other = next(iter(self.fleet.runs.values())).plan
            if other.uid == run.plan.uid or other.plan_hash == run.plan.plan_hash:
                continue
            said = {"run": other.uid, "plan_hash": run.plan.plan_hash}
            if what == "plan":
                said = {"plan_hash": other.plan_hash}
            self.fleet.decide(run, Verb.APPROVE, stage=stage, **said)
        self.fleet.tick(1)

    @rule()
    def reject(self) -> None:
        for run in self.fleet.live():
            for stage in self._gated(run):
                self.fleet.decide(run, Verb.REJECT, stage=stage, plan_hash=run.plan.plan_hash)
        self.fleet.tick(1)

    @rule(seconds=SECONDS)
    def pause(self, seconds: int) -> None:
        for run in self.fleet.live():
            run.intent = Intent.PAUSE
        self.fleet.tick(seconds)

    @rule()
    def resume(self) -> None:
        for run in self.fleet.live():
            if not rollout.refusal(Verb.RESUME, run.plan, run.state, run.marks):
                run.intent = Intent.RUN
        self.fleet.tick(1)

    @precondition(lambda self: self.fleet.live())
    @rule(pick=st.integers(0, 5))
    def abort(self, pick: int) -> None:
        runs = self.fleet.live()
        runs[pick % len(runs)].intent = Intent.ABORT
        self.fleet.tick(1)

    @rule(cluster=st.one_of(st.none(), CLUSTERS), cure=st.booleans())
    def retry(self, cluster: str | None, cure: bool) -> None:
        if cure:
            self.fleet.bad.clear()
        for run in self.fleet.live():
            self.fleet.retry(run, *((cluster,) if cluster else ()))
        self.fleet.tick(1)

    @rule(bundle=BUNDLES, fate=st.sampled_from(["failed", "degraded"]), rounds=st.integers(1, 6))
    def bad_release(self, bundle: str, fate: str, rounds: int) -> None:
        self.commit(bundle, fate, None)
        self._approve_all()
        self.fleet.serve_all(rounds, seconds=61)

    @rule(rounds=st.integers(1, 3), seconds=SECONDS)
    def pause_for_a_while(self, rounds: int, seconds: int) -> None:
        self.pause(seconds)
        self.fleet.serve_all(rounds, seconds=1)
        self.resume()

    @rule()
    def everybody_starts_and_says_nothing(self) -> None:
        for name in NAMES:
            self.fleet.fetch(name)
            self.fleet.start(name)
        self.fleet.tick(1)

    @rule()
    def retry_in_silence(self) -> None:
        """What failed is started again, and the hub has only the old reports."""
        self.retry(None, True)
        self.everybody_starts_and_says_nothing()

    @rule(bundle=BUNDLES, fate=st.sampled_from(["failed", "degraded"]), rounds=st.integers(1, 5))
    def bad_release_and_revert(self, bundle: str, fate: str, rounds: int) -> None:
        """I23: nobody decides anything after the revert, and every cluster is back."""
        if not self._settle():
            return
        before = dict(self.fleet.running(bundle))
        wanted = {name: some.get(bundle, ABSENT) for name, some in self.fleet.wanted.items()}
        if any((before[name] or ABSENT) != digest for name, digest in wanted.items()):
            return
        self.bad_release(bundle, fate, rounds)
        if not any(bundle in run.plan.bundles for run in self.fleet.live()):
            return
        for name, digest in wanted.items():
            self.fleet.want(bundle, digest, [name])
        self.fleet.tick(1)
        self.fleet.serve_all(30, seconds=61)
        assert not any(bundle in run.plan.bundles for run in self.fleet.live()), "I23: still open"
        for name, digest in self.fleet.running(bundle).items():
            assert (digest or ABSENT) == wanted[name], f"I23: {name} still runs {digest}"

    def teardown(self) -> None:
        """I10: faults end and gates open: all ends, though one cluster is dark; then it is back."""
        if not hasattr(self, "fleet"):
            return
        dark = NAMES[self.serial % len(NAMES)]
        settled = self._settle(dark) or all(_needs_a_dark_one(r) for r in self.fleet.live())
        assert settled, [(r.plan.uid, r.state, r.step) for r in self.fleet.live()]
        assert self._settle(), [(r.plan.uid, r.state, r.step) for r in self.fleet.live()]
        self._converged()

    def _settle(self, dark: str = "") -> bool:
        """Faults end, gates open, agents are online but `dark`: does everything end?"""
        fleet = self.fleet
        fleet.bad.clear()
        for agent in fleet.agents.values():
            agent.online = agent.name != dark
        for _ in range(80):
            self._cure()
            fleet.serve_all(seconds=310)
            if not fleet.live() and not fleet.live("CatchUp"):
                return True
        return False

    def _cure(self) -> None:
        """Phases recover; people resume, retry, approve and `unveto` what a replaced run vetoed."""
        self.fleet.vetoed.clear()
        for agent in self.fleet.agents.values():
            for one in agent.current.values():
                one.phase = "healthy" if one.was_healthy else "applying"
        for run in self.fleet.live():
            if run.intent is Intent.PAUSE:
                run.intent = Intent.RUN
            if run.marks.breached:
                self.fleet.retry(run)
        self._approve_all()

    def _converged(self) -> None:
        """What was neither aborted nor rolled back runs everywhere as Git says."""
        aborted = {
            bundle
            for run in self.fleet.runs.values()
            if run.state in (RunState.ABORTED, RunState.ROLLED_BACK, RunState.ROLLBACK_FAILED)
            for bundle in run.plan.bundles
        }
        for bundle in ("app", "lib", "web"):
            if bundle in aborted:
                continue
            for name, digest in self.fleet.running(bundle).items():
                wanted = self.fleet.wanted[name].get(bundle, ABSENT)
                assert (digest or ABSENT) == wanted, (bundle, name, digest, wanted)

    def _gated(self, run: Stored) -> list[str]:
        found = run.step.stages if run.step and run.state not in ENDED else ()
        return [one.name for one in found if one.state is StageState.GATED_BEFORE]

    def _approve_all(self) -> None:
        for run in self.fleet.live():
            for stage in self._gated(run):
                self.fleet.approve(run, stage)


def _needs_a_dark_one(run: Stored) -> bool:
    """Does a later stage wait for the proof of one in which every changing cluster is dark?"""
    waiting = [one for one in run.step.stages if one.total] if run.step else []
    waiting = [one for one in waiting if one.state is not StageState.DONE]
    return len(waiting) > 1 and waiting[0].offline == waiting[0].total


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_every_promise_holds_in_every_history() -> None:
    run_state_machine_as_test(
        Fleet,
        settings=settings(HISTORIES, max_examples=60, stateful_step_count=30),
    )
