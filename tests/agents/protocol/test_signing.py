"""What a hub's signature covers, and how a pin moves."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agents.protocol import BundleDeployment, Deletion, Offer, Options, SyncRequest, Target
from agents.protocol.signing import (
    SignatureError,
    check_target,
    follow,
    sign_target,
    statement_of,
    succeed,
)
from agents.protocol.sshsig import key_line

OLD, NEW, NEWEST, STRANGER = (Ed25519PrivateKey.generate() for _ in range(4))
WEB = BundleDeployment.of("web", "sha256:" + "a" * 64, {"REGION": "eu"}, Options())
DB = BundleDeployment.of("db", "sha256:" + "b" * 64, {}, Options(prune=False))
SYNC = SyncRequest(uid="s", bundles=("web",), dry_run=True)
TARGET = Target(
    cluster="stg-1",
    epoch=2,
    serial=7,
    current=(WEB,),
    offers=(Offer(run="r", generation=3, deployments=(DB,)),),
    generations={"web": 1},
    syncs=(SYNC,),
)


def test_a_signed_target_is_taken_with_the_key_that_signed_it() -> None:
    check_target(sign_target(OLD, TARGET), key_line(OLD))
    with pytest.raises(SignatureError, match="another key"):
        check_target(sign_target(OLD, TARGET), key_line(NEW))
    with pytest.raises(SignatureError, match="no signature"):
        check_target(TARGET, key_line(OLD))


def test_a_target_that_nobody_leaves_is_signed_as_by_older_hubs() -> None:
    assert b"leaving" not in statement_of(TARGET)
    told = {statement_of(TARGET.model_copy(update={"leaving": item})) for item in Deletion}
    assert len(told) == len(Deletion)


@pytest.mark.parametrize(
    "change",
    [
        {"cluster": "prd-1"},
        {"epoch": 3},
        {"serial": 8},
        {"current": ()},
        {"current": (WEB.model_copy(update={"digest": DB.digest}),)},
        {"current": (WEB.model_copy(update={"bundle": "other"}),)},
        {"generations": {"web": 2}},
        {"offers": ()},
        {"syncs": ()},
        {"leaving": Deletion.ORPHAN},
        {"leaving": Deletion.DELETE},
        {"syncs": (SYNC.model_copy(update={"force": True}),)},
        {"syncs": (SYNC.model_copy(update={"dry_run": False}),)},
        {"syncs": (SYNC.model_copy(update={"bundles": ("db",)}),)},
        {"offers": (Offer(run="x", generation=3, deployments=(DB,)),)},
        {"offers": (Offer(run="r", generation=4, deployments=(DB,)),)},
        {"offers": (Offer(run="r", generation=3, deployments=(WEB,)),)},
    ],
    ids=str,
)
def test_whatever_matters_in_a_target_is_signed(change: dict[str, object]) -> None:
    with pytest.raises(SignatureError, match="does not fit"):
        check_target(sign_target(OLD, TARGET).model_copy(update=change), key_line(OLD))


def test_a_statement_is_the_same_after_a_way_over_the_wire() -> None:
    signed = sign_target(OLD, TARGET)
    read = Target.model_validate_json(signed.model_dump_json())
    assert statement_of(read) == statement_of(TARGET)
    check_target(read, key_line(OLD))


def test_a_pin_follows_every_key_that_its_predecessor_signed() -> None:
    chain = [succeed(OLD, NEW), succeed(NEW, NEWEST)]
    assert follow(key_line(OLD), chain) == key_line(NEWEST)
    assert follow(key_line(NEW), chain) == key_line(NEWEST)
    assert follow(key_line(NEWEST), chain) == key_line(NEWEST)
    assert follow(key_line(STRANGER), chain) == key_line(STRANGER)


def test_a_succession_that_the_pinned_key_did_not_sign_moves_nothing() -> None:
    forged = succeed(STRANGER, NEW).model_copy(update={"old": key_line(OLD)})
    with pytest.raises(SignatureError):
        follow(key_line(OLD), [forged])
    bent = succeed(OLD, NEW).model_copy(update={"new": key_line(STRANGER)})
    with pytest.raises(SignatureError):
        follow(key_line(OLD), [bent])


def test_keys_that_succeed_each_other_in_a_circle_come_to_an_end() -> None:
    circle = [succeed(OLD, NEW), succeed(NEW, OLD)]
    assert follow(key_line(OLD), circle) == key_line(OLD)


def test_a_signed_target_is_no_succession_and_the_other_way_round() -> None:
    signature = succeed(OLD, NEW).signature
    with pytest.raises(SignatureError, match="namespace"):
        check_target(TARGET.model_copy(update={"signature": signature}), key_line(OLD))
