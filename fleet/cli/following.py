"""`fleet rollout status`, `history` and `explain`: how far runs are, when they end, why they wait.

`status --watch` keeps a board on the terminal and draws it anew in place; where the output is no
terminal it prints again whenever the answer differs, as every question does.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from fleet.api.client import ApiClient
from fleet.cli.asking import WATCH_SECONDS, ask, document_text, hub_option, rows_text, watch_option
from fleet.cli.explaining import ALL_EVENT_COLUMNS, EVENT_COLUMNS
from fleet.cli.following_text import explanations_text, progress_text
from fleet.cli.output import output_option

run_argument = click.argument("run", required=False, default="")
commit_option = click.option("--commit", default="", help="All runs of this commit.")


def _asked(run: str, commit: str) -> dict[str, str]:
    if run and commit:
        raise click.UsageError("name a RUN or a --commit, not both")
    return {key: value for key, value in (("run", run), ("commit", commit)) if value}


@click.command()
@run_argument
@commit_option
@output_option
@watch_option
@hub_option
def status(run: str, commit: str, form: str, watch: bool, url: str) -> None:
    """Show how far RUN, the runs of a commit, or all live runs are, and when they end.

    For each stage its clusters, gates, what its failure budget has left and its end (by the p50 and
    p90 of what clusters took so far); for all that waits, every reason.
    """
    asked = _asked(run, commit)

    def show(hub: ApiClient) -> str:
        return document_text(hub.get("/v1/rollout/status", asked), form, progress_text)

    if watch and form in ("table", "wide") and sys.stdout.isatty():
        with ApiClient(url) as hub:
            draw(lambda: show(hub), Console(), _second)
    else:
        ask(url, show, watch)


def draw(show: Callable[[], str], console: Console, wait: Callable[[], bool]) -> None:
    """Draw the text in place, and again after each `wait`, for as long as that says so.

    Names in it are text: markup is not interpreted.
    """
    with Live(console=console, auto_refresh=False, vertical_overflow="ellipsis") as live:
        live.update(Text(show()), refresh=True)
        while wait():
            live.update(Text(show()), refresh=True)


def _second() -> bool:
    time.sleep(WATCH_SECONDS)  # noqa: TID251 - a person waits at a terminal
    return True


@click.command()
@run_argument
@commit_option
@output_option
@watch_option
@hub_option
def history(run: str, commit: str, form: str, watch: bool, url: str) -> None:
    """List what happened in RUN, in the runs of a commit, or in all, the oldest first."""
    asked = _asked(run, commit)

    def show(hub: ApiClient) -> str:
        items = hub.get("/v1/rollout/history", asked)["items"]
        return rows_text(items, EVENT_COLUMNS if run else ALL_EVENT_COLUMNS, form)

    ask(url, show, watch)


@click.command()
@click.argument("cluster")
@run_argument
@output_option
@watch_option
@hub_option
def explain(cluster: str, run: str, form: str, watch: bool, url: str) -> None:
    """Say why CLUSTER waits in RUN, or in each live run that changes it: every reason."""

    def show(hub: ApiClient) -> str:
        params = {"run": run} if run else {}
        answer = hub.get(f"/v1/rollout/explain/{cluster}", params)
        return document_text(answer, form, explanations_text)

    ask(url, show, watch)
