"""How answers are printed: tables for people, JSON and YAML for programs.

A table is a list of rows (dicts) and a list of `Column`s; wide columns show only with `-o wide`.
Text from Git or clusters is printed as text: markup in names and messages is never interpreted,
control characters are made visible.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any

import click

FORMATS = ("table", "wide", "json", "yaml")

GOOD = frozenset({"Healthy", "Synced", "Online", "Succeeded", "Done"})
BAD = frozenset({"Failed", "Degraded", "Missing", "TimedOut", "Offline", "error", "Aborted"})
BUSY = frozenset(
    {"Progressing", "Syncing", "Waiting", "Running", "Paused", "Queued", "Updating", "Verifying"}
    | {"GatedBefore", "GatedAfter", "OutOfSync", "Unknown", "Pending", "warning", "Assigned"}
    | {"Applying", "Skipped", "Removed", "Superseded", "Suspended", "StillUnhealthy"}
)

output_option = click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(FORMATS),
    default="table",
    show_default=True,
    help="How to print.",
)


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its title and the key, or function, that gives the cell."""

    title: str
    cell: str | Callable[[Mapping[str, Any]], Any]
    wide: bool = False
    right: bool = False

    def text(self, row: Mapping[str, Any]) -> str:
        """The cell's text; `-` for nothing."""
        value = self.cell(row) if callable(self.cell) else row.get(self.cell)
        if value is None or value == "":
            return "-"
        if isinstance(value, list | tuple):
            return visible(",".join(str(item) for item in value)) or "-"
        return visible(str(value))


def short(digest: str | None) -> str:
    """The first twelve digits of a digest or commit; empty for none."""
    return (digest or "").removeprefix("sha256:")[:12]


def visible(text: str) -> str:
    """The text on one line, control characters replaced: no name can write on a terminal."""
    return "".join(c if c.isprintable() else " " if c in "\n\t" else "�" for c in text)


def visible_lines(text: str) -> str:
    """As `visible`, but line by line: for messages of several lines."""
    return "\n".join(visible(line) for line in text.split("\n"))


def print_rows(
    rows: Sequence[Mapping[str, Any]],
    columns: Sequence[Column],
    form: str = "table",
    *,
    document: Any = None,
    file: IO[str] | None = None,
    empty: str = "nothing found",
) -> None:
    """Print rows in the wanted form; `document` is what JSON and YAML show (default: the rows)."""
    out = file or sys.stdout
    if form in ("json", "yaml"):
        print_document(list(rows) if document is None else document, form, file=out)
        return
    if not rows:
        click.echo(empty, file=out)
        return
    out.write(table_text(rows, [c for c in columns if form == "wide" or not c.wide], out))


def print_document(document: Any, form: str, *, file: IO[str] | None = None) -> None:
    """One document as JSON or YAML."""
    from clusters.objects import dump_yaml

    out = file or sys.stdout
    if form == "yaml":
        out.write(dump_yaml([document]))
        return
    import orjson

    out.write(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode() + "\n")


def table_text(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[Column], out: IO[str] | None = None
) -> str:
    """The table as text, colours only if `out` is a terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    colour = bool(out and out.isatty())
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column.title, justify="right" if column.right else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(Text(text, style_of(text)) for text in (c.text(row) for c in columns)))
    console = Console(width=10_000, force_terminal=colour, color_system="auto" if colour else None)
    with console.capture() as capture:
        console.print(table)
    return "".join(line.rstrip() + "\n" for line in capture.get().splitlines())


def style_of(text: str) -> str:
    """A colour for a state's word."""
    if text in GOOD:
        return "green"
    if text in BAD:
        return "red"
    return "yellow" if text in BUSY else ""


def print_problems(problems: Iterable[Mapping[str, Any]]) -> bool:
    """Problems to stderr in the three-line form; true if there is an error among them."""
    from fleet.errors import describe

    failed = False
    for problem in problems:
        severity = str(problem["severity"])
        failed = failed or severity == "error"
        head = f"{severity}: {problem['what']} [{problem['code']}]"
        click.secho(
            visible_lines(describe(head, str(problem["at"]), str(problem["fix"]))),
            err=True,
            fg="red" if severity == "error" else "yellow",
        )
    return failed
