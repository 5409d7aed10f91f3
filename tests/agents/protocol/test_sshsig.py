"""SSHSIG: what OpenSSH's own program says of our signatures, and we of its; and of bad ones."""

from __future__ import annotations

import base64
import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agents.protocol.sshsig import (
    SignatureError,
    check,
    fingerprint,
    key_line,
    read_key_line,
    sign,
)

KEY = Ed25519PrivateKey.generate()
LINE = key_line(KEY)
MESSAGE = b'{"cluster":"stg-1","epoch":1}'
SPACE = "fleet-target"
SSH_KEYGEN = shutil.which("ssh-keygen") or "ssh-keygen"


def ssh_keygen(*words: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([SSH_KEYGEN, *words], input=stdin, capture_output=True, check=False)


def verified(folder: Path, signature: str, message: bytes, namespace: str = SPACE) -> bool:
    """What `ssh-keygen -Y verify` says, with our key as the only signer that is allowed."""
    (folder / "allowed").write_text(f'hub namespaces="{namespace}" {LINE}\n')
    (folder / "signature").write_text(signature)
    words = ("-Y", "verify", "-f", str(folder / "allowed"), "-I", "hub", "-n", namespace)
    return not ssh_keygen(*words, "-s", str(folder / "signature"), stdin=message).returncode


def test_openssh_verifies_what_the_hub_signs_and_nothing_else(tmp_path: Path) -> None:
    signature = sign(KEY, MESSAGE, SPACE)
    assert verified(tmp_path, signature, MESSAGE)
    assert not verified(tmp_path, signature, MESSAGE + b" ")
    assert not verified(tmp_path, sign(KEY, MESSAGE, "git"), MESSAGE)
    assert not verified(tmp_path, sign(Ed25519PrivateKey.generate(), MESSAGE, SPACE), MESSAGE)


def test_what_openssh_signs_is_taken(tmp_path: Path) -> None:
    private = tmp_path / "key"
    private.write_bytes(
        KEY.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.OpenSSH,
            serialization.NoEncryption(),
        )
    )
    private.chmod(0o600)
    done = ssh_keygen("-Y", "sign", "-f", str(private), "-n", SPACE, stdin=MESSAGE)
    assert done.returncode == 0, done.stderr
    check(done.stdout.decode(), MESSAGE, SPACE, LINE)
    assert done.stdout.decode() == sign(KEY, MESSAGE, SPACE), "Ed25519 gives equal signatures"


def test_the_fingerprint_is_the_one_that_openssh_shows(tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text(f"{LINE} somebody@somewhere\n")
    shown = ssh_keygen("-l", "-f", str(tmp_path / "key.pub")).stdout.decode().split()[1]
    assert fingerprint(LINE) == shown


def altered(signature: str, at: int) -> str:
    """One byte of the signature's binary form changed, `at` from its end if negative."""
    lines = signature.split("\n")
    data = bytearray(base64.b64decode("".join(lines[1:-2])))
    data[at] ^= 1
    return "\n".join([lines[0], base64.b64encode(data).decode(), lines[-2], ""])


@pytest.mark.parametrize("at", [0, 8, 12, 40, 68, 75, 90, 100, -70, -20, -1])
def test_a_signature_that_was_altered_anywhere_is_refused(at: int) -> None:
    with pytest.raises(SignatureError):
        check(altered(sign(KEY, MESSAGE, SPACE), at), MESSAGE, SPACE, LINE)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no signature",
        "-----BEGIN SSH SIGNATURE-----\n-----END SSH SIGNATURE-----",
        "-----BEGIN SSH SIGNATURE-----\n%%%\n-----END SSH SIGNATURE-----",
        "-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAf////8=\n-----END SSH SIGNATURE-----",
        sign(KEY, MESSAGE, SPACE)[:-60] + "\n-----END SSH SIGNATURE-----",
    ],
)
def test_what_is_no_signature_is_refused(text: str) -> None:
    with pytest.raises(SignatureError):
        check(text, MESSAGE, SPACE, LINE)


def test_a_signature_of_another_message_namespace_or_key_is_refused() -> None:
    signature = sign(KEY, MESSAGE, SPACE)
    other = key_line(Ed25519PrivateKey.generate())
    for message, namespace, key in (
        (b"other", SPACE, LINE),
        (MESSAGE, "git", LINE),
        (MESSAGE, SPACE, other),
    ):
        with pytest.raises(SignatureError):
            check(signature, message, namespace, key)


def test_a_key_is_read_with_its_comment_dropped() -> None:
    assert read_key_line(f"  {LINE} hub of 2030\n") == LINE


@pytest.mark.parametrize("text", ["", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-rsa AAAAB3NzaC1yc2E"])
def test_what_is_no_ed25519_key_is_refused(text: str) -> None:
    with pytest.raises(SignatureError):
        read_key_line(text)
