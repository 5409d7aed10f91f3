"""SQL of people: the views answer, and no trick reads a secret, writes, or takes for ever."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from agents.protocol import BundleDeployment, Options
from fleet.errors import RequestError
from fleet.store import Store, open_store
from fleet.store.agents import set_token, token_hash
from fleet.store.query import query
from fleet.store.targets import keep_bodies
from fleet.store.views import VIEWS

NOW = datetime(2030, 1, 1, tzinfo=UTC)
CANARY = "c4n4ry-v4lue"
TOKEN = "t0k3n-of-an-agent"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = open_store(tmp_path)
    with store.write() as c:
        set_token(c, "staging-1", TOKEN, NOW)
        secret = BundleDeployment.of("web", "sha256:a", {"password": CANARY}, Options())
        keep_bodies(c, [secret])
        c.execute("INSERT INTO cluster (name, declared) VALUES ('staging-1', 1)")
        c.execute(
            "INSERT INTO bundle_deployment (cluster, bundle, wanted, current, generation)"
            " VALUES ('staging-1', 'web', ?, ?, 1)",
            (secret.digest, secret.digest),
        )
    return store


def refused(store: Store, sql: str, **limits: float) -> RequestError:
    with pytest.raises(RequestError) as found:
        query(store, sql, **limits)  # type: ignore[arg-type]
    return found.value


@pytest.mark.parametrize("view", sorted(VIEWS))
def test_every_view_answers(store: Store, view: str) -> None:
    assert query(store, f'SELECT * FROM "{view}"').columns


def test_the_views_use_the_words_of_the_status_tables(store: Store) -> None:
    answer = query(store, "SELECT cluster, bundle, sync, health FROM bundledeployments")
    assert answer.rows == (("staging-1", "web", "Syncing", "Unknown"),)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM agent_token",
        "SELECT count(*) FROM agent_token",
        "SELECT (SELECT hash FROM agent_token)",
        "WITH t AS (SELECT hash h FROM agent_token) SELECT h FROM t",
        "SELECT body FROM deployment_body",
        "SELECT b.body FROM bundle_deployment d JOIN deployment_body b ON b.digest = d.current",
        "DELETE FROM run",
        "INSERT INTO meta VALUES ('epoch', '9')",
        "CREATE TEMP TABLE x AS SELECT 1",
        "ATTACH '/etc/passwd' AS p",
        "PRAGMA writable_schema = 1",
        "SELECT load_extension('x')",
        "VACUUM INTO '/tmp/copy'",
        "BEGIN EXCLUSIVE",
    ],
)
def test_secrets_and_writes_are_refused(store: Store, sql: str) -> None:
    error = refused(store, sql)
    assert error.code in ("query-refused", "bad-query")
    assert CANARY not in str(error)
    assert token_hash(TOKEN) not in str(error)


def test_no_view_or_table_that_may_be_read_holds_a_secret(store: Store) -> None:
    names = query(store, "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')").rows
    for (name,) in names:
        if name in ("agent_token", "deployment_body"):
            continue
        shown = str(query(store, f'SELECT * FROM "{name}"').rows)
        for secret in (CANARY, TOKEN, token_hash(TOKEN)):
            assert secret not in shown, name


def test_a_mistake_is_told_with_the_views_to_ask(store: Store) -> None:
    error = refused(store, "SELEC 1")
    assert error.code == "bad-query"
    assert "bundledeployments" in error.fix


def test_two_statements_are_one_too_many(store: Store) -> None:
    assert refused(store, "SELECT 1; SELECT 2").code == "bad-query"


def test_a_query_without_end_is_stopped(store: Store) -> None:
    endless = "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT sum(n) FROM x"
    assert refused(store, endless, seconds=0.05).code == "query-too-slow"


def test_too_many_rows_and_too_large_cells_are_cut(store: Store) -> None:
    many = (
        "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT n FROM x LIMIT 50"
    )
    answer = query(store, many, rows=10)
    assert (len(answer.rows), answer.truncated) == (10, True)
    assert refused(store, "SELECT length(zeroblob(900000000))").code == "bad-query"


def test_bytes_are_shown_as_digits(store: Store) -> None:
    assert query(store, "SELECT x'00ff'").rows == (("00ff",),)
