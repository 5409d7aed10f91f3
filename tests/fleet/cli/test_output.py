"""Tables, JSON and YAML of the same rows; nothing that a name holds can write on a terminal."""

from __future__ import annotations

import io
import json

import pytest

from clusters.objects import read_yaml
from fleet.cli.output import Column, print_problems, print_rows, short, table_text, visible

COLUMNS = (
    Column("CLUSTER", "cluster"),
    Column("SYNCED", lambda row: f"{row['synced']}/5", right=True),
    Column("GROUPS", "groups"),
    Column("AGENT", "agent", wide=True),
)
ROWS = [
    {"cluster": "prd-eu-1", "synced": 5, "groups": ["eu", "production"], "agent": "0.1.0"},
    {"cluster": "prd", "synced": 10, "groups": [], "agent": None},
]


def printed(form: str, rows: list[dict[str, object]] = ROWS, **more: object) -> str:
    """The rows in a form."""
    out = io.StringIO()
    print_rows(rows, COLUMNS, form, file=out, **more)  # type: ignore[arg-type]
    return out.getvalue()


def test_a_table_has_a_line_for_each_row_and_no_wide_column() -> None:
    assert printed("table").splitlines() == [
        "CLUSTER    SYNCED   GROUPS",
        "prd-eu-1      5/5   eu,production",
        "prd          10/5   -",
    ]


def test_a_wide_table_has_all_columns_and_a_dash_for_nothing() -> None:
    head, first, second = printed("wide").splitlines()
    assert head.split() == ["CLUSTER", "SYNCED", "GROUPS", "AGENT"]
    assert first.split()[-1] == "0.1.0"
    assert second.split() == ["prd", "10/5", "-", "-"]


def test_json_and_yaml_are_the_rows_as_they_are() -> None:
    assert json.loads(printed("json")) == ROWS
    assert read_yaml(printed("yaml")) == ROWS


def test_a_document_stands_for_the_rows_where_there_is_one() -> None:
    assert json.loads(printed("json", document={"items": 2})) == {"items": 2}


def test_no_rows_are_said_to_people_and_an_empty_list_to_programs() -> None:
    assert printed("table", [], empty="no cluster gets anything") == "no cluster gets anything\n"
    assert json.loads(printed("json", [])) == []


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("\x1b[2Jgone", "�[2Jgone"),
        ("a\nb\tc", "a b c"),
        ("bell\x07", "bell�"),
        ("right\u202eleft", "right�left"),
        ("[red]plain[/red]", "[red]plain[/red]"),
        ("zürich-✓", "zürich-✓"),
    ],
)
def test_a_name_is_shown_and_never_obeyed(name: str, shown: str) -> None:
    assert visible(name) == shown
    assert table_text([{"n": name}], [Column("N", "n")]) == f"N\n{shown}\n"


def test_control_characters_in_a_list_are_shown_too() -> None:
    assert "\x1b" not in table_text([{"n": ["a", "\x1b[2J"]}], [Column("N", "n")])


def test_a_long_cell_is_not_cut_and_not_folded() -> None:
    message = "x" * 500
    assert message in table_text([{"m": message}], [Column("M", "m")])


def test_a_digest_is_shortened_to_twelve_digits() -> None:
    assert short("sha256:" + "ab" * 32) == "abababababab"
    assert short(None) == short("") == ""


def test_problems_go_to_stderr_and_only_an_error_fails(capsys: pytest.CaptureFixture[str]) -> None:
    warning = {"severity": "warning", "code": "paused", "what": "w", "at": "a:1", "fix": "f"}
    assert print_problems([warning]) is False
    assert print_problems([warning, {**warning, "severity": "error"}]) is True
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[:3] == ["warning: w [paused]", "  at:  a:1", "  fix: f"]


def test_a_problem_cannot_write_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    print_problems(
        [{"severity": "error", "code": "x", "what": "\x1b[2Jw", "at": "\x1b]0;a", "fix": "\x07"}]
    )
    assert not set(capsys.readouterr().err) & {"\x1b", "\x07"}
