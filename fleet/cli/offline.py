"""`fleet plan` and `fleet render`: what Git says, with no hub, no cluster and no network.

Problems go to stderr; the exit code is 1 if there is an error among them, 0 for warnings alone.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from fleet.cli.output import (
    Column,
    output_option,
    print_problems,
    print_rows,
    short,
)

if TYPE_CHECKING:
    from fleet.plan.entries import Plan, PlanEntry
    from fleet.render import Renderer
    from fleet.source import Source

repo_option = click.option(
    "--repo",
    default=".",
    show_default=True,
    help="The fleet repository: a folder or a Git URL.",
)
rev_option = click.option("--rev", default="HEAD", show_default=True, help="Which commit.")

PLAN_COLUMNS = (
    Column("CLUSTER", "cluster"),
    Column("BUNDLE", "bundle"),
    Column("DIGEST", lambda row: short(row["digest"]) or "held"),
    Column("OBJECTS", "objects", right=True),
    Column("SOURCE", "source"),
    Column("WHY", "reason"),
    Column("CUSTOMIZATION", "customization", wide=True),
    Column("ARTIFACT", lambda row: short(row["artifact"]) or "held", wide=True),
    Column("IMAGES", "images", wide=True),
)


def cache_dir() -> Path:
    """Where renders are cached between calls: the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "fleet" / "renders"


def open_source(repo: str) -> Source:
    """The repository of `--repo`. Errors: `SourceError`."""
    from fleet.source import Source

    return Source.open(repo)


def open_renderer() -> Renderer:
    """A renderer with the user's cache."""
    from fleet.render import Renderer

    return Renderer(cache_dir())


@click.command()
@repo_option
@rev_option
@output_option
@click.option("--cluster", "only", multiple=True, help="Only this cluster; may be repeated.")
def plan(repo: str, rev: str, form: str, only: tuple[str, ...]) -> None:
    """Show what every cluster is to run at a commit, and why.

    The digest names artifact, variables and options together: equal digests mean that nothing
    would be done. Compared with the commit before, it warns of a change that reaches production
    without passing staging.
    """
    from fleet.hub.contents import plan_commit
    from fleet.hub.planning import warnings_of_change

    source = open_source(repo)
    with open_renderer() as renderer:
        commit = source.resolve(rev)
        planned = plan_commit(source, commit, renderer)
        parent = source.parent(commit)
        before = plan_commit(source, parent, renderer) if parent else None
    problems = [*planned.plan.problems, *warnings_of_change(before, planned)]
    rows = plan_rows(planned.plan, only)
    document = {
        "commit": planned.plan.commit,
        "bundleDeployments": rows,
        "problems": [problem_row(p) for p in problems],
    }
    print_rows(rows, PLAN_COLUMNS, form, document=document, empty="no cluster gets anything")
    if print_problems(problem_row(p) for p in problems):
        sys.exit(1)


def plan_rows(plan: Plan, only: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """One row for each bundle deployment, by cluster and bundle."""
    return [
        entry_row(name, entry)
        for name in plan.clusters()
        if not only or name in only
        for entry in plan.entries_of(name)
    ]


def entry_row(cluster: str, entry: PlanEntry) -> dict[str, Any]:
    """A plan entry of one cluster as people and programs see it; of variables the names alone."""
    wanted = entry.deployment
    return {
        "cluster": cluster,
        "bundle": entry.bundle,
        "digest": wanted.digest if wanted else None,
        "artifact": wanted.artifact if wanted else None,
        "variables": sorted(wanted.variables) if wanted else [],
        "options": wanted.options.model_dump(mode="json", exclude_defaults=True) if wanted else {},
        "objects": entry.objects,
        "source": entry.source,
        "customization": entry.customization,
        "reason": entry.reason,
        "images": list(entry.images),
        "charts": list(entry.charts),
    }


def problem_row(problem: Any) -> dict[str, Any]:
    """A problem as a row; the API answers the same keys."""
    return {
        "code": problem.code,
        "severity": str(problem.severity),
        "what": problem.what,
        "at": problem.at,
        "fix": problem.fix,
        "bundle": problem.bundle,
        "cluster": problem.cluster,
    }


@click.command()
@click.argument("cluster")
@click.option("--bundle", default="", help="Only this bundle.")
@repo_option
@rev_option
def render(cluster: str, bundle: str, repo: str, rev: str) -> None:
    """Print every object that CLUSTER would get, as one YAML stream, variables filled in."""
    from clusters.objects import dump_yaml
    from fleet.hub.planning import render_cluster

    source = open_source(repo)
    with open_renderer() as renderer:
        result = render_cluster(source.tree(source.resolve(rev)), renderer, cluster, bundle)
    sys.stdout.write(dump_yaml(result.objects))
    if print_problems(problem_row(p) for p in result.problems):
        sys.exit(1)
