"""What people decide about the whole fleet: `freeze`, `unfreeze`, `catch-up`, `approve --removals`.

A freeze in Git (`RolloutBudget.spec.freeze`) is lifted in Git; these are the same by a Decision.
"""

from __future__ import annotations

import getpass
from typing import Any

import click

from fleet.api.client import ApiClient
from fleet.cli.asking import hub_option

reason_option = click.option("-m", "--reason", default="", help="Why; it is kept.")
actor_option = click.option("--as", "actor", default="", help="Who decides; default: you.")


@click.command()
@click.option("-m", "--reason", required=True, help="Why; everybody who waits is told.")
@actor_option
@hub_option
def freeze(reason: str, actor: str, url: str) -> None:
    """Start nothing in the whole fleet; offers are taken back, what has started settles."""
    _decide(url, "freeze", actor, reason)


@click.command()
@reason_option
@actor_option
@hub_option
def unfreeze(reason: str, actor: str, url: str) -> None:
    """Lift the freeze that people decided; one in Git is lifted there."""
    _decide(url, "unfreeze", actor, reason)


@click.command("catch-up")
@click.argument("clusters", nargs=-1, required=True)
@reason_option
@actor_option
@hub_option
def catch_up(clusters: tuple[str, ...], reason: str, actor: str, url: str) -> None:
    """Let the catch-up lane try CLUSTERS again that it gave up, or that are late for too long."""
    _decide(url, "catch-up", actor, reason, clusters=clusters)


def with_removals(approve: click.Command) -> None:
    """Let `approve` also take `--removals BUNDLE` in the place of a run."""
    of_run = approve.callback
    assert of_run is not None, "every decision has a callback"

    def decide(removals: str, run: str, **said: Any) -> None:
        if removals:
            _decide(said["url"], "approve-removals", said["actor"], said["reason"], removals)
        elif not (run or said["commit"]):
            raise click.UsageError("name a RUN, or a bundle with --removals")
        else:
            of_run(run=run, **said)

    approve.callback = decide
    more = click.Option(
        ["--removals"],
        default="",
        metavar="BUNDLE",
        help="Instead of RUN: let the held removals of this bundle go.",
    )
    approve.params.append(more)


def _decide(
    url: str, verb: str, actor: str, reason: str, bundle: str = "", clusters: tuple[str, ...] = ()
) -> None:
    body: dict[str, Any] = {"reason": reason, "actor": actor or getpass.getuser(), "bundle": bundle}
    body |= {"clusters": list(clusters)} if clusters else {}
    with ApiClient(url) as hub:
        click.echo(hub.post(f"/v1/fleet/{verb}", body)["message"])
