"""Which runs of the past are kept, by number and by what stands on them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fleet.rollout.retention import Past, superfluous
from fleet.rollout.rules import HistoryRules

RUNS = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from(["Staged", "CatchUp"]), st.booleans()),
    max_size=30,
).map(lambda some: [Past(f"r{n}", n, *one) for n, one in enumerate(some)])


def gone(runs: list[Past], most: int | None, *needed: str) -> list[str]:
    return [run.uid for run in superfluous(runs, {"a": HistoryRules(runs=most)}, needed)]


def past(*numbers: int, rollout: str = "a", lane: str = "Staged", ended: bool = True) -> list[Past]:
    return [Past(f"r{number}", number, rollout, lane, ended) for number in numbers]


def test_the_newest_are_kept_and_the_oldest_go_first() -> None:
    assert gone(past(5, 1, 4, 2, 3), 2) == ["r1", "r2", "r3"]


def test_what_is_needed_stays_and_counts_among_those_that_are_kept() -> None:
    assert gone(past(1, 2, 3, 4), 2, "r1") == ["r2"]


def test_a_live_run_stays_however_old_it_is() -> None:
    assert gone([*past(1, ended=False), *past(2, 3, 4)], 1) == ["r2", "r3"]


def test_the_catch_up_lane_pushes_no_staged_run_out() -> None:
    assert gone([*past(1, 2), *past(3, 4, 5, lane="CatchUp")], 2) == ["r3"]


def test_a_rollout_that_says_nothing_keeps_everything() -> None:
    assert gone(past(1, 2, 3), None) == []
    assert gone(past(1, 2, 3, rollout="b"), 1) == []


@given(RUNS, st.integers(1, 5), st.sets(st.integers(0, 29)))
def test_never_goes_what_is_needed_live_or_among_the_newest(
    runs: list[Past], most: int, needed: set[int]
) -> None:
    names = {f"r{number}" for number in needed}
    found = {run.uid for run in superfluous(runs, {"a": HistoryRules(runs=most)}, names)}
    for run in runs:
        newer = [
            one
            for one in runs
            if (one.rollout, one.lane) == (run.rollout, run.lane) and one.number > run.number
        ]
        kept = run.uid in names or not run.ended or len(newer) < most or run.rollout == "b"
        assert (run.uid in found) is not kept
