"""Questions to the hub: status, clusters, groups, bundles, bundledeployments, runs, explain, query.

Every answer is a document of the API (`fleet.status` makes it); JSON and YAML print it as it is,
tables choose columns. `--watch` prints again whenever the answer differs.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import click

from fleet.api.client import ApiClient
from fleet.cli.explaining import explanation_text, run_text, status_text
from fleet.cli.output import Column, output_option, print_document, print_rows, short

WATCH_SECONDS = 1.0

hub_option = click.option("--hub", "url", default="", help="The hub's address (or FLEET_HUB).")
watch_option = click.option("--watch", "-w", is_flag=True, help="Print again on every change.")
selector_option = click.option(
    "-l", "--selector", default="", help="Labels, as in kubectl: env=production,region!=us."
)
name_argument = click.argument("name", required=False, default="")

CLUSTER_COLUMNS = (
    Column("CLUSTER", "cluster"),
    Column("STATE", "state"),
    Column("SYNCED", lambda row: f"{row['synced']}/{row['bundleDeployments']}", right=True),
    Column("HEALTH", "health"),
    Column("DRIFTED", "drifted", right=True),
    Column("COMMIT", lambda row: short(row["commit"])),
    Column("KUBERNETES", "kubernetesVersion"),
    Column("GROUPS", "groups"),
    Column("LAST SEEN", "lastSeen", wide=True),
    Column("LABELS", lambda row: [f"{k}={v}" for k, v in row["labels"].items()], wide=True),
    Column("AGENT", "agentVersion", wide=True),
)
GROUP_COLUMNS = (
    Column("GROUP", "group"),
    Column("CLUSTERS", "members", right=True),
    Column("ONLINE", "online", right=True),
    Column("SYNCED", lambda row: f"{row['synced']}/{row['bundleDeployments']}", right=True),
    Column("HEALTH", "health"),
    Column("DECLARED AT", "declaredAt", wide=True),
)
BUNDLE_COLUMNS = (
    Column("BUNDLE", "bundle"),
    Column("SYNCED", lambda row: f"{row['synced']}/{row['clusters']}", right=True),
    Column("HEALTH", "health"),
    Column("DRIFTED", "drifted", right=True),
    Column("COMMIT", lambda row: short(row["commit"])),
    Column("RUN", "run"),
    Column("RUN STATE", "runState"),
    Column("DEPENDS ON", "dependsOn", wide=True),
    Column("SOURCES", "sources", wide=True),
)
DEPLOYMENT_COLUMNS = (
    Column("CLUSTER", "cluster"),
    Column("BUNDLE", "bundle"),
    Column("SYNC", "sync"),
    Column("HEALTH", "health"),
    Column("READY", lambda row: f"{row['objectsReady']}/{row['objects']}", right=True),
    Column("DRIFTED", "drifted", right=True),
    Column("HEALED", "healed", right=True),
    Column("COMMIT", lambda row: short(row["commit"])),
    Column("MESSAGE", "message"),
    Column("DIGEST", lambda row: short(row["current"]), wide=True),
    Column("WANTED", lambda row: short(row["wanted"]), wide=True),
    Column("SINCE", "since", wide=True),
    Column("IMAGES", "images", wide=True),
)
RUN_COLUMNS = (
    Column("RUN", "run"),
    Column("BUNDLES", "bundles"),
    Column("STATE", "state"),
    Column("STAGE", "stage"),
    Column("HEALTHY", lambda row: f"{row['healthy']}/{row['clusters']}", right=True),
    Column("FAILED", "failed", right=True),
    Column("COMMIT", lambda row: short(row["commit"])),
    Column("TITLE", "title"),
    Column("REASON", "reason"),
    Column("CREATED", "created", wide=True),
    Column("AUTHOR", "author", wide=True),
)


def ask(url: str, show: Callable[[ApiClient], str], watch: bool) -> None:
    """Ask once and print, or go on asking and print what changed until Ctrl-C."""
    with ApiClient(url) as hub:
        printed = show(hub)
        click.echo(printed, nl=False)
        while watch:
            time.sleep(WATCH_SECONDS)  # noqa: TID251 - a person waits at a terminal
            now = show(hub)
            if now != printed:
                click.echo("---\n" + now, nl=False)
            printed = now


def listing(path: str, columns: tuple[Column, ...], doc: str) -> Callable[..., None]:
    """The body of a command that lists rows of one kind."""

    def run(name: str, selector: str, form: str, watch: bool, url: str) -> None:
        params = {k: v for k, v in (("selector", selector), ("name", name)) if v}
        ask(url, lambda hub: rows_text(hub.get(path, params)["items"], columns, form), watch)

    run.__doc__ = doc
    return run


def rows_text(rows: list[Mapping[str, Any]], columns: tuple[Column, ...], form: str) -> str:
    """Rows printed into a text."""
    import io

    out = io.StringIO()
    print_rows(rows, columns, form, file=out)
    return out.getvalue()


def document_text(document: Any, form: str, text: Callable[[Any], str]) -> str:
    """One document as JSON, YAML or by a function made for people."""
    import io

    if form in ("table", "wide"):
        return text(document)
    out = io.StringIO()
    print_document(document, form, file=out)
    return out.getvalue()


def _command(name: str, path: str, columns: tuple[Column, ...], doc: str) -> click.Command:
    body = listing(path, columns, doc)
    for option in (hub_option, watch_option, output_option, selector_option, name_argument):
        body = option(body)
    return click.command(name, help=doc)(body)


clusters = _command("clusters", "/v1/clusters", CLUSTER_COLUMNS, "List clusters, or one by NAME.")
groups = _command("groups", "/v1/groups", GROUP_COLUMNS, "List cluster groups.")
bundles = _command("bundles", "/v1/bundles", BUNDLE_COLUMNS, "List bundles over all clusters.")
bundledeployments = _command(
    "bundledeployments",
    "/v1/bundledeployments",
    DEPLOYMENT_COLUMNS,
    "List bundle deployments; NAME is a bundle, a cluster, or CLUSTER/BUNDLE.",
)


@click.command()
@name_argument
@selector_option
@output_option
@watch_option
@hub_option
def runs(name: str, selector: str, form: str, watch: bool, url: str) -> None:
    """List rollout runs, newest first, or show one NAME with stages, clusters and history."""

    def show(hub: ApiClient) -> str:
        if name:
            return document_text(hub.get(f"/v1/runs/{name}"), form, run_text)
        params = {"selector": selector} if selector else {}
        return rows_text(hub.get("/v1/runs", params)["items"], RUN_COLUMNS, form)

    ask(url, show, watch)


@click.command()
@output_option
@watch_option
@hub_option
def status(form: str, watch: bool, url: str) -> None:
    """Show the whole fleet on one page."""
    ask(url, lambda hub: document_text(hub.get("/v1/status"), form, status_text), watch)


@click.command()
@click.argument("cluster")
@click.argument("bundle")
@output_option
@watch_option
@hub_option
def explain(cluster: str, bundle: str, form: str, watch: bool, url: str) -> None:
    """Say why CLUSTER runs what it runs of BUNDLE, and what it waits for."""
    path = f"/v1/explain/{cluster}/{bundle}"
    ask(url, lambda hub: document_text(hub.get(path), form, explanation_text), watch)


@click.command()
@click.argument("sql")
@output_option
@hub_option
def query(sql: str, form: str, url: str) -> None:
    """Ask the hub's store in SQL, read-only; `SELECT * FROM runs` is one to begin with."""
    with ApiClient(url) as hub:
        answer = hub.post("/v1/query", {"sql": sql})
    names = answer["columns"]
    rows = [dict(zip(names, row, strict=True)) for row in answer["rows"]]
    columns = tuple(Column(name.upper(), name) for name in names)
    print_rows(rows, columns, form, empty="no rows")
    if answer.get("truncated"):
        click.echo("(more rows were left out)", err=True)
