"""The 27 promises of rollouts.md: the property that holds each, its examples, and the mutants.

Mutants of one line name their promise themselves (`lines`); those of `substitutions` are in the
table. `python -m tests.mutants.figures` counts what is killed, promise by promise.

::

    I1   histories whole       parallelism_counts_only_offers
    I2   histories whole       evidence_not_tied_to_its_digest evidence_not_tied_to_its_generation
    I3   histories whole       breach_judged_after_assigning zero_means_unlimited
    I4   histories approvals   approval_not_bound_to_the_plan approval_not_bound_to_the_stage
    I5   histories whole       soak_cut_by_a_pause soak_reset_by_a_pause
    I6   caps way-back         no_cap_of_a_domain a_way_back_lifts_a_domain_above_its_cap
    I7   order                 runs_are_numbered_by_the_order_of_the_input
    I8   histories             what_was_told_is_told_again
    I9   histories caps        a_freeze_freezes_nothing
    I10  histories caps        dark_cluster_keeps_the_run_open no_lease_for_a_late_waker
    I11  histories             budget_above_the_group_becomes_zero no_min_healthy
    I12  histories             failures_kept_in_the_process_only
    I13  granted               an_agent_applies_what_is_only_offered
    I14  asked comparison      no_data_is_success
    I15  crashes               failures_kept_in_the_process_only
    I16  histories members     a_joiner_is_in_no_stage a_restaged_cluster_is_in_two_stages
    I17  unbaked newer-runs    unbaked_revisions_are_not_counted a_hotfix_makes_room_for_itself
    I18  way-back              a_rollback_tolerates_everything
    I19  deferrals newer-runs  nobody_counts_deferrals one_deferral_too_many a_hotfix_is_deferred
    I20  windows whole         allow_beats_deny
    I21  tighter whole         one_more_budget_takes_the_place_of_the_others
    I22  whole                 only_the_first_gate_that_refuses_is_named
    I23  histories             revert_waits_behind_its_own_failure revert_needs_an_approval
    I24  histories             a_veto_that_the_next_commit_forgets a_veto_holds_nothing
    I25  histories             variables_left_out_of_the_digest
    I26  histories caps        runs_of_different_bundles_meet
    I27  proven                one_proof_proves_all

`whole` is the state machine of everything a policy can say; after every event of it I21 and I22 are
asked of every run. The entries of a ramp are left out of I21: to lower one is not tighter, since it
is also how much is asked for before the next.

::

    members 40 test_membership_promises:test_i16_every_cluster_is_in_exactly_one_stage
    histories 60 test_promises:test_every_promise_holds_in_every_history
    whole 20 test_whole_model:test_every_promise_holds_under_every_policy
    granted 12 test_granted:test_i13_an_agent_applies_only_what_was_granted
    approvals 100 test_approval:test_i4_the_gate_opens_only_with_enough_good_approvals
    caps 60 test_cap_promises:test_no_history_lifts_a_domain_above_its_cap
    order 100 test_runs:test_the_order_of_the_input_changes_nothing
    asked 100 test_asked:test_i14_no_data_is_never_success
    comparison 100 test_comparison:test_i14_a_pass_has_enough_numbers_behind_it
    crashes 40 test_crash_replay:test_i15_a_crash_before_every_event_changes_nothing
    way-back 60 test_way_back_promises:test_i18_a_rollback_ends_and_is_of_its_own_run
    windows 60 test_opening_hours:test_i20_it_is_open_exactly_when_the_wall_clock_says_so
    tighter 60 test_cap_promises:test_a_tighter_budget_never_lets_more_start
    unbaked 6 test_superseding:test_no_more_unbaked_revisions_live_than_the_policy_says
    deferrals 6 test_superseding:test_production_moves_once_every_so_many_revisions
    newer-runs 40 test_newer_run_promises:test_newer_runs_keep_their_bounds_in_every_history
    proven 100 test_proven:test_i27_nothing_is_offered_that_was_not_healthy_there_for_long_enough
"""

from __future__ import annotations

import inspect
import re
from importlib import import_module

from tests.mutants.lines import LINES
from tests.mutants.substitutions import DEFECTS

_TEXT = __doc__ or ""
PROMISES = re.findall(r"^ {4}(I\d+) +(.+?)  +(\S.*)$", _TEXT, re.MULTILINE)
PROPERTIES = re.findall(r"^ {4}(\S+) +(\d+) +(test_\w+):(test_\w+)$", _TEXT, re.MULTILINE)
EXAMPLES_UNLESS_SAID = 100


def _words(text: str) -> set[str]:
    return set(text.split())


def test_every_promise_has_its_line() -> None:
    assert [number for number, _, _ in PROMISES] == [f"I{index}" for index in range(1, 28)]


def test_every_property_is_there_with_as_many_examples() -> None:
    named = {name for _, properties, _ in PROMISES for name in _words(properties)}
    assert named == {name for name, _, _, _ in PROPERTIES}
    for name, examples, module, function in PROPERTIES:
        test = getattr(import_module(f"tests.fleet.rollout.{module}"), function)
        inner = test.hypothesis.inner_test if hasattr(test, "hypothesis") else test
        said = re.search(r"max_examples=(\d+)", inspect.getsource(inner))
        assert int(examples) == (int(said[1]) if said else EXAMPLES_UNLESS_SAID), name


def test_every_mutant_of_the_table_is_one_and_every_mutant_breaks_a_promise_of_it() -> None:
    known = {one.name for one in LINES} | {one.__name__ for one in DEFECTS}
    listed = {name for _, _, mutants in PROMISES for name in _words(mutants)}
    assert listed <= known
    assert {one.__name__ for one in DEFECTS} <= listed
    numbers = {number for number, _, _ in PROMISES}
    for mutant in LINES:
        assert mutant.promises.split()[0] in numbers, mutant.name
        assert set(mutant.promises.split()) <= numbers, mutant.name
