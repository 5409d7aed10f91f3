"""Which hub a target is from: what the hub's key signs, and what an agent makes of it. Pure.

::

    target       statement: cluster, epoch, serial, digests, generations, syncs,  fleet-target
                 and whether the cluster leaves
    succession   "the key OLD is followed by NEW", signed by OLD                   fleet-hub-key

An agent holds one key, its *pin*. It moves only along successions that the pinned key signed, so a
stranger's key never gets in, however often the hub is asked. The digests in a statement are those
of `deployment_digest`: whoever changes an artifact, a variable or an option changes a digest.

Not signed: the commit of a bundle deployment, which is for show.
"""

from __future__ import annotations

from collections.abc import Iterable

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agents.protocol.deployment import BundleDeployment
from agents.protocol.sshsig import SignatureError, check, key_line, sign
from agents.protocol.wire import Succession, Target
from clusters.objects import canonical_bytes

TARGET_NAMESPACE = "fleet-target"
KEY_NAMESPACE = "fleet-hub-key"
LONGEST_CHAIN = 1000
"""No hub changed its key more often; a longer list is not worth looking at."""


def statement_of(target: Target) -> bytes:
    """The canonical bytes that a hub signs for a target."""
    # Said only where it is so: what has not changed is signed as by older hubs.
    leaving = {"leaving": target.leaving.value} if target.leaving is not None else {}
    return canonical_bytes(
        {
            **leaving,
            "cluster": target.cluster,
            "epoch": target.epoch,
            "serial": target.serial,
            "current": _digests(target.current),
            "generations": target.generations,
            "offers": [
                {"run": o.run, "generation": o.generation, "deployments": _digests(o.deployments)}
                for o in target.offers
            ],
            "syncs": [[s.uid, list(s.bundles), s.force, s.dry_run] for s in target.syncs],
        }
    )


def _digests(deployments: Iterable[BundleDeployment]) -> list[list[str]]:
    return [[item.bundle, item.digest] for item in deployments]


def sign_target(key: Ed25519PrivateKey, target: Target) -> Target:
    """The same target with the hub's signature."""
    signature = sign(key, statement_of(target), TARGET_NAMESPACE)
    return target.model_copy(update={"signature": signature})


def check_target(target: Target, pin: str) -> None:
    """Did the pinned key sign this target? Errors: `SignatureError`."""
    check(target.signature, statement_of(target), TARGET_NAMESPACE, pin)


def succeed(old: Ed25519PrivateKey, new: Ed25519PrivateKey) -> Succession:
    """What the old key says of the new one."""
    before, after = key_line(old), key_line(new)
    return Succession(old=before, new=after, signature=sign(old, _said(before, after), _SUCCEEDS))


def follow(pin: str, successions: Iterable[Succession]) -> str:
    """The key that the pinned one leads to; the pin itself where nothing follows it.

    Errors: `SignatureError` for a succession of the pinned key that it did not sign.
    """
    by_old = {item.old: item for item in list(successions)[:LONGEST_CHAIN]}
    while (item := by_old.pop(pin, None)) is not None:
        check(item.signature, _said(item.old, item.new), _SUCCEEDS, pin)
        pin = item.new
    return pin


_SUCCEEDS = KEY_NAMESPACE


def _said(old: str, new: str) -> bytes:
    return canonical_bytes({"new": new, "old": old})


__all__ = [
    "KEY_NAMESPACE",
    "TARGET_NAMESPACE",
    "SignatureError",
    "check_target",
    "follow",
    "sign_target",
    "statement_of",
    "succeed",
]
