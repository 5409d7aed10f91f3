"""`fleet sync`: ask agents to reconcile now, follow them to the end, and say what each object did.

The exit code is 0 if everything that was asked for is in sync (for a dry run: would be, nothing is
refused), else 1: something failed, still waits when the time is up, or its agent is not there.
"""

from __future__ import annotations

import getpass
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import click

from fleet.api.client import ApiClient
from fleet.cli.asking import document_text, hub_option
from fleet.cli.deciding import actor_option, reason_option
from fleet.cli.output import Column, table_text, visible

LOOK_SECONDS = 0.3
GRACE_SECONDS = 5.0
"""How much longer than the hub a person's terminal waits for the end."""
QUIET = "Unchanged"

Item = Mapping[str, Any]


@click.command()
@click.argument("bundle", required=False, default="")
@click.option("-l", "--selector", default="", help="Labels of clusters, as in kubectl.")
@click.option(
    "--force",
    is_flag=True,
    help="For this sync take over fields that others own, make objects again whose change is "
    "refused as immutable, and set back drift that is only warned of.",
)
@click.option("--dry-run", is_flag=True, help="Change nothing; show what would change.")
@click.option(
    "--timeout",
    type=click.FloatRange(1, 3600),
    default=300.0,
    show_default=True,
    help="Seconds until what still waits is given up.",
)
@click.option(
    "-o",
    "--output",
    "form",
    type=click.Choice(("table", "json", "yaml")),
    default="table",
    show_default=True,
    help="How to print.",
)
@reason_option
@actor_option
@hub_option
@click.pass_context
def sync(
    ctx: click.Context,
    bundle: str,
    selector: str,
    force: bool,
    dry_run: bool,
    timeout: float,
    form: str,
    reason: str,
    actor: str,
    url: str,
) -> None:
    """Ask agents to reconcile BUNDLE (or all that they run) now, and follow them to the end.

    Only what a cluster was granted is reconciled: a sync releases nothing. Clusters whose agent is
    away are named and not waited for.
    """
    body = {
        "actor": actor or getpass.getuser(),
        "reason": reason,
        "bundle": bundle,
        "selector": selector,
        "force": force,
        "dryRun": dry_run,
        "limitSeconds": timeout,
    }
    with ApiClient(url) as hub:
        document = follow(hub, hub.post("/v1/syncs", body), timeout, time.monotonic)
    click.echo(document_text(document, form, sync_text), nl=False)
    ctx.exit(0 if all(is_good(item, dry_run=dry_run) for item in document["items"]) else 1)


def follow(
    hub: ApiClient,
    begun: Mapping[str, Any],
    timeout: float,
    clock: Callable[[], float],
) -> Any:
    """The sync when it is done, or as it is when the time is up; with objects."""
    path, now = f"/v1/syncs/{begun['sync']}", begun
    deadline = clock() + timeout + GRACE_SECONDS
    while not now["done"] and clock() < deadline:
        time.sleep(LOOK_SECONDS)  # noqa: TID251 - a person waits at a terminal
        now = hub.get(path, {"brief": "1"})
    return hub.get(path)


def result_of(item: Item) -> str:
    """One word: how the agent ended, or why it did not."""
    return str(item["sync"] if item["state"] == "Done" else item["state"])


def is_good(item: Item, *, dry_run: bool) -> bool:
    """Did this bundle deployment end as it should? For a dry run it may differ."""
    good = ("Synced", "OutOfSync") if dry_run else ("Synced",)
    return item["state"] == "Done" and item["sync"] in good


COLUMNS = (
    Column("CLUSTER", "cluster"),
    Column("BUNDLE", "bundle"),
    Column("RESULT", result_of),
    Column("HEALTH", lambda row: "" if row["health"] == "Unknown" else row["health"]),
    Column("OBJECTS", lambda row: [f"{n} {word}" for word, n in row["counts"].items()]),
    Column("MESSAGE", "message"),
)


def sync_text(document: Mapping[str, Any]) -> str:
    """A line for each bundle deployment, then every object that is worth a word."""
    items = document["items"]
    lines = [table_text(items, COLUMNS)]
    for item in items:
        told = [found for found in item["objects"] if found["deed"] != QUIET]
        if told:
            lines.append(f"\n{visible(item['cluster'])} / {visible(item['bundle'])}\n")
            lines += object_lines(told)
    lines.append("\n" + summary(document) + "\n")
    return "".join(lines)


def object_lines(objects: Iterable[Item]) -> Iterator[str]:
    """What each object came to, with the fields that changed."""
    for found in objects:
        code = f" [{found['code']}]" if found["code"] else ""
        said = f": {found['message']}" if found["message"] else ""
        yield visible(f"  {found['deed']:<10} {found['object']}{code}{said}") + "\n"
        for field in found["changes"]:
            by = f" (set by {field['manager']})" if field["manager"] else ""
            path = field["path"] or "the object"
            live, wanted = _shown(field["live"]), _shown(field["wanted"])
            yield visible(f"             {path}: {live} → {wanted}{by}") + "\n"


def _shown(value: str | None) -> str:
    return "nothing" if value is None else value


def summary(document: Mapping[str, Any]) -> str:
    """The last line: how many are in order, and who was not there."""
    items = document["items"]
    good = sum(is_good(item, dry_run=document["dryRun"]) for item in items)
    what = "would sync without a refusal" if document["dryRun"] else "in sync"
    text = f"sync {document['sync']}: {good} of {len(items)} {what}"
    away = sorted({item["cluster"] for item in items if item["state"] == "Offline"})
    if away:
        text += f"; offline, not asked to the end: {', '.join(map(visible, away))}"
    late = sorted({item["cluster"] for item in items if item["state"] in ("Asked", "TimedOut")})
    if late:
        text += f"; not done in time: {', '.join(map(visible, late))}"
    return text
