"""What each command is asked when its output is searched for secrets. A new one must be here.

`{hub}`, `{repo}`, `{state}` and `{manifests}` stand for the hub's address, the fleet repository,
the hub's folder and a file of what `fleet render` printed.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import click

from fleet.store.views import VIEWS
from tests.docs_generation import commands
from tests.e2e.agent.operated import CLUSTER

PROCESSES = {"hub", "agent", "demo", "sandbox"}
"""They run until stopped: the logs of hub and agent are searched, and the other two have clusters
and a repository of their own."""
MEANT = {"render", "agent install", "cluster token"}
"""Print a secret because that is what they are asked for: manifests as they are, a token."""
ASKED: dict[str, tuple[str, ...]] = {
    "agent install": (f"--cluster {CLUSTER} --hub {{hub}}",),
    "agent rbac": ("{manifests}",),
    "bundledeployments": ("", "vault", "quoted"),
    "bundles": ("", "mistaken"),
    "cluster token": ("somebody-else",),
    "cluster forget": (CLUSTER,),  # which is refused: Git declares it
    "clusters": ("", CLUSTER),
    "explain": tuple(f"{CLUSTER} {name}" for name in ("vault", "quoted", "gated", "mistaken")),
    "groups": ("", "staging"),
    "hub-key": ("--state-dir {state}",),
    "plan": ("--repo {repo}",),
    "query": tuple(f"'SELECT * FROM {view}'" for view in VIEWS),
    "refresh": ("",),
    "render": (f"{CLUSTER} --repo {{repo}}",),
    "rollout status": ("", "gated"),
    "rollout plan": ("--repo {repo}", "--live"),
    "rollout history": ("", "gated"),
    "rollout explain": (CLUSTER, f"{CLUSTER} gated"),
    "rollout schema": ("",),
    "runs": ("", "gated", "vault"),
    "status": ("",),
    "sync": ("vault --dry-run", "quoted --dry-run", "quoted", "vault --force"),
    "rollout pause": ("gated -m wait",),
    "rollout resume": ("gated",),
    "rollout retry": ("gated",),
    "rollout skip": (f"gated --cluster {CLUSTER}",),
    "rollout approve": ("gated",),
    "rollout reject": ("gated",),
    "rollout forgive": ("gated -m mended",),
    "rollout override": ("gated --gate x -m meant",),
    "rollout catch-up": (CLUSTER,),
    "rollout freeze": ("-m incident",),
    "rollout unfreeze": ("",),
    "rollout rollback": ("gated",),
    "rollout veto": ("gated -m broken",),
    "rollout unveto": ("gated -m mended",),
    "rollout abort": ("gated",),
}


def every_command() -> Iterator[tuple[str, click.Command]]:
    """All that can be called, with the words that call it."""
    for path, command in commands():
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield " ".join(path[1:]), command


def every_line() -> Iterator[tuple[str, list[str]]]:
    """Name and words of all that is asked, `render` first: in every form once, else as JSON."""
    known = dict(every_command())
    for name in ("render", *(name for name in ASKED if name != "render")):
        forms = _forms_of(known[name])
        for number, asked in enumerate(ASKED[name]):
            for form in forms if number == 0 or not forms[0] else [("-o", "json")]:
                yield name, [*name.split(), *shlex.split(asked), *form]


def _forms_of(command: click.Command) -> list[tuple[str, ...]]:
    """How its output may be asked for."""
    for option in command.params:
        if "--output" in option.opts:
            assert isinstance(option.type, click.Choice)
            return [("-o", form) for form in option.type.choices]
    return [()]
