"""What people decide: `fleet rollout …`, tokens for agents, and a look at Git right now.

Every decision is recorded by the hub with who, when and why; a refusal says what to do instead.
"""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping
from typing import Any

import click

from fleet.api.client import ApiClient
from fleet.cli.asking import hub_option
from fleet.cli.following import explain, history, status
from fleet.cli.freezing import catch_up, freeze, unfreeze, with_removals
from fleet.cli.previewing import plan, schema

reason_option = click.option(
    "-m", "--reason", default="", help="Why; it is kept with the decision."
)
actor_option = click.option("--as", "actor", default="", help="Who decides; default: you.")


@click.group()
def rollout() -> None:
    """Plan rollouts; decide on runs: approve, pause, retry, skip, roll back …"""


_STAGE = click.option("--stage", default="", help="Only this stage's gate.")
_CLUSTERS = click.option(
    "--cluster", "clusters", multiple=True, help="Only this one; may be repeated."
)
_GATE = click.option("--gate", required=True, help="Which, as `fleet runs RUN -o yaml` names it.")
_HOTFIX = click.option(
    "--hotfix", is_flag=True, help="Open the hotfix lane for RUN, whose commit asks for it."
)
_COMMIT = click.option("--commit", default="", help="Instead of RUN: every live run of it.")


def _verb(name: str, doc: str, *options: Callable[..., Any]) -> None:
    """Add one subcommand that records the decision of that name."""

    def body(run: str, commit: str, reason: str, actor: str, url: str, **more: Any) -> None:
        verb = "hotfix" if more.pop("hotfix", False) else name
        decide(url, verb, run, commit, _said(reason, actor, more))

    for option in (hub_option, actor_option, reason_option, *options, _COMMIT, _RUN):
        body = option(body)
    rollout.add_command(click.command(name, help=doc)(body))


_RUN = click.argument("run", required=False, default="")


def _said(reason: str, actor: str, more: Mapping[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {"reason": reason, "actor": actor or getpass.getuser()}
    return said | {k: list(v) if isinstance(v, tuple) else v for k, v in more.items() if v}


def decide(url: str, verb: str, run: str, commit: str, said: Mapping[str, Any]) -> None:
    """Ask the hub to record a decision on one run, or on all of a commit."""
    if bool(run) == bool(commit):
        raise click.UsageError("name a RUN, or all runs of a commit with --commit")
    where = f"/v1/runs/{run}/{verb}" if run else f"/v1/commits/{commit}/{verb}"
    with ApiClient(url) as hub:
        answer = hub.post(where, said)
    click.echo(answer.get("message") or f"{verb}: recorded for run {run}")


_verb("approve", "Approve RUN where it waits for an approval.", _STAGE, _HOTFIX)
_verb("reject", "Reject RUN where it waits for an approval.", _STAGE)
_verb("pause", "Pause RUN: nothing new starts, what has started settles.")
_verb("retry", "Try again what failed in RUN; one that has ended is opened again.", _CLUSTERS)
_verb("skip", "Leave clusters out of RUN, if they have not started or have failed.", _CLUSTERS)
_verb("forgive", "Go on past what failed in RUN; needs -m REASON.", _CLUSTERS)
_verb("override", "Let one gate of RUN pass, whatever it says; needs -m REASON.", _GATE)
_verb("abort", "End RUN; clusters keep what they have.")
_verb("rollback", "Take every cluster that RUN touched back to what it last baked.")


with_removals(rollout.commands["approve"])
rollout.add_command(freeze)
rollout.add_command(unfreeze)
rollout.add_command(catch_up)


@rollout.command()
@_RUN
@_COMMIT
@click.option("--forgive", default="", metavar="REASON", help="Forgive what failed, and go on.")
@reason_option
@actor_option
@hub_option
def resume(run: str, commit: str, forgive: str, reason: str, actor: str, url: str) -> None:
    """Resume a paused RUN."""
    if forgive:
        decide(url, "forgive", run, commit, _said(forgive, actor, {}))
    decide(url, "resume", run, commit, _said(reason or forgive, actor, {}))


_DIGEST = click.option(
    "--digest",
    "digests",
    multiple=True,
    help="Only this content: 8 characters or more of its digest; may be repeated.",
)


def _bundle_verb(name: str, doc: str) -> None:
    """Add one subcommand that records the decision of that name on a bundle."""

    def body(bundle: str, run: str, reason: str, actor: str, url: str, **more: Any) -> None:
        said = _said(reason, actor, {**more, "run": run})
        with ApiClient(url) as hub:
            click.echo(hub.post(f"/v1/bundles/{bundle}/{name}", said)["message"])

    run = click.option("--run", default="", help="Only what this run brings.")
    for option in (hub_option, actor_option, reason_option, run, _DIGEST):
        body = option(body)
    rollout.add_command(click.command(name, help=doc)(click.argument("bundle")(body)))


_bundle_verb(
    "veto",
    "Hold what Git wants of BUNDLE now, on every cluster, until it wants something else or you"
    " `unveto`; needs -m REASON.",
)
_bundle_verb("unveto", "Release what is vetoed of BUNDLE again; needs -m REASON.")


for _asked in (plan, schema, status, history, explain):
    rollout.add_command(_asked)


@click.group()
def cluster() -> None:
    """Tokens for agents, and clusters that are gone."""


@cluster.command()
@click.argument("name")
@hub_option
def token(name: str, url: str) -> None:
    """Make a new token for the agent of cluster NAME; an earlier one ends. Printed only once."""
    with ApiClient(url) as hub:
        click.echo(hub.post(f"/v1/clusters/{name}/token")["token"])


@cluster.command()
@click.argument("name")
@hub_option
def forget(name: str, url: str) -> None:
    """Forget cluster NAME, which Git does not declare, and end its agent's token.

    For a cluster whose agent will not take leave any more; the others are forgotten by themselves.
    """
    with ApiClient(url) as hub:
        click.echo(hub.post(f"/v1/clusters/{name}/forget")["message"])


@click.command()
@hub_option
def refresh(url: str) -> None:
    """Make the hub look at Git now instead of at its next poll."""
    with ApiClient(url) as hub:
        answer = hub.post("/v1/source/refresh")
    click.echo(answer.get("message") or "the hub looks at Git now")
