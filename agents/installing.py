"""`fleet agent install` and `fleet agent rbac`: manifests for a cluster, on standard output.

Both print and change nothing. Which rights an agent needs follows from what its cluster runs and is
to run, and that the hub knows: it is asked with the cluster's own token, also before there is an
agent. Where no hub can be asked, what `fleet render` prints says it; `--all-rights` is a decision.

The token is never an argument, and goes nowhere but into the Secret that it is meant for.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TextIO

import click

from agents.errors import AgentError
from agents.tokens import TOKEN_VARIABLE, read_token

if TYPE_CHECKING:
    from agents.protocol.needs import Needs

IMAGE = "fleet-agent"
_token_file = click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"File with the cluster's token; without it the variable {TOKEN_VARIABLE}.",
)


@click.command()
@click.option("--cluster", required=True, metavar="NAME", help="The cluster's name in Git.")
@click.option("--hub", required=True, metavar="URL", help="Where agents reach the hub.")
@_token_file
@click.option(
    "--hub-key",
    type=click.File(),
    help="File with the hub's public key. Without it the first hub is believed.",
)
@click.option("--image", default="", help=f"The agent's image. Default: {IMAGE}:VERSION.")
@click.option(
    "--rights-for",
    type=click.File("rb"),
    metavar="MANIFESTS",
    help="Rights for these objects, as `fleet render NAME` prints them; the hub is not asked.",
)
@click.option(
    "--all-rights",
    "every_right",
    is_flag=True,
    help="Let the agent do everything in its cluster; the hub is not asked.",
)
def install(
    cluster: str,
    hub: str,
    token_file: Path | None,
    hub_key: TextIO | None,
    image: str,
    rights_for: BinaryIO | None,
    every_right: bool,
) -> None:
    """Print the manifests that run the agent inside its cluster; changes nothing.

    The agent gets the rights that it needs for what the cluster runs and is to run, as the hub
    knows it, and no others. They hold the cluster's token: pipe them to
    `kubectl apply --server-side -f -`, and keep them out of Git.
    """
    from agents.hub_client import check_address
    from agents.manifests import Installation, agent_manifests
    from agents.rights import all_rights, rights_of
    from clusters.objects import dump_yaml

    if every_right and rights_for:
        raise click.UsageError("--all-rights and --rights-for exclude each other")
    try:
        check_address(hub)
        token = read_token(token_file)
        if every_right:
            rights = all_rights()
        elif rights_for:
            rights = rights_of(_read(rights_for))
        else:
            rights = rights_of(_asked(hub, cluster, token))
    except AgentError as error:
        raise click.ClickException(str(error)) from error
    wanted = Installation(
        cluster=cluster,
        hub=hub,
        token=token,
        image=image or f"{IMAGE}:{installed_version() or 'latest'}",
        hub_key=hub_key.read() if hub_key else "",
        rights=rights,
    )
    click.echo(dump_yaml(agent_manifests(wanted)), nl=False)


@click.command()
@click.argument("manifests", type=click.File("rb"), required=False)
@click.option("--cluster", default="", metavar="NAME", help="Ask the hub what this cluster runs.")
@click.option("--hub", default="", metavar="URL", help="The hub to ask.")
@_token_file
@click.option(
    "--service-account",
    "accounts",
    multiple=True,
    metavar="NAME",
    help="An account that bundles among MANIFESTS name with serviceAccount; may be given again.",
)
def rbac(
    manifests: BinaryIO | None,
    cluster: str,
    hub: str,
    token_file: Path | None,
    accounts: tuple[str, ...],
) -> None:
    """Print the rights that the agent needs, and no others; changes nothing.

    With --cluster and --hub for what that cluster runs and is to run, else for MANIFESTS, which is
    what `fleet render CLUSTER` prints (`-`: from standard input). They take the place of those that
    `fleet agent install` printed.
    """
    from agents.rights import rights_of
    from clusters.objects import dump_yaml

    if bool(cluster) != bool(hub) or bool(cluster) == bool(manifests):
        raise click.UsageError("give MANIFESTS, or --cluster and --hub")
    try:
        if manifests:
            needs = _read(manifests, accounts)
        else:
            needs = _asked(hub, cluster, read_token(token_file))
    except AgentError as error:
        raise click.ClickException(str(error)) from error
    click.echo(dump_yaml(rights_of(needs)), nl=False)


def _read(manifests: BinaryIO, accounts: tuple[str, ...] = ()) -> Needs:
    """Errors: `AgentError` for what is no manifest."""
    from agents.protocol.needs import needs_of_manifests
    from clusters.objects import EnvelopeError, YamlError, check_envelope, read_yaml_documents

    try:
        objects = [check_envelope(item) for item in read_yaml_documents(manifests.read())]
    except (YamlError, EnvelopeError) as error:
        raise AgentError(str(error), at=manifests.name) from error
    return needs_of_manifests(objects, accounts)


def _asked(hub: str, cluster: str, token: str) -> Needs:
    """What the hub says; what it does not know is told on standard error. Errors: `AgentError`."""
    try:
        needs = asyncio.run(_ask(hub, cluster, token))
    except AgentError as error:
        fix = f"{error.fix}; or say what to allow: --rights-for MANIFESTS, --all-rights"
        raise AgentError(error.what, at=error.at, fix=fix, code=error.code) from error
    if needs.unknown:
        names = ", ".join(needs.unknown)
        click.echo(f"warning: no rights for {names}: it does not render", err=True)
    return needs


async def _ask(hub: str, cluster: str, token: str) -> Needs:
    from agents.hub_client import HttpHub

    client = HttpHub(hub, cluster, token)
    try:
        return await client.needs()
    finally:
        await client.close()


def installed_version() -> str:
    """The installed version; empty when run from a tree that is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("fleet-gitops")
    except PackageNotFoundError:
        return ""
