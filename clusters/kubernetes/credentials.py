"""Where an API server is and how to sign requests: from a kubeconfig, or inside a pod.

The one place that imports the `kubernetes` package, and only when it is asked. A kubeconfig can
name programs to run (exec plugins, the `gcp` provider's command); they are refused unless
`allow_exec`, because a kubeconfig is often handed over by somebody else.

Never prints a token, a password or a key, and never logs the file's content.
"""

from __future__ import annotations

import ssl
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from clusters.errors import UnauthorizedError


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the caller asked for; kept, so that expired credentials can be read again."""

    kubeconfig: Path | None = None
    context: str | None = None
    in_cluster: bool = False
    allow_exec: bool = False


@dataclass(frozen=True, slots=True)
class Access:
    """A server and the way in. `tls` is `None` for plain HTTP; `authorization` may be empty."""

    url: str
    authorization: str
    tls: ssl.SSLContext | None
    server_name: str | None
    proxy: str | None

    def __repr__(self) -> str:
        return f"Access({self.url})"


async def read_access(wanted: Wanted) -> Access:
    """Read the credentials (again). Errors: `UnauthorizedError` that names file and cure."""
    try:
        configuration = await _configuration(wanted)
        return await _access(configuration)
    except Exception as error:  # the package fails in many ways over a file that is none
        raise UnauthorizedError(
            f"no usable credentials: {_reason(error)}\n"
            f"  at:  {_origin(wanted)}\n"
            "  fix: check it with `kubectl config view` and `kubectl version`"
        ) from None  # the chain below may hold the file's content


def _origin(wanted: Wanted) -> str:
    if wanted.in_cluster:
        return "the pod's service account"
    where = str(wanted.kubeconfig) if wanted.kubeconfig else "the default kubeconfig"
    return f"{where}, context {wanted.context}" if wanted.context else where


def _reason(error: Exception) -> str:
    """The library's own text names keys and files; text of other errors could quote values."""
    if type(error).__name__ == "ConfigException" or isinstance(error, OSError):
        return str(error).split("{", 1)[0].strip()
    return type(error).__name__


async def _configuration(wanted: Wanted) -> Any:
    from kubernetes.aio.client import Configuration
    from kubernetes.aio.config import load_incluster_config

    configuration: Any = Configuration()
    if wanted.in_cluster:
        load: Any = load_incluster_config  # the package has no types here
        load(client_configuration=configuration)
    else:
        await _load_kubeconfig(wanted, configuration)
    return configuration


async def _load_kubeconfig(wanted: Wanted, configuration: Any) -> None:
    from kubernetes.aio.config import (
        KUBE_CONFIG_DEFAULT_LOCATION,
        ConfigException,
        kube_config,
    )

    paths = str(wanted.kubeconfig or KUBE_CONFIG_DEFAULT_LOCATION)
    library: Any = kube_config  # the package has no types here
    merged = library.KubeConfigMerger(paths).config
    if merged is None:
        raise ConfigException(f"there is no file {paths}")
    user = _user_of(merged, wanted.context)
    runs_program = "exec" in user or (user.get("auth-provider") or {}).get("name") == "gcp"
    if runs_program and not wanted.allow_exec:
        raise ConfigException("its user runs a program to get credentials, which is not allowed")
    loader = library.KubeConfigLoader(
        config_dict=merged, active_context=wanted.context, config_base_path=None
    )
    await loader.load_and_set(configuration)
    if runs_program and not (configuration.api_key or configuration.cert_file):
        raise ConfigException("the program that its user runs gave no credentials")


def _user_of(merged: Any, context: str | None) -> dict[str, Any]:
    """The user entry that a context points to, empty if it has none."""
    name = context or merged["current-context"]
    chosen = merged["contexts"].get_with_name(name)["context"]
    wanted_user = chosen.safe_get("user")
    users = merged.safe_get("users") or []
    for entry in users:
        value = getattr(entry, "value", entry)
        if value.get("name") == wanted_user:
            return dict(value.get("user") or {})
    return {}


async def _access(configuration: Any) -> Access:
    url = str(configuration.host).rstrip("/")
    return Access(
        url=url,
        authorization=await configuration.get_api_key_with_prefix("BearerToken") or "",
        tls=_tls(configuration) if url.startswith("https:") else None,
        server_name=configuration.tls_server_name,
        proxy=configuration.proxy or _environment_proxy(url),
    )


def _tls(configuration: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    # Many clusters' own authorities lack the extensions that Python 3.13 began to demand.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, keyfile=configuration.key_file)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _environment_proxy(url: str) -> str | None:
    """The proxy that HTTPS_PROXY and NO_PROXY ask for; never for this machine, as in kubectl."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host in ("localhost", "::1") or host.startswith("127."):
        return None
    if urllib.request.proxy_bypass(host):
        return None
    return urllib.request.getproxies().get(parts.scheme)
