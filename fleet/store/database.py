"""The database file: who may write when, and what a transaction is.

One connection for each thread, WAL, and `BEGIN IMMEDIATE` for every write, so that a writer never
finds out at its last statement that it read something old. Writers of this process queue at a lock
instead of at SQLite's busy handler. A write is on disk when `write()` returns (`durable=False`:
it survives a kill of the process, not a power cut; for reports, which agents send again).

Never nests: a write within a write is a programming error and raises.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlite_utils

from fleet.errors import StoreError
from fleet.store.artifacts import Artifacts
from fleet.store.migrations import migrations
from fleet.store.views import make_views

Connection = sqlite3.Connection

DATABASE_FILE = "fleet.db"
BUSY_SECONDS = 30.0
MAPPED_BYTES = 2**31
"""Pages are read from the page cache of the system, not copied into one cache for each thread."""


class Store:
    """The hub's memory in one folder. Made by `open_store`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / DATABASE_FILE
        self.artifacts = Artifacts(folder / "artifacts")
        self._local = threading.local()
        self._writer = threading.Lock()
        self._opened: list[Connection] = []

    @contextmanager
    def write(self, *, durable: bool = True) -> Iterator[Connection]:
        """One write transaction: commits at the end of the block, undone if the block raises."""
        connection = self._connection()
        if connection.in_transaction:
            raise RuntimeError("a transaction of this thread is already open")
        with self._writer:
            level = "FULL" if durable else "NORMAL"
            connection.execute(f"PRAGMA synchronous={level}")
            connection.execute("BEGIN IMMEDIATE")
            yield from _until_committed(connection)

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """One consistent picture for all statements of the block; never writes."""
        connection = self._connection()
        if connection.in_transaction:
            raise RuntimeError("a transaction of this thread is already open")
        connection.execute("BEGIN")
        yield from _until_committed(connection)

    def close(self) -> None:
        """Close every thread's connection; the store cannot be used after it."""
        for connection in self._opened:
            connection.close()
        self._opened.clear()
        self._local = threading.local()

    def _connection(self) -> Connection:
        connection: Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = connect(self.path)
            self._local.connection = connection
            self._opened.append(connection)
        return connection


def _until_committed(connection: Connection) -> Iterator[Connection]:
    try:
        yield connection
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def open_store(folder: Path) -> Store:
    """Open or make the store in `folder` and bring its tables up to date.

    Errors: `StoreError` if the file is no database, damaged, or of a newer version of Fleet.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        store = Store(folder)
        database = sqlite_utils.Database(connect(store.path))
        try:
            _migrate(database, store.path)
        finally:
            database.close()
        with store.write() as c:
            make_views(c)
    except OSError as error:
        raise StoreError(
            f"the store's folder cannot be used: {error.strerror or error}",
            at=str(folder),
            fix="give a folder that this user may write to",
        ) from error
    except sqlite3.Error as error:
        raise StoreError(
            f"the store cannot be opened: {error}",
            at=str(folder / DATABASE_FILE),
            fix="restore the file from a backup, or move it away to begin anew from Git",
        ) from error
    return store


def connect(path: Path) -> Connection:
    """A connection in autocommit mode, so that transactions begin where this module says."""
    connection = sqlite3.connect(
        path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    connection.row_factory = sqlite3.Row
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(f"PRAGMA mmap_size={MAPPED_BYTES}")
    return connection


def _migrate(database: sqlite_utils.Database, path: Path) -> None:
    known = {step.name for step in migrations.pending(sqlite_utils.Database(memory=True))}
    newer = sorted({step.name for step in migrations.applied(database)} - known)
    if newer:
        raise StoreError(
            f"the store was written by a newer version of Fleet (it has {', '.join(newer)})",
            at=str(path),
            fix="run that version, or restore a backup from before the upgrade",
            code="store-newer",
        )
    migrations.apply(database)
