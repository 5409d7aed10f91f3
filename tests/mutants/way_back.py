"""Defects of one line in how a rollback keeps shared caps, and in what is said of who is back."""

from __future__ import annotations

from tests.mutants.mutation import in_engine

_BACK = "rollback:test_"
WAY_BACK = (
    in_engine(
        "a_way_back_lifts_a_domain_above_its_cap",
        "I6",
        "rollback",
        "full = room.refusal(cluster)",
        "full = None",
        f"{_BACK}a_way_back_waits_for_the_room_that_shared_caps_leave",
    ),
    in_engine(
        "ways_back_of_one_tick_do_not_see_each_other",
        "I6",
        "rollback",
        "                room.take(cluster)",
        "                pass",
        f"{_BACK}ways_back_of_one_moment_share_the_room",
    ),
    in_engine(
        "a_rollback_without_room_never_ends",
        "I18",
        "rollback",
        "_give_up(capped, since, _CAPPED, memory, now, wakes)",
        "None",
        f"{_BACK}a_way_back_for_which_there_is_never_room_fails_at_the_deadline",
    ),
    in_engine(
        "a_rollback_is_quiet_after_what_failed",
        "I18",
        "caps",
        "known.changed_at is None or self.goes_back:",
        "known.changed_at is None:",
        f"{_BACK}quiet_time_holds_no_way_back",
    ),
    in_engine(
        "who_is_back_has_no_reason",
        "I22",
        "advance",
        "        why = rollback.BACK",
        "        pass",
        f"{_BACK}who_is_back_has_a_reason_while_others_are_on_their_way",
    ),
)
