"""Log lines: one for each fact, in two forms, without secrets."""

from __future__ import annotations

import io
import json
import logging
import sqlite3
from collections.abc import Iterator

import pytest

from clusters.errors import InvalidError
from clusters.logs import LineFormatter, begin_logs

TOKEN = "c4n4ry-token-of-a-cluster"
CANARY = "c4n4ry-in-a-value"
LOG = logging.getLogger("agents.holdings")


def line(form: str, message: str, *arguments: object, **parts: object) -> str:
    """A record as that form has it."""
    record = LOG.makeRecord(LOG.name, 20, "", 0, message, arguments, None, extra=parts)
    return LineFormatter(form, [TOKEN]).format(record)


def test_json_is_one_object_with_the_parts_of_the_fact() -> None:
    said = json.loads(line("json", "bundle", bundle="web", generation=3, sync="Synced"))
    assert said.pop("at").endswith("Z")
    assert said == {
        "level": "info",
        "logger": "agents.holdings",
        "event": "bundle",
        "bundle": "web",
        "generation": 3,
        "sync": "Synced",
    }


def test_text_names_the_parts_and_quotes_what_has_spaces() -> None:
    said = line("text", "bundle", bundle="web", reason='waits for "base"', digest="")
    tail = said.split(" ", 1)[1]
    assert tail == (
        'INFO agents.holdings bundle bundle=web reason="waits for \\"base\\"" digest=""'
    )


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_line_stays_one_line_whatever_a_cluster_says(form: str) -> None:
    said = line(form, "refused: %s", "first\nINFO forged line\x1b[2J", reason="a\r\nb")
    assert "\n" not in said
    assert "\r" not in said
    assert "\x1b" not in said


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_gets_into_a_line(form: str) -> None:
    said = line(form, "sent %s", TOKEN, header="Authorization: Bearer abc.def", reason=f"x{TOKEN}")
    assert TOKEN not in said
    assert "abc.def" not in said
    assert said.count("(redacted)") == 3


def test_a_part_cannot_take_the_place_of_what_a_line_always_says() -> None:
    assert json.loads(line("json", "bundle", level="forged", event="x"))["level"] == "info"


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:] = handlers
    root.setLevel(level)


def test_what_goes_wrong_is_logged_with_its_trace_on_one_line(root: logging.Logger) -> None:
    stream = io.StringIO()
    begin_logs("json", "warning", [TOKEN], stream)
    LOG.info("not this")
    try:
        raise InvalidError(f"refused: {TOKEN}")
    except InvalidError:
        LOG.exception("unexpected")
    (said,) = stream.getvalue().splitlines()
    error = json.loads(said)["error"]
    assert "test_logs.py" in error
    assert "InvalidError: refused: (redacted)" in error


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_nobody_foresaw_is_told_by_kind_and_place_and_not_by_its_text(
    root: logging.Logger, form: str
) -> None:
    """As a KeyError names its key and a ValueError what it could not read."""
    stream = io.StringIO()
    begin_logs(form, "warning", (), stream)
    try:
        try:
            {"other": 1}[CANARY]
        except KeyError:
            int(CANARY)
    except ValueError:
        LOG.exception("unexpected")
    (said,) = stream.getvalue().splitlines()
    for word in ("KeyError", "and then", "ValueError", "in test_what_nobody_foresaw"):
        assert word in said
    assert CANARY not in said


def test_what_a_disk_or_a_database_says_is_told(root: logging.Logger) -> None:
    stream = io.StringIO()
    begin_logs("text", "warning", (), stream)
    for error in (OSError(28, "No space left"), sqlite3.OperationalError("database is locked")):
        LOG.error("unexpected", exc_info=error)
    full, locked = stream.getvalue().splitlines()
    assert "No space left" in full
    assert "database is locked" in locked


def test_logs_that_begin_again_are_not_said_twice(root: logging.Logger) -> None:
    first, second = io.StringIO(), io.StringIO()
    begin_logs("text", "info", (), first)
    begin_logs("text", "info", (), second)
    LOG.info("once")
    assert (first.getvalue(), len(second.getvalue().splitlines())) == ("", 1)
