"""`fleet agent`: the pull agent of one cluster as an operating-system process.

Reads the token, opens the cluster and the state directory, and runs until SIGTERM or SIGINT. Logs
are one line each on stderr. A wrong token, a hub of another wire version, an unusable kubeconfig
or state directory print one error with its cure and exit with 1.

The token is never logged, and never an argument: a command line is visible to everybody.
"""

from __future__ import annotations

import asyncio
import logging
import platform
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from agents.errors import AgentError
from agents.installing import install, installed_version, rbac
from agents.settings import Settings
from agents.state_lock import locked
from agents.tokens import TOKEN_VARIABLE, read_token
from clusters.logs import FORMS, begin_logs

if TYPE_CHECKING:
    from agents.agent import Agent

DEFAULTS = Settings()
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


agent.add_command(install)
agent.add_command(rbac)


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
            version=installed_version(),
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
