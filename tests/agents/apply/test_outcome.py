"""When a failure is called Failed, and what it says."""

from __future__ import annotations

import pytest

from agents.apply.outcome import PATIENCE, Failure, Outcome, failed, failed_bundle, soften
from agents.protocol import SyncState
from clusters.errors import InvalidError, TooManyRequestsError
from tests.agents.samples import SETTINGS, WEB, secret

SYNCED = Outcome(SyncState.SYNCED)


def test_the_first_failure_speaks_and_all_are_listed() -> None:
    outcome = failed([Failure(WEB, "invalid", "b"), Failure(SETTINGS, "conflict", "a")])
    assert outcome.code == "conflict"
    assert outcome.message.startswith("ConfigMap shop/settings: a (fix: ")
    assert outcome.message.endswith("and 1 more")
    assert len(outcome.failures) == 2


def test_a_failure_takes_the_servers_wait_and_no_secret_value() -> None:
    assert Failure.of(WEB, TooManyRequestsError("later", 7)).retry_after_seconds == 7
    error = InvalidError("data.word: canary")
    assert "canary" not in Failure.of(WEB, error, secret(word="canary")).message


@pytest.mark.parametrize("code", ["conflict", "invalid", "immutable", "hook-failed", "quota"])
def test_what_waiting_cannot_mend_is_failed_at_once(code: str) -> None:
    assert soften(failed_bundle(code, "x"), None, 1, moving=True).sync is SyncState.FAILED


@pytest.mark.parametrize("code", ["kind-not-found", "not-found", "admission"])
def test_what_others_may_mend_is_failed_when_patience_ends(code: str) -> None:
    outcome = failed_bundle(code, "x")
    assert soften(outcome, None, PATIENCE, moving=True).sync is SyncState.SYNCING
    assert soften(outcome, None, PATIENCE + 1, moving=True).sync is SyncState.FAILED
    assert soften(outcome, SYNCED, 1, moving=False).sync is SyncState.FAILED


@pytest.mark.parametrize("code", ["unreachable", "timed-out", "too-many-requests", "artifact"])
def test_trouble_of_cluster_or_hub_is_never_failed(code: str) -> None:
    outcome = failed_bundle(code, "x")
    assert soften(outcome, None, 1000, moving=True).sync is SyncState.SYNCING
    assert soften(outcome, SYNCED, 1, moving=False) == SYNCED
    assert soften(outcome, SYNCED, PATIENCE + 1, moving=False).sync is SyncState.UNKNOWN


def test_one_impatient_failure_is_enough() -> None:
    mixed = failed([Failure(WEB, "unreachable", "x"), Failure(SETTINGS, "invalid", "y")])
    assert soften(mixed, None, 1, moving=True).sync is SyncState.FAILED


def test_what_did_not_fail_stays() -> None:
    assert soften(SYNCED, None, 0, moving=True) is SYNCED
