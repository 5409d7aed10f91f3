"""The key that a hub signs targets with, in its folder, and the keys that it had before.

::

    signing-key           Ed25519, as OpenSSH keeps private keys; mode 0600, made at the first start
    signing-key.history   how it came to be: each earlier key signed its successor

Agents pin the key. `rotate` replaces it such that they follow by themselves: the old key signs the
new one. The history is written first, and what of it does not lead to the key that is there counts
as not written, so that a kill at any moment leaves the old key or the new one whole. A key that was
stolen is not mended by rotating it: give agents the new one (`--hub-key`).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import TypeAdapter, ValidationError

from agents.protocol import Succession, Target
from agents.protocol.signing import sign_target, succeed
from agents.protocol.sshsig import fingerprint, key_line
from fleet.errors import StoreError

KEY_FILE = "signing-key"
HISTORY_FILE = "signing-key.history"
_HISTORY = TypeAdapter(tuple[Succession, ...])


@dataclass(frozen=True, slots=True)
class HubKey:
    """One hub's key. The private half never leaves this value."""

    _private: Ed25519PrivateKey = field(repr=False)
    successions: tuple[Succession, ...] = ()
    """Every change of key that leads to this one, the oldest first."""

    @property
    def line(self) -> str:
        """The public half, as agents pin it: `ssh-ed25519 AAAA…`."""
        return key_line(self._private)

    @property
    def fingerprint(self) -> str:
        """`SHA256:…`, to be compared by people."""
        return fingerprint(self.line)

    def sign(self, target: Target) -> Target:
        """The target with this hub's signature."""
        return sign_target(self._private, target)

    def followed_by(self, new: Ed25519PrivateKey) -> HubKey:
        """The key that comes next, signed for by this one."""
        return HubKey(new, (*self.successions, succeed(self._private, new)))


def hub_key(folder: Path) -> HubKey:
    """The key of the hub in `folder`, made there if there is none.

    Errors: `StoreError` if others can read it, or it is no Ed25519 key.
    """
    path = folder / KEY_FILE
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write(path, _pem(Ed25519PrivateKey.generate()))
    key = HubKey(_read(path))
    return HubKey(key._private, _leading_to(key.line, _read_history(folder / HISTORY_FILE)))


def known_key(folder: Path) -> HubKey:
    """The key of the hub in `folder`, which has run there.

    Errors: as `hub_key`; `StoreError` if there is none: one made now would be no hub's.
    """
    if not (folder / KEY_FILE).exists():
        raise StoreError(
            "no hub has a key here",
            at=str(folder),
            fix="name the hub's folder with --state-dir or FLEET_STATE; a hub that never ran makes "
            "its key when `fleet hub` first starts",
            code="no-hub-key",
        )
    return hub_key(folder)


def rotate(folder: Path) -> HubKey:
    """Replace the key by a new one that the old one signs; no hub may run there meanwhile.

    Errors: as `known_key`.
    """
    private = Ed25519PrivateKey.generate()
    fresh = known_key(folder).followed_by(private)
    _write(folder / HISTORY_FILE, _HISTORY.dump_json(fresh.successions))
    _write(folder / KEY_FILE, _pem(private))
    return fresh


def _pem(key: Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )


def _read(path: Path) -> Ed25519PrivateKey:
    if path.stat().st_mode & 0o077:
        raise StoreError(
            "the hub's signing key can be read by others on this machine",
            at=str(path),
            fix=f"chmod 600 {path}; if somebody may have read it, move it away and give agents the "
            "new key with --hub-key",
            code="key-readable",
        )
    try:
        key = serialization.load_ssh_private_key(path.read_bytes(), None)
    except (ValueError, TypeError, OSError):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        # Never replaced by itself: every agent would refuse the new one.
        raise StoreError(
            "the hub's signing key is damaged, or no Ed25519 key without a passphrase",
            at=str(path),
            fix="restore it from a backup, or move it away and give agents the new key with "
            "--hub-key",
            code="key-damaged",
        )
    return key


def _read_history(path: Path) -> tuple[Succession, ...]:
    """What the file says; nothing where it cannot be read, since agents then ask for a pin."""
    try:
        return _HISTORY.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return ()


def _leading_to(line: str, history: tuple[Succession, ...]) -> tuple[Succession, ...]:
    """The beginning of the history that ends in this key."""
    for index in range(len(history), 0, -1):
        if history[index - 1].new == line:
            return history[:index]
    return ()


def _write(path: Path, data: bytes) -> None:
    fresh = path.with_name(f".{path.name}.new")
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


__all__ = ["HISTORY_FILE", "KEY_FILE", "HubKey", "hub_key", "known_key", "rotate"]
