"""Every listed defect is noticed; one that survives means that a promise is missing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fleet.rollout.stories import STORIES
from tests.mutants.lines import LINES
from tests.mutants.mutation import Mutant, applied, fails, survives
from tests.mutants.substitutions import DEFECTS

# What rollouts.md names at its end, and the mutants that stand for it.
LISTED = {
    "evidence not tied to its revision": (
        "evidence_not_tied_to_its_digest",
        "evidence_not_tied_to_its_generation",
    ),
    "a budget above the group size clamped to zero": ("budget_above_the_group_becomes_zero",),
    "a breach judged after assigning": ("breach_judged_after_assigning",),
    "a soak cut by a pause": ("soak_cut_by_a_pause", "soak_reset_by_a_pause"),
    "an approval not bound to run and plan": (
        "an_approval_is_not_bound_to_the_run",
        "an_approval_is_not_bound_to_the_plan",
        "approval_not_bound_to_the_plan",
        "approval_not_bound_to_the_stage",
    ),
    "zero that means unlimited": ("zero_means_unlimited",),
    "no cap per failure domain": ("no_cap_of_a_domain",),
    "no lease for a late waker": ("no_lease_for_a_late_waker",),
    "no minHealthy": ("no_min_healthy",),
    "variables left out of the digest": ("variables_left_out_of_the_digest",),
    "a veto that the next commit forgets": ("a_veto_that_the_next_commit_forgets",),
    "a revert that waits behind its own failure": ("revert_waits_behind_its_own_failure",),
    "one dark cluster that keeps a run open": ("dark_cluster_keeps_the_run_open",),
}


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.__name__)
def test_the_defect_is_caught(
    defect: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    defect(monkeypatch)
    assert any(fails(story) for story in STORIES), f"survived: {defect.__doc__}"


@pytest.mark.parametrize("mutant", LINES, ids=lambda mutant: mutant.name)
def test_the_changed_line_is_noticed(mutant: Mutant) -> None:
    with applied(mutant):
        assert not survives(mutant), f"survived: {mutant.old.strip()!r} → {mutant.new.strip()!r}"


def test_every_listed_defect_is_among_the_mutants_and_no_name_is_used_twice() -> None:
    names = [mutant.name for mutant in LINES] + [defect.__name__ for defect in DEFECTS]
    assert len(names) == len(set(names))
    assert {name for some in LISTED.values() for name in some} <= set(names)


def test_a_defect_is_gone_afterwards() -> None:
    for mutant in LINES[:3]:
        with applied(mutant):
            pass
        assert survives(mutant), mutant.name


def test_a_mutant_of_a_line_that_is_not_there_is_an_error() -> None:
    gone = Mutant("gone", "", "fleet.rollout.caps", "no such line", "", ())
    with pytest.raises(ValueError, match="0 times"), applied(gone):
        pass
