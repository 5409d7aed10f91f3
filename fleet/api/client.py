"""The people's side of the API: what the CLI and the demo ask a hub with.

The one door to the HTTP client library for people (agents have their own). Every refusal of the
hub arrives as a `RequestError` with the hub's own what / at / fix.

Which hub: `--hub`, else `FLEET_HUB`, else the hub on this machine's default port. Which token:
`FLEET_TOKEN`, else the file `FLEET_TOKEN_FILE`, else the operator token in the state directory of
a hub that runs here. A token is never printed and never sent over plain HTTP to another machine.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from fleet.errors import RequestError

DEFAULT_URL = "http://127.0.0.1:8780"
TOKEN_FILE = "operator-token"


def default_state_dir() -> Path:
    """Where a hub keeps its store unless told otherwise: `FLEET_STATE`, else the user's folder."""
    said = os.environ.get("FLEET_STATE")
    return Path(said) if said else Path.home() / ".local" / "share" / "fleet" / "hub"


class ApiClient:
    """A hub's API for people, synchronous. Use as a context manager."""

    def __init__(self, url: str = "", token: str = "", *, timeout_seconds: float = 30) -> None:
        self.url = (url or os.environ.get("FLEET_HUB") or DEFAULT_URL).rstrip("/")
        _refuse_plain_text(self.url)
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token or find_token()}"},
            timeout=timeout_seconds,
            trust_env=False,
        )

    def __enter__(self) -> ApiClient:
        return self

    def __exit__(self, *exc: object) -> None:
        self._http.close()

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        """GET a JSON document. Errors: `RequestError`."""
        return self._call("GET", path, params=params)

    def post(self, path: str, body: Any = None) -> Any:
        """POST a JSON document and read the answer. Errors: `RequestError`."""
        return self._call("POST", path, json=body if body is not None else {})

    def _call(self, method: str, path: str, **more: Any) -> Any:
        try:
            answer = self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            raise RequestError(
                f"the hub does not answer ({type(error).__name__}: {error})",
                at=self.url,
                fix="start it with `fleet hub`, or name another with --hub or FLEET_HUB",
                code="hub-unreachable",
            ) from error
        if answer.is_success:
            return answer.json()
        raise _refusal(answer, self.url + path)


def _refusal(answer: httpx.Response, where: str) -> RequestError:
    try:
        body = answer.json()
    except ValueError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    error = RequestError(
        str(body.get("what") or f"the hub answered {answer.status_code}"),
        at=str(body.get("at") or where),
        fix=str(body.get("fix") or ""),
        code=str(body.get("code") or "request"),
    )
    error.status = answer.status_code
    return error


def _refuse_plain_text(url: str) -> None:
    parts = urlsplit(url)
    local = parts.hostname in ("127.0.0.1", "localhost", "::1")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise RequestError("that is no hub's address", at=url, fix="give http(s)://host:port")
    if parts.scheme == "http" and not local:
        raise RequestError(
            "a token does not go over plain HTTP to another machine",
            at=url,
            fix="put TLS in front of the hub and use https://, or a tunnel to 127.0.0.1",
        )


def find_token() -> str:
    """The operator token. Errors: `RequestError` that names the places looked at."""
    said = os.environ.get("FLEET_TOKEN")
    if said:
        return said.strip()
    path = Path(os.environ.get("FLEET_TOKEN_FILE") or default_state_dir() / TOKEN_FILE)
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise RequestError(
            f"no operator token: {error.strerror or error}",
            at=str(path),
            fix="set FLEET_TOKEN_FILE to the file that `fleet hub` printed at its start",
            code="no-token",
        ) from error
