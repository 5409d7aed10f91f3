"""`fleet agent`: the pull agent of one cluster as an operating-system process; `install` prints it.

Reads the token, opens the cluster and the state directory, and runs until SIGTERM or SIGINT. Logs
are one line each on stderr. A wrong token, a hub of another wire version, an unusable kubeconfig
or state directory print one error with its cure and exit with 1.

The token is never logged, and never an argument: a command line is visible to everybody.
"""

from __future__ import annotations

import asyncio
import logging
import os
import platform
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TextIO

import click

from agents.errors import AgentError
from agents.settings import Settings
from agents.state_lock import locked
from clusters.logs import FORMS, begin_logs

if TYPE_CHECKING:
    from agents.agent import Agent

TOKEN_VARIABLE = "FLEET_TOKEN"  # the variable's name, not a token
DEFAULTS = Settings()
IMAGE = "fleet-agent"
_log = logging.getLogger(__name__)
LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Arguments:
    """What the command was given."""

    hub: str
    cluster: str
    token: str
    state_dir: Path
    hub_key: str
    kubeconfig: Path | None
    context: str | None
    in_cluster: bool
    allow_exec: bool
    settings: Settings
    metrics_listen: str


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    subcommand_metavar="[install|rbac ...]",
)
@click.option("--hub", metavar="URL", default="", help="Where the hub listens. Needed to run.")
@click.option(
    "--cluster", metavar="NAME", default="", help="The cluster's name in Git. Needed to run."
)
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"File with the cluster's token; without it the variable {TOKEN_VARIABLE}.",
)
@click.option(
    "--hub-key",
    default="",
    metavar="KEY|FILE",
    help="The hub's key, as `fleet hub-key` prints it. Without it the first hub is believed.",
)
@click.option(
    "--kubeconfig",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Default: KUBECONFIG or ~/.kube/config.",
)
@click.option("--context", help="Context of the kubeconfig.")
@click.option("--in-cluster", is_flag=True, help="Use the pod's service account.")
@click.option(
    "--allow-exec",
    is_flag=True,
    help="Run the program that the kubeconfig names to get credentials, if it names one.",
)
@click.option(
    "--state-dir",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the last target and artifacts are kept. Default: ~/.local/state/fleet/CLUSTER.",
)
@click.option(
    "--health-interval",
    type=click.FloatRange(min=0.05),
    default=DEFAULTS.health_interval_seconds,
    show_default=True,
    help="Seconds between looks at what is not healthy yet.",
)
@click.option(
    "--check-interval",
    type=click.FloatRange(min=1),
    default=DEFAULTS.check_interval_seconds,
    show_default=True,
    help="Seconds between full checks for drift.",
)
@click.option(
    "--requests-per-second",
    type=click.FloatRange(min=0),
    default=DEFAULTS.requests_per_second,
    show_default=True,
    help="Requests to the API server in the long run; 0 is no limit.",
)
@click.option(
    "--request-burst",
    type=click.IntRange(min=1),
    default=DEFAULTS.request_burst,
    show_default=True,
    help="Requests at once after a quiet time, where there is such a limit.",
)
@click.option(
    "--events/--no-events",
    default=True,
    show_default=True,
    help="Make Kubernetes Events when the state of a bundle changes.",
)
@click.option(
    "--metrics-listen",
    default="",
    metavar="HOST:PORT",
    help="Answer /metrics, /healthz and /readyz there. Default: nowhere.",
)
@click.option("--log-level", type=click.Choice(LEVELS), default="info", show_default=True)
@click.option("--log-format", type=click.Choice(FORMS), default="text", show_default=True)
@click.pass_context
def agent(ctx: click.Context, /, log_level: str, log_format: str, **given: Any) -> None:
    """Run the pull agent of one cluster.

    It fetches what the hub grants this cluster, applies it, keeps it healed (also while the hub is
    away) and reports.
    """
    if ctx.invoked_subcommand is not None:
        return
    for name in ("hub", "cluster"):
        if not given[name]:
            raise click.UsageError(f"Missing option '--{name}'.", ctx)
    try:
        arguments = arguments_of(**given)
        begin_logs(log_format, log_level, [arguments.token])
        with locked(arguments.state_dir):
            asyncio.run(serve(arguments))
    except AgentError as error:
        raise click.ClickException(str(error)) from error


def arguments_of(
    *,
    hub: str,
    cluster: str,
    token_file: Path | None,
    hub_key: str,
    kubeconfig: Path | None,
    context: str | None,
    in_cluster: bool,
    allow_exec: bool,
    state_dir: Path | None,
    health_interval: float,
    check_interval: float,
    requests_per_second: float,
    request_burst: int,
    events: bool,
    metrics_listen: str,
) -> Arguments:
    """What the options amount to. Errors: `AgentError` (`token`)."""
    settings = replace(
        DEFAULTS,
        health_interval_seconds=health_interval,
        check_interval_seconds=check_interval,
        requests_per_second=requests_per_second,
        request_burst=request_burst,
        events=events,
    )
    return Arguments(
        hub,
        cluster,
        read_token(token_file),
        state_dir or Path.home() / ".local" / "state" / "fleet" / cluster,
        read_hub_key(hub_key),
        kubeconfig,
        context,
        in_cluster,
        allow_exec,
        settings,
        metrics_listen,
    )


def read_token(path: Path | None) -> str:
    """The token from the file, or from the environment. Errors: `AgentError` (`token`)."""
    if path is None:
        token = os.environ.get(TOKEN_VARIABLE, "").strip()
        where = TOKEN_VARIABLE
    else:
        where = str(path)
        try:
            token = path.read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise _no_token(f"the token cannot be read: {error}", where) from error
    if not token:
        raise _no_token("there is no token", where)
    return token


def read_hub_key(said: str) -> str:
    """The key itself, or what the file of that name says. Errors: `AgentError`."""
    if not said or said.startswith("ssh-"):
        return said
    try:
        return Path(said).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise AgentError(
            f"the hub's key cannot be read: {error}",
            at=said,
            fix="give the line ssh-ed25519 AAAA… that `fleet hub-key` prints, or a file of it",
            code="hub-key-unreadable",
        ) from error


def _no_token(what: str, where: str) -> AgentError:
    fix = f"pass --token-file or set {TOKEN_VARIABLE}; `fleet cluster token NAME` makes one"
    return AgentError(what, at=where, fix=fix, code="token")


@asynccontextmanager
async def probes_at(listen: str, running: Agent) -> AsyncIterator[None]:
    """Answer probes and scrapes while the block runs, if they are asked for."""
    if not listen:
        yield
        return
    from agents.probes import Probes

    async with Probes(listen, running.standing) as probes:
        _log.info("probes", extra={"url": probes.url})
        yield


@agent.command()
@click.option("--cluster", required=True, metavar="NAME", help="The cluster's name in Git.")
@click.option("--hub", required=True, metavar="URL", help="Where agents reach the hub.")
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"File with the cluster's token; without it the variable {TOKEN_VARIABLE}.",
)
@click.option(
    "--hub-key",
    type=click.File(),
    help="File with the hub's public key. Without it the first hub is believed.",
)
@click.option("--image", default="", help=f"The agent's image. Default: {IMAGE}:VERSION.")
def install(
    cluster: str, hub: str, token_file: Path | None, hub_key: TextIO | None, image: str
) -> None:
    """Print the manifests that run the agent inside its cluster; changes nothing.

    They hold the cluster's token: pipe them to `kubectl apply --server-side -f -`, and keep them
    out of Git.
    """
    from agents.hub_client import check_address
    from agents.manifests import Installation, agent_manifests
    from clusters.objects import dump_yaml

    try:
        check_address(hub)
        token = read_token(token_file)
    except AgentError as error:
        raise click.ClickException(str(error)) from error
    wanted = Installation(
        cluster=cluster,
        hub=hub,
        token=token,
        image=image or f"{IMAGE}:{_version() or 'latest'}",
        hub_key=hub_key.read() if hub_key else "",
    )
    click.echo(dump_yaml(agent_manifests(wanted)), nl=False)


@agent.command()
@click.argument("manifests", type=click.File("rb"), default="-")
@click.option(
    "--service-account",
    "accounts",
    multiple=True,
    metavar="NAME",
    help="An account that bundles name with serviceAccount; may be given again.",
)
def rbac(manifests: BinaryIO, accounts: tuple[str, ...]) -> None:
    """Print the rights that the agent needs to deploy MANIFESTS, and no others; changes nothing.

    MANIFESTS is what `fleet render CLUSTER` prints, by default from standard input. The printed
    roles take the place of the ClusterRole of `fleet agent install`, which allows everything.
    """
    from agents.rights import rights_for
    from clusters.objects import (
        EnvelopeError,
        YamlError,
        check_envelope,
        dump_yaml,
        read_yaml_documents,
    )

    try:
        objects = [check_envelope(item) for item in read_yaml_documents(manifests.read())]
    except (YamlError, EnvelopeError) as error:
        raise click.ClickException(str(error)) from error
    click.echo(dump_yaml(rights_for(objects, accounts)), nl=False)


async def serve(arguments: Arguments) -> None:
    """Run one incarnation until a signal ends it. Errors: `AgentError`."""
    from agents.agent import Agent
    from agents.hub_client import HttpHub
    from clusters.clock import SteadyClock
    from clusters.errors import ClusterError
    from clusters.kubernetes import KubernetesCluster, Limits, Rate

    settings = arguments.settings
    limit = settings.request_limit_seconds
    hub = HttpHub(arguments.hub, arguments.cluster, arguments.token, limit_seconds=limit)
    try:
        cluster = await KubernetesCluster.connect(
            arguments.kubeconfig,
            arguments.context,
            in_cluster=arguments.in_cluster,
            allow_exec=arguments.allow_exec,
            limits=Limits(rate=Rate(settings.requests_per_second, settings.request_burst)),
        )
    except ClusterError as error:  # it says where, and what to do
        raise AgentError(str(error), code=error.code) from error
    try:
        running = Agent(
            cluster,
            hub,
            SteadyClock(),
            arguments.state_dir,
            name=arguments.cluster,
            incarnation=secrets.token_hex(8),
            seed=secrets.randbits(64),
            settings=settings,
            version=_version(),
            hub_key=arguments.hub_key,
            host=platform.node(),
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, running.stop)
        _log.info("started", extra={"cluster": arguments.cluster, "hub": arguments.hub})
        async with probes_at(arguments.metrics_listen, running):
            await running.run()
    finally:
        await hub.close()
        await cluster.close()


def _version() -> str:
    """The installed version; empty when run from a tree that is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("fleet-gitops")
    except PackageNotFoundError:
        return ""
