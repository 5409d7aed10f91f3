"""Tokens: who they belong to, and whose the empty one is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from fleet.errors import StoreError
from fleet.store import open_store
from fleet.store.access import Access, Caller, operator_token
from fleet.store.agents import set_token

NOW = datetime(2030, 1, 1, tzinfo=UTC)
OPERATOR = "operator-token-of-a-test"


def minted() -> str:
    return OPERATOR


def test_the_operator_token_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    assert operator_token(tmp_path, minted) == OPERATOR
    assert (tmp_path / "operator-token").stat().st_mode & 0o777 == 0o600
    assert operator_token(tmp_path, lambda: "another-token-entirely") == OPERATOR


def test_a_token_that_others_can_read_is_refused(tmp_path: Path) -> None:
    operator_token(tmp_path, minted)
    (tmp_path / "operator-token").chmod(0o644)
    with pytest.raises(StoreError, match="read by others") as refused:
        operator_token(tmp_path, minted)
    assert OPERATOR not in str(refused.value)


def test_an_empty_token_file_never_opens_the_hub(tmp_path: Path) -> None:
    (tmp_path / "operator-token").touch(mode=0o600)
    with pytest.raises(StoreError, match="empty or too short"):
        operator_token(tmp_path, minted)


def test_tokens_say_who_calls(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with store.write() as c:
        set_token(c, "staging-1", "agent-token", NOW)
        set_token(c, "nobody", "", NOW)
    access = Access(store, OPERATOR)
    assert access.caller_of(OPERATOR) == Caller()
    assert access.caller_of("agent-token") == Caller("staging-1")
    for wrong in ("", " ", "agent-toke", "agent-token ", OPERATOR + "x"):
        assert access.caller_of(wrong) is None


def test_no_token_is_stored_as_it_is(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with store.write() as c:
        set_token(c, "staging-1", "agent-token-in-the-clear", NOW)
    store.close()
    for path in tmp_path.iterdir():
        if path.is_file():
            assert b"agent-token-in-the-clear" not in path.read_bytes()
