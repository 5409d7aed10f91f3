"""`fleet hub`: the hub as a process. Says where it listens and runs until stopped.

`fleet hub-key` shows the key that it signs targets with, for agents to pin, or replaces it.
"""

from __future__ import annotations

from pathlib import Path

import click

from clusters.logs import FORMS, begin_logs
from fleet.api.client import TOKEN_FILE, default_state_dir


@click.command()
@click.option("--repo", required=True, help="The fleet repository: a folder or a Git URL.")
@click.option("--branch", default="", help="The branch to follow; default: the one HEAD names.")
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="Store, artifacts and operator token; default: FLEET_STATE or the user's data folder.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Where to listen.")
@click.option("--port", default=8780, show_default=True, help="Which port; 0 for any free one.")
@click.option("--tls-certificate", default="", help="PEM file; needed beyond loopback.")
@click.option("--tls-key", default="", help="PEM file with its key.")
@click.option("--plain-http", is_flag=True, help="Listen beyond loopback; a proxy encrypts.")
@click.option("--poll", default=180.0, show_default=True, help="Seconds between looks at Git.")
@click.option("--heartbeat", default=10.0, show_default=True, help="Seconds between heartbeats.")
@click.option(
    "--degraded-after", default=60.0, show_default=True, help="Seconds of Degraded until failed."
)
@click.option(
    "--advance-every", default=1.0, show_default=True, help="Seconds between looks at a run."
)
@click.option(
    "--people",
    type=click.Path(path_type=Path, dir_okay=False),
    default=None,
    help="File of people, their groups and tokens, for approvals.",
)
@click.option(
    "--metrics-listen",
    default="",
    metavar="HOST:PORT",
    help="Answer /metrics and /healthz there, without a token. Default: nowhere.",
)
@click.option("--log-level", default="info", show_default=True, help="debug, info, warning, error")
@click.option("--log-format", type=click.Choice(FORMS), default="text", show_default=True)
def hub(
    repo: str,
    branch: str,
    state_dir: Path | None,
    host: str,
    port: int,
    tls_certificate: str,
    tls_key: str,
    plain_http: bool,
    poll: float,
    heartbeat: float,
    degraded_after: float,
    advance_every: float,
    people: Path | None,
    metrics_listen: str,
    log_level: str,
    log_format: str,
) -> None:
    """Run the hub: follow a fleet repository, release in stages, answer agents and people."""
    from clusters.clock import SystemClock
    from fleet.api.serving import Listen, serve
    from fleet.hub.opening import open_hub
    from fleet.hub.settings import HubSettings

    begin_logs(log_format, log_level)
    settings = HubSettings(
        repo=repo,
        branch=branch,
        state_dir=state_dir or default_state_dir(),
        poll_seconds=poll,
        heartbeat_seconds=heartbeat,
        degraded_seconds=degraded_after,
        advance_seconds=advance_every,
        people=people,
    )
    listen = Listen(host, port, tls_certificate, tls_key, plain_http, metrics_listen)

    def ready(url: str) -> None:
        click.echo(f"hub listens on {url}")
        click.echo(f"operator token is in {settings.state_dir / TOKEN_FILE}")
        click.echo(f"agents are to pin this key: {opened.hub.desk.hub_key}")

    with open_hub(settings, SystemClock()) as opened:
        serve(opened.hub, opened.access, listen, ready)


@click.command("hub-key")
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    default=None,
    help="The hub's folder; default: FLEET_STATE or the user's data folder.",
)
@click.option(
    "--rotate",
    is_flag=True,
    help="Replace the key by a new one, which the old one signs; the hub must be stopped.",
)
def hub_key(state_dir: Path | None, rotate: bool) -> None:
    """Print the key that the hub signs targets with, as agents take it with --hub-key.

    Agents follow a key that was rotated by themselves. One that may have been stolen is moved away
    instead (the file signing-key): the hub makes another, and every agent is given that one.
    """
    from fleet.hub.lock import FolderLock
    from fleet.store import hub_key as keys

    folder = state_dir or default_state_dir()
    lock = FolderLock(folder)
    if rotate:
        lock.take()
    try:
        key = keys.rotate(folder) if rotate else keys.known_key(folder)
    finally:
        lock.release()
    click.echo(key.line)
    click.echo(f"fingerprint {key.fingerprint}", err=True)
