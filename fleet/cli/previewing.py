"""`fleet rollout plan` and `fleet rollout schema`: what a policy means before anything moves.

`plan` reads a commit and talks to nobody, or asks a running hub (`--live`) what it would start now.
"""

from __future__ import annotations

import sys
from typing import Any

import click

from fleet.cli.asking import hub_option
from fleet.cli.offline import open_renderer, open_source, repo_option
from fleet.cli.output import (
    Column,
    output_option,
    print_document,
    print_problems,
    table_text,
    visible,
)

STAGE_COLUMNS = (
    Column("STAGE", "stage"),
    Column("AFTER", "dependsOn"),
    Column("CLUSTERS", lambda row: len(row["clusters"]), right=True),
    Column("OF", "members", right=True),
    Column("AT A TIME", lambda row: [str(step) for step in row["parallelism"]]),
    Column("MAY FAIL", "failureBudget", right=True),
    Column("MUST BE HEALTHY", "minHealthy", right=True),
    Column("GATES", lambda row: _gates(row["gates"])),
    Column("PRICE", "price"),
    Column("IN THIS ORDER", "clusters"),
)


@click.command()
@click.argument("rev", default="HEAD")
@repo_option
@click.option("--live", is_flag=True, help="Ask the hub what it would start now; REV is its own.")
@hub_option
@output_option
def plan(rev: str, repo: str, live: bool, url: str, form: str) -> None:
    """Show the runs that commit REV would make: stages, clusters in order, every number.

    Offline the fleet is thought to run all of the commit before. JSON and YAML hold everything,
    with the whole spec of each rollout: presets expanded, every default written out; so does wide.
    """
    if live:
        from fleet.api.client import ApiClient

        with ApiClient(url) as hub:
            document = hub.get("/v1/rollout/plan")
    else:
        document = _offline(repo, rev)
    _print(document, form)
    if print_problems(document["problems"]):
        sys.exit(1)


def _offline(repo: str, rev: str) -> dict[str, Any]:
    from clusters.clock import SystemClock
    from fleet.hub.contents import plan_commit
    from fleet.hub.situations import offline

    source = open_source(repo)
    with open_renderer() as renderer:
        commit = source.resolve(rev)
        planned = plan_commit(source, commit, renderer)
        parent = source.parent(commit)
        before = plan_commit(source, parent, renderer) if parent else None
    return offline(before, planned, SystemClock().now())


def _print(document: dict[str, Any], form: str) -> None:
    if form in ("json", "yaml"):
        print_document(document, form)
        return
    if not document["runs"]:
        click.echo("no run would be made")
    for run in document["runs"]:
        click.echo(visible(_head(run)))
        click.echo(table_text(run["stages"], STAGE_COLUMNS, sys.stdout))
    for held in document["held"]:
        where = ", ".join(held["clusters"]) or "everywhere"
        click.echo(visible(f"held: {held['bundle'] or 'everything'} ({where}): {held['reason']}"))
    if form == "wide":
        for one in document["rollouts"]:
            click.echo(f"# the whole spec of rollout {visible(one['rollout'])}")
            print_document(one["spec"], "yaml")


def _head(run: dict[str, Any]) -> str:
    removals = run["removals"]
    parts = [f"{', '.join(run['bundles'])}: rollout {run['rollout']}, {run['clusters']} clusters"]
    if removals["count"]:
        parts.append(f"{removals['count']} removals ({removals['withoutAsking']} without asking)")
    parts += [f"{c['name']} {c['domain']}: {c['what']} {c['atMost']}" for c in run["caps"]]
    return "; ".join(parts)


def _gates(gates: dict[str, Any]) -> str:
    from fleet.rollout.preview import gate_words

    return gate_words(gates)


@click.command()
def schema() -> None:
    """Print the JSON Schema of `kind: Rollout` and `kind: RolloutBudget`."""
    from fleet.rollout.schema import schema as made

    print_document(made(), "json")
