"""The file itself: transactions, migrations, and what an older program makes of a newer file."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
import sqlite_utils

from fleet.errors import StoreError
from fleet.store import open_store
from fleet.store.database import DATABASE_FILE


def test_opening_twice_changes_nothing(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    first = list(sqlite_utils.Database(tmp_path / DATABASE_FILE).iterdump())
    open_store(tmp_path).close()
    assert list(sqlite_utils.Database(tmp_path / DATABASE_FILE).iterdump()) == first


def test_every_table_of_a_fleet_has_a_source_and_a_project(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with store.read() as c:
        for table in ("cluster", "cluster_group", "bundle", "bundle_deployment", "run", "problem"):
            columns = {row["name"] for row in c.execute(f"PRAGMA table_info({table})")}
            assert {"source", "project"} <= columns, table


def test_a_file_of_a_newer_fleet_is_refused_with_the_cure(tmp_path: Path) -> None:
    open_store(tmp_path).close()
    database = sqlite_utils.Database(tmp_path / DATABASE_FILE)
    row = {"migration_set": "fleet", "name": "9999_later", "applied_at": "later"}
    database.table("_sqlite_migrations").insert(row)
    database.close()
    with pytest.raises(StoreError) as refused:
        open_store(tmp_path)
    assert refused.value.code == "store-newer"
    assert "9999_later" in refused.value.what
    assert refused.value.fix


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / DATABASE_FILE).write_bytes(b"not a database, but somebody's file" * 100)
    with pytest.raises(StoreError, match="cannot be opened"):
        open_store(tmp_path)
    assert (tmp_path / DATABASE_FILE).read_bytes().startswith(b"not a database")


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="folder cannot be used"):
        open_store(tmp_path / "file" / "state")


def test_a_write_that_raises_leaves_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with pytest.raises(sqlite3.IntegrityError), store.write() as c:
        c.executemany("INSERT INTO meta VALUES (?, '1')", [("a",), ("b",), ("a",)])
    with store.read() as c:
        assert c.execute("SELECT * FROM meta WHERE key = 'a'").fetchone() is None


def test_a_write_within_a_write_is_a_programming_error(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with store.write(), pytest.raises(RuntimeError, match="already open"), store.write():
        pass


def test_writers_of_many_threads_wait_for_each_other(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with store.write() as c:
        c.execute("INSERT INTO meta VALUES ('n', '0')")

    def count() -> None:
        for _ in range(25):
            with store.write() as c:
                (n,) = c.execute("SELECT value FROM meta WHERE key = 'n'").fetchone()
                c.execute("UPDATE meta SET value = ? WHERE key = 'n'", (str(int(n) + 1),))

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    with store.read() as c:
        assert c.execute("SELECT value FROM meta WHERE key = 'n'").fetchone()[0] == "100"


def test_a_read_is_one_picture_while_others_write(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with store.read() as c:
        before = c.execute("SELECT count(*) FROM meta").fetchone()[0]
        other = sqlite3.connect(store.path)
        other.execute("INSERT INTO meta VALUES ('later', '1')")
        other.commit()
        other.close()
        assert c.execute("SELECT count(*) FROM meta").fetchone()[0] == before
