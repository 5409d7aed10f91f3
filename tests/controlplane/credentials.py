"""Keys, certificates and tokens of one control plane, made anew for each: nothing is ever reused.

::

    ca.crt ── signs ── server.crt (127.0.0.1, localhost), server.key
    service-accounts.key             signs the tokens of service accounts
    tokens.csv                       the administrator's bearer token
    kubeconfig                       server, ca.crt and that token, mode 0600
"""

from __future__ import annotations

import ipaddress
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from clusters.objects import dump_yaml

LIFETIME = timedelta(days=2)
CONTEXT = "real"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one control plane and its clients identify themselves with."""

    folder: Path
    token: str

    @classmethod
    def make(cls, folder: Path, now: datetime) -> Credentials:
        """Write all of it into a folder of one's own."""
        made = cls(folder, secrets.token_urlsafe(24))
        authority_key = ec.generate_private_key(ec.SECP256R1())
        authority = _authority(authority_key, now)
        server_key = ec.generate_private_key(ec.SECP256R1())
        server = _server_certificate(server_key, authority, authority_key, now)
        accounts = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        made.authority.write_bytes(authority.public_bytes(serialization.Encoding.PEM))
        made.server_certificate.write_bytes(server.public_bytes(serialization.Encoding.PEM))
        _write_private(made.server_key, _pem(server_key))
        _write_private(made.accounts_key, _pem(accounts))
        _write_private(made.tokens, f'{made.token},admin,admin,"system:masters"\n'.encode())
        return made

    @property
    def authority(self) -> Path:
        """The certificate that clients trust."""
        return self.folder / "ca.crt"

    @property
    def server_certificate(self) -> Path:
        """What the API server shows."""
        return self.folder / "server.crt"

    @property
    def server_key(self) -> Path:
        """The key of that."""
        return self.folder / "server.key"

    @property
    def accounts_key(self) -> Path:
        """What the tokens of service accounts are signed with."""
        return self.folder / "service-accounts.key"

    @property
    def tokens(self) -> Path:
        """The API server's list of bearer tokens."""
        return self.folder / "tokens.csv"

    def write_kubeconfig(self, path: Path, url: str) -> None:
        """A kubeconfig of the administrator for the API server at `url`."""
        cluster = {"server": url, "certificate-authority": str(self.authority)}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": CONTEXT, "cluster": cluster}],
            "users": [{"name": "admin", "user": {"token": self.token}}],
            "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": "admin"}}],
            "current-context": CONTEXT,
        }
        _write_private(path, dump_yaml([config]).encode())


def _authority(key: ec.EllipticCurvePrivateKey, now: datetime) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fleet-tests")])
    usage = x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        crl_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        _lasting(x509.CertificateBuilder(), now)
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .sign(key, hashes.SHA256())
    )


def _server_certificate(
    key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    now: datetime,
) -> x509.Certificate:
    names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1")), x509.DNSName("localhost")]
    signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    return (
        _lasting(x509.CertificateBuilder(), now)
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")]))
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(signer, critical=False)
        .sign(authority_key, hashes.SHA256())
    )


def _lasting(builder: x509.CertificateBuilder, now: datetime) -> x509.CertificateBuilder:
    # A clock that is an hour off, here or there, is not what these tests are about.
    early = now - timedelta(hours=1)
    return (
        builder.serial_number(x509.random_serial_number())
        .not_valid_before(early)
        .not_valid_after(early + LIFETIME)
    )


def _pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )


def _write_private(path: Path, data: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(data)
