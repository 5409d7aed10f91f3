"""`fleet agent`: the pull agent of one cluster as an operating-system process.

Reads the token, opens the cluster and the state directory, and runs until SIGTERM or SIGINT. Logs
are one line each on stderr. A wrong token, a hub of another wire version, an unusable kubeconfig
or state directory print one error with its cure and exit with 1.

The token is never logged, and never an argument: a command line is visible to everybody.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import click

from agents.errors import AgentError
from agents.settings import Settings

TOKEN_VARIABLE = "FLEET_TOKEN"  # the variable's name, not a token
DEFAULTS = Settings()
LEVELS = ("debug", "info", "warning", "error")


@dataclass(frozen=True, slots=True)
class Arguments:
    """What the command was given."""

    hub: str
    cluster: str
    token: str
    state_dir: Path
    kubeconfig: Path | None
    context: str | None
    in_cluster: bool
    allow_exec: bool
    settings: Settings


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--hub", required=True, metavar="URL", help="Where the hub listens.")
@click.option("--cluster", required=True, metavar="NAME", help="The cluster's name in Git.")
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help=f"File with the cluster's token; without it the variable {TOKEN_VARIABLE}.",
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
@click.option("--log-level", type=click.Choice(LEVELS), default="info", show_default=True)
def agent(
    hub: str,
    cluster: str,
    token_file: Path | None,
    kubeconfig: Path | None,
    context: str | None,
    in_cluster: bool,
    allow_exec: bool,
    state_dir: Path | None,
    health_interval: float,
    check_interval: float,
    requests_per_second: float,
    request_burst: int,
    log_level: str,
) -> None:
    """Run the pull agent of one cluster.

    It fetches what the hub grants this cluster, applies it, keeps it healed (also while the hub is
    away) and reports.
    """
    logging.basicConfig(
        level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    settings = replace(
        DEFAULTS,
        health_interval_seconds=health_interval,
        check_interval_seconds=check_interval,
        requests_per_second=requests_per_second,
        request_burst=request_burst,
    )
    directory = state_dir or Path.home() / ".local" / "state" / "fleet" / cluster
    try:
        token = read_token(token_file)
        arguments = Arguments(
            hub,
            cluster,
            token,
            directory,
            kubeconfig,
            context,
            in_cluster,
            allow_exec,
            settings,
        )
        asyncio.run(serve(arguments))
    except AgentError as error:
        raise click.ClickException(str(error)) from error


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


def _no_token(what: str, where: str) -> AgentError:
    fix = f"pass --token-file or set {TOKEN_VARIABLE}; `fleet cluster token NAME` makes one"
    return AgentError(what, at=where, fix=fix, code="token")


async def serve(arguments: Arguments) -> None:
    """Run one incarnation until a signal ends it. Errors: `AgentError`."""
    from agents.agent import Agent
    from agents.hub_client import HttpHub
    from clusters.clock import SystemClock
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
            SystemClock(),
            arguments.state_dir,
            name=arguments.cluster,
            incarnation=secrets.token_hex(8),
            seed=secrets.randbits(64),
            settings=settings,
            version=_version(),
        )
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, running.stop)
        logging.getLogger(__name__).info(
            "agent of cluster %s, hub %s", arguments.cluster, arguments.hub
        )
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
