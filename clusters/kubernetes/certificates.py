"""Certificates: the TLS settings of one server, and words for a handshake that failed.

    authority     trusted alone if one is given, else those of the system
    client        certificate and key that say who we are, if any
    server name   the one that the server's certificate must bear, if not the address's own

Keys that are only in memory touch the disk for the moment in which OpenSSL reads them, in a folder
that nobody else may enter. A certificate that is not accepted means that we do not know who
answered: the server counts as unreachable, never as one that refused our credentials.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory


@dataclass(frozen=True, slots=True)
class Certificates:
    """PEM texts, empty where there is none; `verify` is off only if somebody wrote so."""

    authority: bytes = b""
    certificate: bytes = b""
    key: bytes = b""
    verify: bool = True

    def __repr__(self) -> str:
        return f"Certificates(verify={self.verify})"

    def context(self) -> ssl.SSLContext:
        """What OpenSSL makes of them. Errors: `ssl.SSLError` (an `OSError`), `ValueError`."""
        context = ssl.create_default_context(cadata=self.authority.decode() or None)
        # Many clusters' own authorities lack the extensions that Python 3.13 began to demand.
        context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
        if self.certificate:
            self._show_client(context)
        if not self.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def _show_client(self, context: ssl.SSLContext) -> None:
        with TemporaryDirectory(prefix="fleet-") as folder:
            path = Path(folder) / "client.pem"
            path.write_bytes(self.certificate + b"\n" + self.key)
            context.load_cert_chain(path)


_CLOCKS = "renew the server's certificate, and check the clocks of both machines"
_AUTHORITY = "give the authority that signed it as certificate-authority(-data) in the kubeconfig"
_NAME = "use an address that the certificate names, or set tls-server-name in the kubeconfig"
# OpenSSL's X509_V_ERR_ codes.
_CURES = {
    9: ("is not valid yet", _CLOCKS),
    10: ("has expired", _CLOCKS),
    18: ("is signed by itself and not by a trusted authority", _AUTHORITY),
    19: ("is signed by an authority that is not trusted", _AUTHORITY),
    20: ("is signed by an authority that is not trusted", _AUTHORITY),
    21: ("is signed by an authority that is not trusted", _AUTHORITY),
    62: ("is for another name", _NAME),
    64: ("is for another address", _NAME),
}


def complaint(error: ssl.SSLError) -> tuple[str, str]:
    """What is wrong with a handshake, and its cure."""
    if isinstance(error, ssl.SSLCertVerificationError):
        said = error.verify_message
        what, cure = _CURES.get(error.verify_code, ("is not accepted", _AUTHORITY))
        return f"its certificate {what} ({said})", cure
    reason = (error.reason or str(error)).replace("_", " ").lower()
    if "certificate" in reason:
        return f"it does not accept our certificate ({reason})", "renew the client certificate"
    return (
        f"no TLS could be agreed on ({reason})",
        "check that address and port are those of an API server, and its scheme",
    )
