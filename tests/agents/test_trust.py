"""Whom an agent believes: the first hub, or the one that it was told; and how that moves."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agents.cache import Cache
from agents.errors import AgentError, HubKeyError
from agents.protocol import RegisterAnswer, Succession, Target
from agents.protocol.signing import sign_target, succeed
from agents.protocol.sshsig import key_line
from agents.trust import Trust

A, B, C = (Ed25519PrivateKey.generate() for _ in range(3))
TARGET = Target(cluster="stg-1", epoch=1, serial=1)


def answer(key: Ed25519PrivateKey | str, *successions: Succession) -> RegisterAnswer:
    line = key if isinstance(key, str) else key_line(key)
    return RegisterAnswer(
        cluster="stg-1",
        epoch=1,
        protocol=1,
        claimed=True,
        heartbeat_seconds=10,
        hub_key=line,
        successions=successions,
    )


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """An empty state directory."""
    return Cache(tmp_path)


def test_the_first_hub_is_pinned_and_still_is_after_a_restart(cache: Cache) -> None:
    trust = Trust(cache)
    assert trust.pin == ""
    with pytest.raises(HubKeyError):
        trust.check(sign_target(A, TARGET))
    trust.meet(answer(A))
    for one in (trust, Trust(cache)):
        one.check(sign_target(A, TARGET))
        with pytest.raises(HubKeyError, match="another key"):
            one.check(sign_target(B, TARGET))


def test_another_hub_is_not_met(cache: Cache) -> None:
    trust = Trust(cache)
    trust.meet(answer(A))
    for stranger in (answer(B), answer(B, succeed(B, C)), answer(B, succeed(C, B)), answer("")):
        with pytest.raises(HubKeyError) as refused:
            trust.meet(stranger)
        assert "--hub-key" in refused.value.fix
    assert Trust(cache).pin == key_line(A)


def test_a_key_that_was_given_wins_over_the_first_hub(cache: Cache) -> None:
    told = Trust(cache, f"{key_line(A)} the hub in Frankfurt")
    with pytest.raises(HubKeyError):
        told.meet(answer(B))
    told.meet(answer(A))
    assert Trust(cache, key_line(B)).pin == key_line(B), "and over what was pinned before"


@pytest.mark.parametrize("given", [False, True], ids=["first use", "given"])
def test_a_rotated_key_is_followed_and_found_again_without_a_hub(cache: Cache, given: bool) -> None:
    word = key_line(A) if given else ""
    trust = Trust(cache, word)
    trust.meet(answer(A))
    trust.meet(answer(C, succeed(A, B), succeed(B, C)))
    for one in (trust, Trust(cache, word)):
        one.check(sign_target(C, TARGET))
        with pytest.raises(HubKeyError):
            one.check(sign_target(A, TARGET))


def test_a_hub_that_lost_its_history_keeps_agents_that_know_its_key(cache: Cache) -> None:
    trust = Trust(cache, key_line(A))
    trust.meet(answer(B, succeed(A, B)))
    trust.meet(answer(B))
    assert Trust(cache, key_line(A)).pin == key_line(B)


def test_a_pin_from_the_cluster_counts_only_where_there_is_none(
    cache: Cache, tmp_path: Path
) -> None:
    trust = Trust(cache)
    trust.meet(answer(A))
    empty = Trust(Cache(tmp_path / "empty"))
    for spoiled in (b"", b"{}", b'{"key": "ssh-ed25519 AAAA"}', b"\xff"):
        empty.recall(spoiled)
        assert empty.pin == ""
    empty.recall(trust.kept)
    assert empty.pin == key_line(A)
    other = Trust(Cache(tmp_path / "other"))
    other.meet(answer(B))
    empty.recall(other.kept)
    assert empty.pin == key_line(A)


def test_a_given_key_that_is_none_is_an_error_with_a_cure(cache: Cache) -> None:
    with pytest.raises(AgentError) as refused:
        Trust(cache, "ssh-rsa AAAA")
    assert (refused.value.code, refused.value.at) == ("hub-key-unreadable", "--hub-key")


def test_a_spoiled_pin_on_disk_counts_as_none(cache: Cache, tmp_path: Path) -> None:
    (tmp_path / "hub-key.json").write_text('{"key": 7}')
    assert Trust(cache).pin == ""
