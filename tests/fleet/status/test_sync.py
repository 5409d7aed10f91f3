"""The one table of sync states, and what is added up from it."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from agents.protocol import Health, SyncState
from fleet.status import health_of, sync_of, tally


@pytest.mark.parametrize("said", list(SyncState))
def test_what_was_never_granted_waits_whatever_is_said(said: SyncState) -> None:
    for answered, as_wanted in product((True, False), repeat=2):
        assert sync_of(False, answered, as_wanted, said) is SyncState.WAITING
        assert health_of(False, answered, "Healthy") is Health.UNKNOWN


@pytest.mark.parametrize("said", list(SyncState))
def test_a_start_without_an_answer_is_syncing_not_what_the_old_report_said(said: SyncState) -> None:
    for as_wanted in (True, False):
        assert sync_of(True, False, as_wanted, said) is SyncState.SYNCING
    assert health_of(True, False, "Healthy") is Health.UNKNOWN


@pytest.mark.parametrize("said", list(SyncState))
def test_an_answer_is_the_agents_word(said: SyncState) -> None:
    assert sync_of(True, True, True, said) is said
    assert health_of(True, True, "Degraded") is Health.DEGRADED


def test_synced_to_what_git_no_longer_wants_is_waiting() -> None:
    assert sync_of(True, True, False, "Synced") is SyncState.WAITING
    assert sync_of(True, True, False, "Failed") is SyncState.FAILED


def fact(**changed: Any) -> dict[str, Any]:
    return {
        "granted": 1,
        "answered": 1,
        "as_wanted": 1,
        "sync": "Synced",
        "health": "Healthy",
        "online": 1,
        "drifted": 0,
        "contested": 0,
        "paused": 0,
        "n": 1,
        **changed,
    }


def test_offline_ones_are_counted_apart() -> None:
    found = tally([fact(n=3), fact(n=2, online=0), fact(health="Degraded", drifted=1)])
    assert (found.total, found.offline, found.synced, found.drifted) == (6, 2, 4, 1)
    assert found.health == {"Healthy": 3, "Degraded": 1}
    assert found.worst_health() == "Degraded"


def test_contested_and_paused_are_counted_for_themselves() -> None:
    found = tally([fact(n=2, contested=1, drifted=1), fact(paused=1), fact()])
    assert (found.drifted, found.contested, found.paused) == (2, 2, 1)
    said = found.document()
    assert (said["drifted"], said["contested"], said["paused"]) == (2, 2, 1)


def test_nobody_online_is_unknown_never_healthy() -> None:
    assert tally([fact(online=0)]).worst_health() == "Unknown"
    assert tally([]).worst_health() == "Unknown"
