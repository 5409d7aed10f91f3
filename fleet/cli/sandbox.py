"""`fleet sandbox`: simulated clusters to try things on, until Ctrl-C.

Says how to reach them and what to try, and serves. Nothing that happens in them is kept.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import click

from fleet.cli.output import visible_lines
from fleet.world import sandbox as world

SHOWN = 8
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_VERSION = re.compile(r"v?(1\.\d{1,2}\.\d{1,3})")


def _name_prefix(context: click.Context, option: click.Parameter, value: str) -> str:
    if not _NAME.fullmatch(value) or len(value) > 50:
        raise click.BadParameter("letters a-z, digits and '-' inside, at most 50", context, option)
    return value


def _version(context: click.Context, option: click.Parameter, value: str) -> str:
    found = _VERSION.fullmatch(value)
    if not found:
        raise click.BadParameter("a version looks like 1.37.2", context, option)
    return f"v{found[1]}"


@click.command()
@click.option(
    "--clusters", default=3, show_default=True, type=click.IntRange(1, 500), help="How many."
)
@click.option(
    "--name-prefix",
    default="cluster",
    show_default=True,
    callback=_name_prefix,
    help="They are called PREFIX-1, PREFIX-2, …",
)
@click.option(
    "--kubeconfig",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write it to this new file. Default: a temporary one.",
)
@click.option(
    "--nodes", default=1, show_default=True, type=click.IntRange(1, 100), help="Nodes in each."
)
@click.option(
    "--kubernetes-version",
    default=world.DEFAULT_VERSION,
    show_default=True,
    callback=_version,
    help="What they say they are; what they serve stays the same.",
)
@click.option(
    "--seed", default=0, show_default=True, help="Other pod names, addresses and durations."
)
@click.option("--port", default=0, help="Where to listen on loopback. Default: any free port.")
def sandbox(
    clusters: int,
    name_prefix: str,
    kubeconfig: Path | None,
    nodes: int,
    kubernetes_version: str,
    seed: int,
    port: int,
) -> None:
    """Serve simulated clusters to try kubectl, an agent or a repository on.

    They are API servers in memory with controllers: what is applied becomes ready, or fails as its
    image says (crashloop, neverready, slow, pullerror, exit1). No container runs, nothing is kept.
    """
    names = tuple(f"{name_prefix}-{number}" for number in range(1, clusters + 1))
    wanted = world.Sandbox(names, kubeconfig, kubernetes_version, nodes, seed, port)

    def ready(path: Path, urls: Mapping[str, str]) -> None:
        click.echo(visible_lines(welcome(path, urls, kubernetes_version)))

    left = world.run(wanted, ready)
    click.echo("\nstopped; nothing of the clusters is left")
    if left:
        click.echo(visible_lines(f"{left} stays: more than this sandbox is in it"))


def welcome(path: Path, urls: Mapping[str, str], version: str) -> str:
    """What there is and what one can do with it."""
    names = list(urls)
    first = names[0]
    listed = ", ".join(names[:SHOWN]) + (f" … {names[-1]}" if len(names) > SHOWN else "")
    return f"""\
clusters    {listed}: simulated, Kubernetes {version}
address     {urls[first]}
kubeconfig  {path}, removed at the end
Ctrl-C ends it. In another terminal:

  export KUBECONFIG={path}
  kubectl --context {first} get nodes,namespaces
  kubectl --context {first} create deployment web --image=nginx --replicas=3
  kubectl --context {first} rollout status deployment/web
  kubectl --context {first} set image deployment/web nginx=nginx:2-crashloop
  kubectl --context {first} get pods --watch

An agent of your hub in it, if your repository declares a cluster of that name:

  fleet cluster token {first} > {first}.token
  fleet agent --hub URL --cluster {first} --token-file {first}.token --context {first}"""
