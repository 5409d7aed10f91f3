"""Who is calling: a person by name, whoever has the operator token, or the agent of one cluster.

The operator token lies in the hub's folder, readable by its owner only. Agents' tokens are kept as
hashes and bound to one cluster name. An empty token is nobody's, whatever the store holds.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from fleet.errors import StoreError
from fleet.store.agents import cluster_of_token, token_hash
from fleet.store.database import Store
from fleet.store.people import NOBODY, People, Person

OPERATOR_FILE = "operator-token"
SHORTEST = 16


@dataclass(frozen=True, slots=True)
class Caller:
    """Who presented a token: an agent of `cluster`, a `person`, or (without both) the operator."""

    cluster: str = ""
    person: Person | None = None

    @property
    def is_operator(self) -> bool:
        """Is it whoever has the operator token?"""
        return not self.cluster and self.person is None


class Access:
    """Tokens of one hub."""

    def __init__(self, store: Store, operator_token: str, people: People = NOBODY) -> None:
        self._store = store
        self.people = people
        self._operator = token_hash(operator_token)

    def caller_of(self, token: str) -> Caller | None:
        """Who presents this token; `None` for a token that this hub did not give."""
        if not token:
            return None
        if hmac.compare_digest(token_hash(token), self._operator):
            return Caller()
        person = self.people.person_of(token)
        if person is not None:
            return Caller(person=person)
        with self._store.read() as c:
            cluster = cluster_of_token(c, token)
        return Caller(cluster) if cluster else None


def operator_token(folder: Path, mint: Callable[[], str]) -> str:
    """The operator token of the hub in `folder`; made there with mode 0600 if there is none.

    Errors: `StoreError` if the file can be read by others or holds no usable token.
    """
    path = folder / OPERATOR_FILE
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read(path)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(mint() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return _read(path)


def _read(path: Path) -> str:
    mode = path.stat().st_mode
    if mode & 0o077:
        raise StoreError(
            "the operator token can be read by others on this machine",
            at=str(path),
            fix=f"chmod 600 {path}, or delete the file: the hub makes a new token at its start",
            code="token-readable",
        )
    token = path.read_text(encoding="utf-8").strip()
    if len(token) < SHORTEST:
        raise StoreError(
            "the operator token is empty or too short",
            at=str(path),
            fix="delete the file: the hub makes a new token at its start",
            code="token-too-short",
        )
    return token
