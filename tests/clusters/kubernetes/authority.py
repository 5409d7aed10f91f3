"""A certificate authority for a test: good certificates, and ones that are wrong on purpose."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from clusters.clock import SystemClock

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM."""

    certificate: bytes
    key: bytes

    def written(self, folder: Path, name: str) -> tuple[Path, Path]:
        """Both as files."""
        paths = folder / f"{name}.crt", folder / f"{name}.key"
        paths[0].write_bytes(self.certificate)
        paths[1].write_bytes(self.key)
        return paths


@dataclass
class Authority:
    """Signs what it is asked to."""

    name: str = "test authority"
    _key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def certificate(self) -> bytes:
        """Its own, as PEM."""
        now = SystemClock().now()
        authority = x509.BasicConstraints(ca=True, path_length=None)
        built = (
            self._builder(self.name, self._key, now, 365 * DAY)
            .add_extension(authority, critical=True)
            .sign(self._key, hashes.SHA256())
        )
        return built.public_bytes(serialization.Encoding.PEM)

    def pair(self, name: str, *, begins: timedelta = -DAY, lasts: timedelta = 30 * DAY) -> Pair:
        """A certificate for a host name or an address, from now on as told."""
        key = ec.generate_private_key(ec.SECP256R1())
        start = SystemClock().now() + begins
        named = x509.SubjectAlternativeName([_general(name)])
        built = (
            self._builder(name, key, start, lasts)
            .add_extension(named, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        encoding = serialization.Encoding.PEM
        pem = key.private_bytes(
            encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return Pair(built.public_bytes(encoding), pem)

    def _builder(
        self, subject: str, key: ec.EllipticCurvePrivateKey, start: datetime, lasts: timedelta
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(_name(subject))
            .issuer_name(_name(self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start.astimezone(UTC))
            .not_valid_after((start + lasts).astimezone(UTC))
        )


def server_context(pair: Pair, folder: Path, clients: Authority | None = None) -> ssl.SSLContext:
    """TLS of a server; with `clients` it demands a certificate of theirs."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*pair.written(folder, "server"))
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=clients.certificate().decode())
    return context


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)
