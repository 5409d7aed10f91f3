"""The `fleet` command: a light shell whose subcommands import what they need when called.

    offline    plan, render                        read a repository, talk to nobody
    processes  hub, agent, demo, sandbox           run until stopped
    keys       hub-key                             in the folder of a hub
    asking     status, clusters, groups, bundles, bundledeployments, runs, explain, query
    asking agents  sync
    deciding   rollout approve|reject|pause|resume|retry|abort, cluster token|forget, refresh

`fleet --help` must answer at once, so this module holds names and one-line helps only. Failures
print as what / at / fix on stderr; the exit code is 1 for a failure, 2 for a misused option.
"""

from __future__ import annotations

import importlib
from typing import Any

import click

from fleet import __version__
from fleet.errors import FleetError

COMMANDS: dict[str, tuple[str, str]] = {
    "agent": ("agents.cli:agent", "Run the pull agent of one cluster."),
    "bundledeployments": (
        "fleet.cli.asking:bundledeployments",
        "What runs in which cluster, in which state.",
    ),
    "bundles": ("fleet.cli.asking:bundles", "Bundles, and how far each has come."),
    "cluster": ("fleet.cli.deciding:cluster", "Tokens for agents, and clusters that are gone."),
    "clusters": ("fleet.cli.asking:clusters", "Clusters, online or not, and what they run."),
    "demo": ("fleet.cli.demo:demo", "Watch a commit go through a simulated fleet."),
    "explain": ("fleet.cli.asking:explain", "Why a cluster runs what it runs of one bundle."),
    "groups": ("fleet.cli.asking:groups", "Cluster groups and their members' states."),
    "hub": ("fleet.cli.hub:hub", "Run the hub."),
    "hub-key": ("fleet.cli.hub:hub_key", "The key that a hub signs targets with; replace it."),
    "plan": ("fleet.cli.offline:plan", "What every cluster is to run at a commit; no hub needed."),
    "query": ("fleet.cli.asking:query", "Ask the hub's store in SQL, read-only."),
    "refresh": ("fleet.cli.deciding:refresh", "Make the hub look at Git now."),
    "render": ("fleet.cli.offline:render", "Every object that one cluster would get, as YAML."),
    "rollout": ("fleet.cli.deciding:rollout", "Approve, pause, resume, retry or abort a run."),
    "runs": ("fleet.cli.asking:runs", "Rollout runs, or one run in detail."),
    "sandbox": ("fleet.cli.sandbox:sandbox", "Simulated clusters to try kubectl or an agent on."),
    "sync": (
        "fleet.cli.syncing:sync",
        "Ask agents to reconcile now, and follow them to the end.",
    ),
    "status": ("fleet.cli.asking:status", "The whole fleet on one page."),
}


class FleetGroup(click.Group):
    """Subcommands by name; each is imported when it is called, its help line is known before."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, sorted."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return the command; `None` for a name that is not one."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in sorted(COMMANDS.items())])

    def invoke(self, ctx: click.Context) -> Any:
        """Run the subcommand; an error of Fleet's own prints as what / at / fix, exit code 1."""
        try:
            return super().invoke(ctx)
        except FleetError as error:
            from fleet.cli.output import visible_lines

            # The hub's words may hold names from Git or clusters: they are shown, never obeyed.
            click.echo(visible_lines(f"fleet: {error}"), err=True)
            ctx.exit(1)


@click.group(cls=FleetGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "-V", "--version", prog_name="fleet")
def main() -> None:
    """Fleet: one Git repository, many Kubernetes clusters, released in stages."""
