"""Hostile inputs, groups 4, 6, 8 and 9: each row, and the tests that hold it. Every test is there.

The answer is always of one kind: a clear error that names what, where and the cure; one bad bundle,
cluster or document never stops the others; nothing applied is lost; no secret value is printed.
Tests in `e2e/agent` and `contracts` run on a real control plane, most of them on a simulated too.

::

    4 a variable that is not declared, `$${x}`, `${x:=${y}}`
        agents/protocol/test_substitution test_text
        e2e/agent/test_hostile test_variables_arrive_byte_by_byte_and_nothing_else_is_touched
    4 a value with newline, quote or `---`
        agents/protocol/test_substitution test_no_value_can_change_the_structure
        e2e/agent/test_hostile test_variables_arrive_byte_by_byte_and_nothing_else_is_touched
    4 a variable named `1x`
        fleet/layout/test_bad_input test_one_bad_declaration_holds_its_bundle_and_no_other
    4 a Secret that contains `${…}`, text in a CRD that contains `${}`
        e2e/agent/test_hostile test_variables_arrive_byte_by_byte_and_nothing_else_is_touched
        e2e/test_shop_fleet test_shell_variables_in_published_scripts_arrive_untouched
    6 409, 422 of an immutable field, other 422, 403, quota, webhook, 429, 5xx, reset: told apart
        clusters/kubernetes/test_refusals test_each_code_has_its_error
        agents/apply/test_hostile
          test_a_refused_dry_run_has_its_own_code_and_keeps_the_stage_unwritten
        agents/apply/test_hostile
          test_a_refused_write_is_told_and_what_was_written_beside_it_stays_owned
        e2e/agent/test_apply test_every_refusal_has_its_own_code
    6 only a proven immutable field ever leads to a deletion
        clusters/kubernetes/test_refusals
          test_any_other_complaint_is_never_taken_for_an_immutable_field
        agents/apply/test_hostile test_only_a_proven_immutable_field_ever_leads_to_a_deletion
        e2e/agent/test_apply test_an_immutable_field_is_told_and_force_makes_the_object_again
        e2e/agent/test_apply test_other_refusals_never_delete_although_force_is_said
    6 403
        e2e/agent/test_security
          test_a_bundle_without_rights_fails_alone_and_one_with_them_is_applied
    6 a namespace that is missing, or on its way out
        agents/apply/test_hostile test_a_missing_namespace_and_a_missing_kind_are_told_apart
        contracts/test_deletion test_nothing_new_comes_into_a_namespace_that_is_leaving
    6 a CRD that is absent
        agents/apply/test_move test_a_kind_that_nobody_brings_fails_in_the_end
        contracts/test_discovery test_every_call_on_an_unknown_kind_says_so
    6 an object, or a CRD, of no sensible form
        agents/apply/test_odd_objects
          test_no_form_of_an_object_stops_another_bundle_or_surprises_the_agent
        agents/apply/test_odd_objects
          test_a_bundle_that_nobody_can_prepare_fails_alone_and_nothing_is_pruned_meanwhile
    6 an admission webhook that times out or denies
        contracts/test_admission test_a_webhook_that_nobody_runs_refuses_writes_and_dry_runs
        agents/apply/test_hostile
          test_a_webhook_that_cannot_dry_run_costs_its_object_the_dry_run_not_the_stage
    6 a finalizer that never clears
        agents/apply/test_prune test_a_finalizer_that_never_clears_is_reported_and_not_fought
        e2e/agent/test_inventory test_prune_deletes_what_is_owned_and_nothing_else
    6 an object that another manager owns
        agents/apply/test_ownership test_a_field_that_another_manager_owns_fails_and_names_it
        agents/apply/test_ownership test_two_bundles_that_want_one_object_fail_naming_both
        agents/apply/test_hostile test_a_conflict_that_names_no_manager_is_never_forced
        e2e/agent/test_drift test_a_manager_that_keeps_setting_a_field_is_left_to_it
    6 429 with a time to wait
        agents/apply/test_hostile test_the_time_that_a_server_asks_for_is_waited
        clusters/kubernetes/test_connection
          test_a_server_that_did_nothing_yet_is_asked_again_after_the_time_it_names
        agents/test_watching test_a_server_that_asks_for_patience_gets_it
    6 5xx
        clusters/kubernetes/test_refusals
          test_a_fault_of_the_server_is_worth_another_try_and_a_strange_code_is_not
        agents/apply/test_move test_an_unreachable_cluster_is_no_failure_of_the_bundle
    6 a reset in the middle of a listing
        clusters/kubernetes/test_driver test_a_page_that_fails_fails_the_listing
        agents/apply/test_hostile test_a_listing_that_fails_is_never_taken_for_an_empty_one
        agents/apply/test_hostile test_a_removal_that_cannot_list_lets_go_of_nothing
    6 a watch whose version is gone (410)
        contracts/test_watching test_a_version_that_is_compacted_is_expired
        agents/test_watching test_when_the_version_to_go_on_from_is_gone_it_lists_again
    6 an answer to a write that is lost
        agents/apply/test_hostile test_a_lost_answer_to_a_write_leaves_nothing_of_it_behind
    6 a kill after every single write
        agents/test_kills test_a_death_after_any_write_changes_nothing_in_the_end
        e2e/agent/test_apply test_an_agent_that_dies_after_each_of_its_writes_gets_there
    6 a prune that is refused
        agents/apply/test_hostile test_a_refused_deletion_is_reported_and_tried_again
        e2e/agent/test_inventory test_a_refused_deletion_is_reported_and_tried_again
    6 everything removed from Git at once
        agents/apply/test_wipe_guard
          test_everything_removed_from_git_at_once_is_held_until_it_is_confirmed
        e2e/agent/test_inventory test_a_wipe_is_held_until_it_is_confirmed
    6 an empty render, an empty target
        agents/apply/test_move test_an_empty_render_never_wipes_a_bundle
        agents/apply/test_wipe_guard test_an_empty_target_deletes_nothing
    6 a hook that is suspended while it runs
        agents/apply/test_hooks test_time_in_suspension_does_not_count
        e2e/agent/test_order test_a_suspended_hook_is_waited_for_until_it_is_resumed
    6 a Job that is done and gone, in a dry run
        agents/test_syncing
          test_a_dry_run_does_not_miss_a_job_that_is_done_and_removed_itself
    8 a Secret that the API server refuses
        contracts/test_apply test_a_refused_secret_does_not_print_its_data
        agents/apply/test_odd_objects test_a_secret_of_no_sensible_form_is_told_without_its_values
        agents/apply/test_hostile test_a_secrets_value_is_in_no_report_whatever_the_server_says
    8 a webhook or policy that quotes the Secret it refuses to make or to delete
        clusters/kubernetes/test_refusals
          test_nothing_that_a_server_says_about_a_secret_is_repeated
        clusters/kubernetes/test_driver test_a_refused_secret_does_not_print_its_data
        e2e/agent/test_hostile
          test_a_secret_that_a_policy_quotes_is_refused_without_the_quote
    8 a Secret with a mistake that keeps it from being read or rendered
        fleet/render/test_canaries test_no_form_of_a_source_shows_what_a_secret_holds
        fleet/render/test_canaries
          test_kustomize_does_not_show_what_it_could_not_do_with_a_value
        fleet/render/test_charts test_an_error_does_not_show_the_value_of_a_secret
        fleet/layout/test_bad_input
          test_a_variable_of_digits_is_not_shown_since_it_may_be_a_password
    8 output of every command, log, metric, Event and report
        test_docs test_no_command_is_left_out_of_the_search_for_secrets
        e2e/agent/test_operate test_nothing_that_is_printed_holds_a_secret
        e2e/test_processes test_no_value_of_a_secret_is_ever_printed
    8 diffs, drift and previews
        agents/diff/test_report test_the_values_of_a_secret_are_never_said
        agents/test_syncing test_a_dry_run_never_shows_the_value_of_a_secret
        e2e/agent/test_drift test_no_value_of_a_secret_is_ever_said
    8 the text of an exception
        clusters/test_logs
          test_what_nobody_foresaw_is_told_by_kind_and_place_and_not_by_its_text
        agents/test_canaries test_a_refused_secret_and_a_surprise_print_no_values
        fleet/api/test_identity test_a_failure_nobody_foresaw_says_nothing_of_its_inside
    8 answers of the hub's API, its store, and what it sends to others
        fleet/api/test_identity test_no_answer_for_people_shows_a_variable_or_a_token
        fleet/store/test_query test_no_view_or_table_that_may_be_read_holds_a_secret
        fleet/hub/test_outgoing
          test_no_connection_and_no_http_are_no_answers_and_say_nothing_of_what_was_sent
        fleet/rollout/test_preview
          test_the_query_of_a_url_is_left_out_since_keys_stand_there
    8 keys and tokens
        fleet/store/test_hub_key test_the_private_half_is_not_shown
        fleet/store/test_access test_no_token_is_stored_as_it_is
        fleet/store/test_people
          test_a_file_that_is_wrong_lets_nobody_in_and_shows_no_token
        clusters/kubernetes/test_credentials
          test_a_kubeconfig_that_is_none_gives_one_error_without_its_content
    9 an empty token
        fleet/api/test_identity test_no_empty_or_wrong_token_opens_anything
        fleet/store/test_access test_an_empty_token_file_never_opens_the_hub
        agents/test_cli test_a_token_file_that_has_none_is_an_error
    9 an empty service account
        fleet/layout/test_bad_input test_one_bad_declaration_holds_its_bundle_and_no_other
        contracts/test_errors test_a_name_that_no_request_can_carry_is_refused_at_once
    9 empty claims
        fleet/api/test_identity test_empty_claims_are_refused_and_make_nobody_speak
    9 an agent that presents another agent's name
        fleet/api/test_identity test_another_clusters_token_opens_none_of_a_clusters_routes
        fleet/api/test_identity test_a_report_in_another_name_than_the_paths_is_refused
    9 another cluster's target or artifacts
        fleet/hub/test_desk test_an_artifact_is_given_only_to_clusters_whose_target_names_it
        agents/test_agent test_a_target_of_another_cluster_is_refused
        agents/test_hostile_hub
          test_another_clusters_artifact_under_this_ones_name_is_never_applied
    9 an older target, played back
        agents/test_agent test_an_older_target_is_refused
        agents/test_autonomy test_an_older_target_stays_refused_on_an_empty_disk
        agents/test_hostile_hub
          test_an_older_target_is_refused_as_the_answer_to_a_start_too
        agents/test_hostile_hub
          test_what_the_real_key_signed_for_another_time_or_place_changes_nothing
    9 a report for a revision or generation that was never given
        fleet/hub/test_desk test_a_report_on_what_was_never_given_is_no_evidence
        fleet/store/test_reports
          test_other_digests_and_generations_are_kept_apart_from_evidence
        fleet/hub/test_desk test_nobody_starts_what_was_never_offered
    9 two live agents of one cluster, also of one identity
        fleet/hub/test_desk test_two_live_agents_of_one_cluster_are_a_problem_that_ends
        fleet/hub/test_desk test_an_agent_that_was_replaced_starts_nothing
        agents/test_lease test_two_processes_of_one_identity_do_not_both_hold
        e2e/agent/test_hostile
          test_an_agent_on_a_copied_disk_waits_for_the_one_that_it_is_a_copy_of
    9 clocks that are wrong by hours
        agents/test_autonomy test_a_clock_that_is_wrong_by_hours_changes_nothing
        agents/test_lease test_what_time_a_holder_believes_it_is_does_not_matter
        fleet/hub/test_desk test_clocks_of_agents_change_nothing
    9 another hub, or none that signed
        agents/test_trust test_another_hub_is_not_met
        agents/test_autonomy test_a_false_hub_is_refused_on_an_empty_disk_and_healing_goes_on

Not here: projects (a hub has one repository and no projects), so nothing can name another's.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent
TEXT = __doc__ or ""
LINES = re.findall(r"^ {4}(\d) (\S.*)$|^ {8}(\S+)\s+(test_\w+)$", TEXT, re.MULTILINE)
GROUPS = {"4", "6", "8", "9"}


def rows() -> dict[tuple[str, str], list[tuple[str, str]]]:
    """(group, row) → (module, test) of those that hold it."""
    found: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for group, row, module, test in LINES:
        if group:
            found[group, row] = []
        else:
            found[next(reversed(found))].append((module, test))
    return found


@cache
def functions_of(module: str) -> frozenset[str]:
    """The tests that a module has, by name."""
    tree = ast.parse((ROOT / f"{module}.py").read_text("utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in tree.body if isinstance(node, kinds))


def test_every_row_is_held_by_tests_that_are_there() -> None:
    assert {group for group, _ in rows()} == GROUPS
    for row, held in rows().items():
        assert held, f"nothing holds {row}"
        missing = [f"{module}: {test}" for module, test in held if test not in functions_of(module)]
        assert missing == [], row
        assert max(Counter(held).values()) == 1, f"twice under {row}"


def test_the_table_is_read_as_a_whole() -> None:
    """A line that is misspelt, or wrapped wrongly, must not fall out of the check above."""
    table = TEXT.partition("::")[2].partition("Not here")[0]
    named = re.findall(r"(?<!/)\btest_\w+$", table, re.MULTILINE)
    assert len(named) == sum(len(held) for held in rows().values())
