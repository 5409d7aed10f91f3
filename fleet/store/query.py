"""SQL of people: one SELECT, read-only, bounded, and blind to secrets.

Four walls, each enough alone: the connection is opened read-only, an authorizer allows nothing but
reading, a time limit interrupts, and the answer is cut at a number of rows. Tokens and the bodies
of bundle deployments (which hold variables) cannot be read under any name.
"""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from fleet.errors import RequestError
from fleet.store.database import Store
from fleet.store.views import VIEWS, add_functions

SECONDS = 5.0
ROWS = 10_000
CELL_BYTES = 1_000_000
ANSWER_CHARACTERS = 20_000_000
INSTRUCTIONS_BETWEEN_LOOKS = 10_000

SECRET = frozenset({"agent_token", "deployment_body"})
_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE})
_FORBIDDEN_FUNCTIONS = frozenset({"load_extension", "writefile", "readfile", "edit"})


@dataclass(frozen=True, slots=True)
class Answer:
    """Columns and rows; `truncated` if there were more."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    truncated: bool = False


def query(store: Store, sql: str, *, seconds: float = SECONDS, rows: int = ROWS) -> Answer:
    """Run one SELECT. Errors: `RequestError` (`bad-query`, `query-refused`, `query-too-slow`)."""
    uri = f"{store.path.absolute().as_uri()}?mode=ro"
    with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, CELL_BYTES)
        add_functions(connection)
        connection.execute("PRAGMA query_only = 1")
        connection.set_authorizer(_authorize)
        until = time.monotonic() + seconds
        connection.set_progress_handler(
            lambda: int(time.monotonic() > until), INSTRUCTIONS_BETWEEN_LOOKS
        )
        try:
            return _run(connection, sql, rows)
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            raise _refusal(error, seconds) from error


def _run(connection: sqlite3.Connection, sql: str, rows: int) -> Answer:
    cursor = connection.execute(sql)
    names = tuple(column[0] for column in cursor.description or ())
    found: list[tuple[Any, ...]] = []
    room = ANSWER_CHARACTERS
    for row in cursor:
        room -= sum(len(cell) if isinstance(cell, str | bytes) else 8 for cell in row)
        if len(found) == rows or room < 0:
            return Answer(names, tuple(found), truncated=True)
        found.append(tuple(_shown(cell) for cell in row))
    return Answer(names, tuple(found))


def _shown(cell: Any) -> Any:
    return cell.hex() if isinstance(cell, bytes) else cell


def _authorize(
    action: int, first: str | None, second: str | None, database: str | None, inner: str | None
) -> int:
    if action == sqlite3.SQLITE_READ:
        return sqlite3.SQLITE_DENY if first in SECRET else sqlite3.SQLITE_OK
    if action == sqlite3.SQLITE_FUNCTION and second in _FORBIDDEN_FUNCTIONS:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY


def _refusal(error: Exception, seconds: float) -> RequestError:
    said = str(error)
    if "interrupted" in said:
        return RequestError(
            f"the query took longer than {seconds:g} s",
            fix="ask for less: a WHERE on cluster, bundle or run, or a LIMIT",
            code="query-too-slow",
        )
    if "not authorized" in said or "prohibited" in said:
        return RequestError(
            f"that query is not allowed: {said}",
            fix="one SELECT over the views " + ", ".join(sorted(VIEWS)),
            code="query-refused",
        )
    return RequestError(
        f"the query is not understood: {said}",
        fix="one SELECT over the views " + ", ".join(sorted(VIEWS)),
        code="bad-query",
    )
