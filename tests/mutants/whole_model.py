"""One-line defects that random histories of whole policies found, or would let through."""

from __future__ import annotations

from tests.mutants.mutation import in_engine

WHOLE_MODEL = (
    in_engine(
        "only_the_first_gate_that_refuses_is_named",
        "I22",
        "starts",
        "        yield from self.turnstile.refusals(one.cluster)",
        "        yield from filter(None, (self.turnstile.passage(one.cluster).refused,))",
        "obstacles:test_every_gate_that_keeps_a_cluster_out_is_named_not_only_the_first",
    ),
    in_engine(
        "a_queued_run_does_not_tell_what_its_stages_wait_for",
        "I22",
        "obstacles",
        '            *((Reason("StageWaiting", waits),) if missing else ()),',
        "            *(),",
        "obstacles:test_a_queued_run_tells_of_its_stages_and_of_a_pause_too",
    ),
    in_engine(
        "a_pause_of_a_queued_run_is_not_told",
        "I22",
        "obstacles",
        "told = (*told, PAUSED) if paused else told",
        "pass",
        "obstacles:test_a_queued_run_tells_of_its_stages_and_of_a_pause_too",
    ),
    in_engine(
        "what_is_shut_behind_a_failure_is_not_told",
        "I22",
        "obstacles",
        "one.state is StageState.FAILED and one.name not in memory.started",
        "False",
        "obstacles:test_what_failed_at_its_gate_tells_what_the_gate_says",
    ),
    in_engine(
        "a_queued_run_leaves_what_failed_before_it_to_one_more_run",
        "I8",
        "runs",
        "is_lost = (cluster, want) in lost",
        "is_lost = False",
        "runs:test_a_queued_run_takes_on_what_the_failed_ones_before_it_would_have_brought",
    ),
    in_engine(
        "a_failure_that_was_answered_takes_its_place_under_a_cap",
        "I10",
        "advance",
        "if state in tables.BAD_ENDS and cluster not in memory.failed:",
        "if False:",
        "advance:test_a_failure_of_a_stage_that_is_done_is_none_any_more_once_people_answered_it",
    ),
    in_engine(
        "a_finishing_run_sleeps_on_its_last_withdrawal",
        "I10",
        "advance",
        "    if tick.withdraw:",
        "    if tick.withdraw and moving:",
        "advance:test_a_run_that_only_finishes_looks_again_when_its_last_offer_is_withdrawn",
    ),
    in_engine(
        "a_cap_on_exposure_that_nobody_gets_past_is_accepted",
        "I10",
        "plan_rules",
        "        if all(full):",
        "        if False:",
        "plan_rules:test_a_cap_on_what_is_exposed_has_room_for_the_stages_up_to_the_first_proof",
    ),
    in_engine(
        "a_withdrawn_offer_counts_as_moving_through_a_rollback",
        "I6",
        "rollback",
        "        one.state = ClusterState.QUEUED",
        "        pass",
        "rollback:test_an_offer_that_the_rollback_takes_back_is_queued_again",
    ),
    in_engine(
        "an_agent_applies_what_is_only_offered",
        "I13",
        "agents.holdings",
        "        return next((item for item in self._current() if item.bundle == bundle), None)",
        "        many = self.target.offers if self.target else ()\n"
        "        every = [*(d for o in many for d in o.deployments), *self._current()]\n"
        "        return next((item for item in every if item.bundle == bundle), None)",
        "granted:test_i13_an_agent_applies_only_what_was_granted",
    ),
    in_engine(
        "runs_are_numbered_by_the_order_of_the_input",
        "I7",
        "plans",
        "return self.situation.next_number + len(self.made)",
        "return list(self.situation.bundles).index(min(self.situation.bundles))",
        "runs:test_the_order_of_the_input_changes_nothing",
    ),
    in_engine(
        "one_more_budget_takes_the_place_of_the_others",
        "I21",
        "caps",
        "caps = [cap for budget in evidence.budgets for cap in _of_budget(budget)]",
        "caps = [cap for budget in evidence.budgets[-1:] for cap in _of_budget(budget)]",
        "cap_promises:test_one_more_budget_takes_no_other_away",
    ),
    in_engine(
        "the_forecast_forgets_the_spread",
        "I22",
        "forecast",
        "max(batches(stage.parallelism.steps, ramp_step, left), spread_rounds(stage, left))",
        "batches(stage.parallelism.steps, ramp_step, left)",
        "forecast:test_a_spread_makes_batches_smaller",
    ),
    in_engine(
        "the_forecast_begins_a_stage_with_the_first_that_it_waits_for",
        "I22",
        "forecast",
        "first, last = (max([now, opens, *(ends[i] for ends in starts)]) for i in (0, 1))",
        "first, last = (max([now, opens, *(ends[i] for ends in starts[:1])]) for i in (0, 1))",
        "forecast:test_a_stage_begins_when_the_slowest_that_it_waits_for_ends",
    ),
)
