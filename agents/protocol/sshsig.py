"""Signatures that OpenSSH makes and checks: SSHSIG (PROTOCOL.sshsig) with Ed25519 keys. Pure.

    sign     message, namespace → armoured text, as `ssh-keygen -Y sign` writes it
    check    the same text, the message and the key that must have signed → nothing, or an error

A key is the line of an OpenSSH public key file, `ssh-ed25519 AAAA…`, without its comment. The
namespace is part of what is signed, so that a signature says one kind of thing only.

Never trusts the key that a signature carries: the caller says which one it must be.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_MAGIC = b"SSHSIG"
_VERSION = 1
_HASH = "sha512"
_TYPE = "ssh-ed25519"
_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_LINE = 70


class SignatureError(ValueError):
    """A signature, or a key, that does not show what it should; the text says why."""


def key_line(key: Ed25519PrivateKey) -> str:
    """The public half as OpenSSH writes it, without a comment."""
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        .decode()
    )


def read_key_line(text: str) -> str:
    """The line of an Ed25519 public key, its comment dropped. Errors: `SignatureError`."""
    line = " ".join(text.split()[:2])
    _public(line)
    return line


def fingerprint(line: str) -> str:
    """What people compare: `SHA256:…`, as `ssh-keygen -l` prints it."""
    digest = hashlib.sha256(_blob(line)).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")


def sign(key: Ed25519PrivateKey, message: bytes, namespace: str) -> str:
    """The armoured signature over `message`."""
    signature = _string(_TYPE.encode()) + _string(key.sign(_signed(message, namespace)))
    data = (
        _MAGIC
        + struct.pack(">I", _VERSION)
        + _string(_blob(key_line(key)))
        + _string(namespace.encode())
        + _string(b"")
        + _string(_HASH.encode())
        + _string(signature)
    )
    text = base64.b64encode(data).decode()
    lines = [text[at : at + _LINE] for at in range(0, len(text), _LINE)]
    return "\n".join([_BEGIN, *lines, _END, ""])


def check(armoured: str, message: bytes, namespace: str, key: str) -> None:
    """Has `key` signed this message under this namespace? Errors: `SignatureError` if not."""
    if not key:
        raise SignatureError("no key is known that it could be signed by")
    blob, said_namespace, hash_name, signature = _read(armoured)
    if blob != _blob(key):
        raise SignatureError("it is signed by another key")
    if said_namespace != namespace.encode() or hash_name != _HASH.encode():
        raise SignatureError(f"the signature is not one of namespace {namespace}")
    try:
        _public(key).verify(signature, _signed(message, namespace))
    except InvalidSignature:
        raise SignatureError("the signature does not fit what it came with") from None


def _signed(message: bytes, namespace: str) -> bytes:
    """What the key itself signs: never the bare message."""
    digest = hashlib.sha512(message).digest()
    return (
        _MAGIC
        + _string(namespace.encode())
        + _string(b"")
        + _string(_HASH.encode())
        + _string(digest)
    )


def _read(armoured: str) -> tuple[bytes, bytes, bytes, bytes]:
    """Public key blob, namespace, hash name and raw signature. Errors: `SignatureError`."""
    text = armoured.strip()
    if not (text.startswith(_BEGIN) and text.endswith(_END)):
        raise SignatureError("there is no signature" if not text else "that is no SSH signature")
    try:
        body = "".join(text.removeprefix(_BEGIN).removesuffix(_END).split())
        data = base64.b64decode(body, validate=True)
        if data[:6] != _MAGIC or struct.unpack(">I", data[6:10])[0] != _VERSION:
            raise SignatureError("that is no SSH signature of version 1")
        blob, namespace, _, hash_name, signature = _strings(data[10:], 5)
        kind, raw = _strings(signature, 2)
    except (binascii.Error, struct.error) as error:
        raise SignatureError("the signature is damaged") from error
    if kind != _TYPE.encode():
        raise SignatureError(f"the signature is not of type {_TYPE}")
    return blob, namespace, hash_name, raw


def _strings(data: bytes, count: int) -> list[bytes]:
    """Exactly so many length-prefixed strings. Errors: `SignatureError`, `struct.error`."""
    found = []
    for _ in range(count):
        (length,) = struct.unpack(">I", data[:4])
        if length > len(data) - 4:
            raise SignatureError("the signature is damaged")
        found.append(data[4 : 4 + length])
        data = data[4 + length :]
    if data:
        raise SignatureError("the signature is damaged")
    return found


def _string(data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + data


def _blob(line: str) -> bytes:
    return base64.b64decode(line.split()[1])


def _public(line: str) -> Ed25519PublicKey:
    try:
        key = serialization.load_ssh_public_key(line.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SignatureError("that is no line of an OpenSSH public key") from error
    if not isinstance(key, Ed25519PublicKey):
        raise SignatureError(f"the key is not of type {_TYPE}")
    return key
