"""Where an API server is and how to sign requests: from a kubeconfig, or inside a pod.

    kubeconfig   token, token file, client certificate, name and password, OIDC; `as` and its kin
    in a pod     the service account's token, which the kubelet replaces about every hour
    exec         a program that prints credentials; only where `allow_exec`, since a kubeconfig is
                 often handed over by somebody else (the `gcp` provider's command counts as one)

Credentials that are known to change carry `renew_at`: a token file is read again every
`TOKEN_SECONDS`, a program is run again when what it gave expires. Whatever else changes is found
when the server says 401, and all is read again.

Never prints a token, a password or a key, and never logs a file's content.
"""

from __future__ import annotations

import asyncio
import base64
import os
import ssl
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from clusters.errors import UnauthorizedError
from clusters.kubernetes.certificates import Certificates
from clusters.kubernetes.kubeconfig import Context, Entry, KubeconfigError, read_context
from clusters.kubernetes.plugin import Credential, PluginError, run_plugin
from clusters.kubernetes.proxies import proxy_for

TOKEN_SECONDS = 60.0
"""Age at which the content of a token file is read again."""
LEAD_SECONDS = 10.0
"""How long before its end a credential is renewed, and the least time between two runs."""
READ_SECONDS = 90.0
"""Time limit of everything, an identity provider's answer included."""
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the caller asked for; kept, so that expired credentials can be read again."""

    kubeconfig: Path | None = None
    context: str | None = None
    in_cluster: bool = False
    allow_exec: bool = False
    service_account: Path = SERVICE_ACCOUNT


@dataclass(frozen=True, slots=True)
class Access:
    """A server and the way in. `tls` is `None` for plain HTTP; `authorization` may be empty."""

    url: str
    authorization: str
    tls: ssl.SSLContext | None = None
    server_name: str | None = None
    proxy: str | None = None
    impersonation: tuple[tuple[str, str], ...] = ()
    """Headers that ask to be treated as somebody else."""
    token_file: Path | None = None
    renew_at: datetime | None = None
    fingerprint: str = ""
    """Digest of the certificates behind `tls`."""

    def __repr__(self) -> str:
        return f"Access({self.url})"

    def same_as(self, other: Access) -> bool:
        """Whether both say the same of who we are."""
        return (self.authorization, self.fingerprint) == (other.authorization, other.fingerprint)


async def read_access(wanted: Wanted, now: datetime) -> Access:
    """Read the credentials (again). Errors: `UnauthorizedError` that names file and cure."""
    try:
        async with asyncio.timeout(READ_SECONDS):
            if wanted.in_cluster:
                return _service_account(wanted, now)
            return await _from_kubeconfig(wanted, now)
    except Exception as error:  # the package fails in many ways over a file that is none
        raise UnauthorizedError(
            f"no usable credentials: {_reason(error)}\n"
            f"  at:  {_origin(wanted)}\n"
            f"  fix: {_cure(wanted, error)}"
        ) from None  # the chain below may hold the file's content


async def renewed(access: Access, wanted: Wanted, now: datetime) -> Access:
    """What is due at `renew_at`. Errors: `UnauthorizedError`."""
    if access.token_file is None:
        return await read_access(wanted, now)
    try:
        authorization = _bearer_of(access.token_file)
    except (OSError, ValueError, KubeconfigError) as error:
        raise UnauthorizedError(f"the token cannot be read again: {_reason(error)}") from None
    return replace(access, authorization=authorization, renew_at=_later(now, TOKEN_SECONDS))


def _origin(wanted: Wanted) -> str:
    if wanted.in_cluster:
        return f"the pod's service account, {wanted.service_account}"
    where = str(wanted.kubeconfig) if wanted.kubeconfig else "the default kubeconfig"
    return f"{where}, context {wanted.context}" if wanted.context else where


def _reason(error: Exception) -> str:
    """Some errors' own text names keys and files; that of others could quote values."""
    known = isinstance(error, (OSError, KubeconfigError, PluginError))
    if known or type(error).__name__ == "ConfigException":
        return str(error).split("{", 1)[0].strip() or type(error).__name__
    return type(error).__name__


def _cure(wanted: Wanted, error: Exception) -> str:
    if isinstance(error, KubeconfigError) and error.cure:
        return error.cure
    if wanted.in_cluster:
        return "run it in a pod with automountServiceAccountToken, or give it a kubeconfig"
    return "check it with `kubectl config view` and `kubectl version`"


def _service_account(wanted: Wanted, now: datetime) -> Access:
    host = os.environ.get("KUBERNETES_SERVICE_HOST", "")
    port = os.environ.get("KUBERNETES_SERVICE_PORT", "")
    if not host or not port:
        raise KubeconfigError("KUBERNETES_SERVICE_HOST and _PORT are not set: this is no pod")
    url = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    token, authority = wanted.service_account / "token", wanted.service_account / "ca.crt"
    certificate = authority.read_bytes()
    if not certificate.strip():
        raise KubeconfigError(f"{authority} is empty")
    renew_at = _later(now, TOKEN_SECONDS)
    found = Access(url, _bearer_of(token), token_file=token, renew_at=renew_at)
    return _access(found, Certificates(certificate))


async def _from_kubeconfig(wanted: Wanted, now: datetime) -> Access:
    context = read_context(wanted.kubeconfig, wanted.context)
    user, certificates = context.user.value, context.certificates()
    provider = (user.get("auth-provider") or {}).get("name")
    if ("exec" in user or provider == "gcp") and not wanted.allow_exec:
        raise KubeconfigError(
            "its user runs a program to get credentials, which is not allowed",
            "if you trust that program, allow it with --allow-exec",
        )
    found = Access(
        context.url,
        authorization="",
        server_name=str(context.cluster.value.get("tls-server-name") or "") or None,
        proxy=_proxy(context),
        impersonation=context.impersonation(),
    )
    if "exec" in user:
        credential = await _ask_plugin(context, certificates)
        if credential.certificate:
            pems = (credential.certificate.encode(), credential.key.encode())
            certificates = replace(certificates, certificate=pems[0], key=pems[1])
        token = f"Bearer {credential.token}" if credential.token else ""
        found = replace(found, authorization=token, renew_at=_end(credential, now))
    else:
        found = await _with_authorization(found, context.user, now)
    return _access(found, certificates)


def _access(found: Access, certificates: Certificates) -> Access:
    """With TLS and what could not be sent refused."""
    if not found.authorization.isprintable():
        raise KubeconfigError("its token holds characters that no token has")
    digest = sha256(b"\0".join(_parts(certificates))).hexdigest()
    tls = certificates.context() if found.url.startswith("https:") else None
    proxy = found.proxy or proxy_for(found.url, os.environ)
    return replace(found, tls=tls, proxy=proxy, fingerprint=digest)


def _parts(certificates: Certificates) -> tuple[bytes, ...]:
    return (certificates.authority, certificates.certificate, certificates.key)


def _proxy(context: Context) -> str | None:
    url = str(context.cluster.value.get("proxy-url") or "")
    if url and not url.startswith(("http://", "https://")):
        raise KubeconfigError("its proxy-url is not of http:// or https://, and others do not work")
    return url or None


async def _ask_plugin(context: Context, certificates: Certificates) -> Credential:
    cluster = context.cluster.value
    told = {"server": context.url}
    if certificates.authority:
        told["certificate-authority-data"] = base64.b64encode(certificates.authority).decode()
    for name in ("tls-server-name", "insecure-skip-tls-verify", "proxy-url"):
        if cluster.get(name):
            told[name] = cluster[name]
    return await run_plugin(context.user.value["exec"], context.user.folder, told)


async def _with_authorization(found: Access, user: Entry, now: datetime) -> Access:
    token_file = user.path("tokenFile")
    if token_file is not None:
        renew_at = _later(now, TOKEN_SECONDS)
        authorization = _bearer_of(token_file)
        return replace(found, authorization=authorization, token_file=token_file, renew_at=renew_at)
    return replace(found, authorization=(await _authorization(user)).strip())


async def _authorization(user: Entry) -> str:
    """The header of a token, a name with its password or an identity provider's token."""
    value = user.value
    if value.get("auth-provider"):
        return await _of_provider(value["auth-provider"])
    if value.get("token"):
        return f"Bearer {value['token']}"
    if value.get("username") and value.get("password"):
        pair = f"{value['username']}:{value['password']}"
        return f"Basic {base64.b64encode(pair.encode()).decode()}"
    return ""


async def _of_provider(provider: dict[str, Any]) -> str:
    """OIDC and `gcp`, which the `kubernetes` package speaks."""
    from kubernetes.aio.client import Configuration
    from kubernetes.aio.config.kube_config import KubeConfigLoader

    user = {"auth-provider": provider}
    named = {"context": {"cluster": "x", "user": "x"}, "cluster": {"server": ""}, "user": user}
    config: dict[str, Any] = {
        f"{kind}s": [{"name": "x", kind: value}] for kind, value in named.items()
    }
    loader: Any = KubeConfigLoader  # the package has no types here
    configuration: Any = Configuration()
    await loader({**config, "current-context": "x"}).load_and_set(configuration)
    return str(configuration.api_key.get("BearerToken") or "")


def _bearer_of(path: Path) -> str:
    token = path.read_text().strip()
    if not token or not token.isprintable():
        raise KubeconfigError(f"{path} holds no token")
    return f"Bearer {token}"


def _end(credential: Credential, now: datetime) -> datetime | None:
    if credential.expires is None:
        return None
    early = credential.expires - timedelta(seconds=LEAD_SECONDS)
    return max(early, _later(now, LEAD_SECONDS))


def _later(now: datetime, seconds: float) -> datetime:
    return now + timedelta(seconds=seconds)
