"""The defects seen in other systems, as changes to one function of the engine each.

`apply(name, monkeypatch)` puts one in. A defect that no story and no random run notices would
mean that a promise is missing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

import pytest

from fleet.rollout import budgets, numbers, progress, runs, standing, tables, vetoes
from fleet.rollout.decisions import Decision, Verb
from fleet.rollout.evidence import BundleEvidence
from fleet.rollout.gate_kinds import Soak
from fleet.rollout.gates import approval, scope, soak
from fleet.rollout.gates.judging import JUDGES
from fleet.rollout.gates.verdict import PASS, Judgement, Question
from fleet.rollout.marks import Marks
from fleet.rollout.memory import Memory
from fleet.rollout.numbers import Amount
from fleet.rollout.run_plan import Change, RunPlan, StagePlan
from fleet.rollout.situation import RunRecord
from fleet.rollout.states import ClusterState

Patch = pytest.MonkeyPatch
_advance = import_module("fleet.rollout.advance")


def evidence_not_tied_to_its_digest(patch: Patch) -> None:
    """Any report of the bundle counts: production rolls before staging on stale health."""
    patch.setattr(standing, "counts", lambda change, report, generation: report is not None)


def evidence_not_tied_to_its_generation(patch: Patch) -> None:
    """A report of the same digest counts, from whatever assignment it is."""

    def counts(change: Change, report: BundleEvidence | None, generation: int) -> bool:
        return report is not None and report.digest == change.wanted

    patch.setattr(standing, "counts", counts)


def budget_above_the_group_becomes_zero(patch: Patch) -> None:
    """A budget of 10 for a group of 3 is clamped to none."""

    def budget(amount: Amount, denominator: int) -> int:
        found = amount.down(10**9)
        return 0 if found > denominator else found

    patch.setattr(numbers, "failure_budget", budget)


def breach_judged_after_assigning(patch: Patch) -> None:
    """A failure is seen by the budget one tick late."""
    real = Memory.count_failed

    def known(self: Memory, stage: str) -> int:
        fresh = {c for c in self.failed if self.seen_clusters.get(c) not in tables.BAD_ENDS}
        return real(self, stage) - sum((stage, cluster) in self.ever_failed for cluster in fresh)

    patch.setattr(Memory, "count_failed", known)


def soak_cut_by_a_pause(patch: Patch) -> None:
    """After a pause the soak counts as over."""
    real = soak.judge

    def judge(asked: Question, gate: Soak) -> Judgement:
        return PASS if asked.memory.seen_run == "Paused" else real(asked, gate)

    patch.setitem(JUDGES, Soak, judge)


def soak_reset_by_a_pause(patch: Patch) -> None:
    """The clock of the soak starts anew when the run is resumed."""
    real = progress.walk

    def walk(*args: Any) -> None:
        memory, may_act, now = args[2], args[4], args[5]
        if memory.seen_run == "Paused" and may_act:
            memory.soak_anchor = dict.fromkeys(memory.soak_anchor, now)
        real(*args)

    patch.setattr(_advance, "walk", walk)


def approval_not_bound_to_the_plan(patch: Patch) -> None:
    """An approval of another plan of the stage opens it."""

    def answers(decision: Decision, run: RunPlan, stage: StagePlan) -> bool:
        return decision.verb is Verb.APPROVE and decision.stage == stage.name

    patch.setattr(approval, "answers_gate", answers)


def approval_not_bound_to_the_stage(patch: Patch) -> None:
    """An approval of another stage of the plan opens it."""

    def answers(decision: Decision, run: RunPlan, stage: StagePlan) -> bool:
        return decision.verb is Verb.APPROVE and decision.plan_hash == run.plan_hash

    patch.setattr(approval, "answers_gate", answers)


def zero_means_unlimited(patch: Patch) -> None:
    """A failure budget of 0 tolerates everything."""
    real = budgets.failure_budget

    def budget(stage: StagePlan, denominator: int) -> int:
        return real(stage, denominator) or len(stage.clusters)

    patch.setattr(budgets, "failure_budget", budget)


def no_lease_for_a_late_waker(patch: Patch) -> None:
    """An offer lies for ever, and so does its slot."""
    patch.setattr(standing, "lease_end", lambda run, offer: offer.offered_at.replace(year=2999))


def no_min_healthy(patch: Patch) -> None:
    """A stage in which nobody is Healthy is Done."""
    patch.setattr(budgets, "judge_settled", lambda *said: None)


def revert_waits_behind_its_own_failure(patch: Patch) -> None:
    """A failed run is treated like a healthy one: the newer waits."""
    patch.setattr(RunRecord, "breached", property(lambda self: False, lambda self, value: None))
    patch.setattr(runs._Desk, "_restores", lambda self, bundles, changes, rivals: False)


def revert_needs_an_approval(patch: Patch) -> None:
    """A run that only restores passes gates and soaks like any other."""
    patch.setattr(scope, "is_gated", lambda run: True)


def dark_cluster_keeps_the_run_open(patch: Patch) -> None:
    """A stage waits for clusters that are Offline."""
    patch.setattr(progress, "UNSETTLED", (*progress.UNSETTLED, ClusterState.OFFLINE))


def parallelism_counts_only_offers(patch: Patch) -> None:
    """What was started takes no slot."""
    patch.setattr(tables, "IN_FLIGHT", frozenset({ClusterState.ASSIGNED}))


def a_veto_that_the_next_commit_forgets(patch: Patch) -> None:
    """A veto holds as long as nothing else changes."""
    real = vetoes.held_bundles
    first: list[str] = []

    def held(wanted: Any, vetoed: Any) -> dict[str, str]:
        every = [dict(one) for one in wanted]
        if any(vetoed.values()):
            first.append(str(every))
        return real(every, vetoed) if str(every) in first[:1] else {}

    for module in (vetoes, runs):
        patch.setattr(module, "held_bundles", held)


def failures_kept_in_the_process_only(patch: Patch) -> None:
    """Who ever failed is remembered beside the marks, and not stored with them."""
    close, of = Memory.close, Memory.of
    kept: dict[int, tuple[Marks, Marks]] = {}

    def forgetful(self: Memory) -> Marks:
        whole = close(self)
        stored = replace(whole, ever_failed=frozenset())
        kept[id(stored)] = (stored, whole)
        return stored

    def known(marks: Marks) -> Memory:
        return of(kept[id(marks)][1] if id(marks) in kept else marks)

    patch.setattr(Memory, "close", forgetful)
    patch.setattr(Memory, "of", known)


DEFECTS: tuple[Callable[[Patch], None], ...] = (
    evidence_not_tied_to_its_digest,
    evidence_not_tied_to_its_generation,
    budget_above_the_group_becomes_zero,
    breach_judged_after_assigning,
    soak_cut_by_a_pause,
    soak_reset_by_a_pause,
    approval_not_bound_to_the_plan,
    approval_not_bound_to_the_stage,
    zero_means_unlimited,
    no_lease_for_a_late_waker,
    no_min_healthy,
    revert_waits_behind_its_own_failure,
    revert_needs_an_approval,
    dark_cluster_keeps_the_run_open,
    parallelism_counts_only_offers,
    a_veto_that_the_next_commit_forgets,
    failures_kept_in_the_process_only,
)
