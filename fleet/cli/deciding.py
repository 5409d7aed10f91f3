"""What people decide: `fleet rollout …`, tokens for agents, and a look at Git right now.

Every decision is recorded by the hub with who, when and why; a refusal says what to do instead.
"""

from __future__ import annotations

import getpass
from typing import Any

import click

from fleet.api.client import ApiClient
from fleet.cli.asking import hub_option
from fleet.cli.freezing import catch_up, freeze, unfreeze, with_removals
from fleet.cli.previewing import plan, schema

reason_option = click.option(
    "-m", "--reason", default="", help="Why; it is kept with the decision."
)
actor_option = click.option("--as", "actor", default="", help="Who decides; default: you.")


@click.group()
def rollout() -> None:
    """Plan rollouts; approve, reject, pause, resume, retry, abort or roll back runs."""


def _verb(name: str, doc: str, *, stage: bool = False, clusters: bool = False) -> None:
    """Add one subcommand that records the decision of that name."""

    def run(run: str, reason: str, actor: str, url: str, **more: Any) -> None:
        body: dict[str, Any] = {"reason": reason, "actor": actor or getpass.getuser()}
        body |= {key: list(v) if isinstance(v, tuple) else v for key, v in more.items() if v}
        with ApiClient(url) as hub:
            answer = hub.post(f"/v1/runs/{run}/{name}", body)
        click.echo(answer.get("message") or f"{name}: recorded for run {run}")

    options = [hub_option, actor_option, reason_option]
    if stage:
        options.append(click.option("--stage", default="", help="Only this stage's gate."))
    if clusters:
        options.append(
            click.option(
                "--cluster", "clusters", multiple=True, help="Only this one; may be repeated."
            )
        )
    options.append(click.argument("run"))
    body = run
    for option in options:
        body = option(body)
    rollout.add_command(click.command(name, help=doc)(body))


_verb("approve", "Approve RUN where it waits for an approval.", stage=True)
_verb("reject", "Reject RUN where it waits for an approval.", stage=True)
_verb("pause", "Pause RUN: nothing new starts, what has started settles.")
_verb("resume", "Resume a paused RUN.")
_verb("retry", "Try again what failed in RUN.", clusters=True)
_verb("abort", "End RUN; clusters keep what they have.")
_verb("rollback", "Take every cluster that RUN touched back to what it last baked.")


with_removals(rollout.commands["approve"])
rollout.add_command(freeze)
rollout.add_command(unfreeze)
rollout.add_command(catch_up)
rollout.add_command(plan)
rollout.add_command(schema)


@click.group()
def cluster() -> None:
    """Tokens for agents."""


@cluster.command()
@click.argument("name")
@hub_option
def token(name: str, url: str) -> None:
    """Make a new token for the agent of cluster NAME; an earlier one ends. Printed only once."""
    with ApiClient(url) as hub:
        click.echo(hub.post(f"/v1/clusters/{name}/token")["token"])


@click.command()
@hub_option
def refresh(url: str) -> None:
    """Make the hub look at Git now instead of at its next poll."""
    with ApiClient(url) as hub:
        answer = hub.post("/v1/source/refresh")
    click.echo(answer.get("message") or "the hub looks at Git now")
