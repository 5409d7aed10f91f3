"""The shop's fleet as a repository of its own: what others published, for twelve clusters."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agents.protocol import BundleDeployment
from clusters.objects import Digest, Object
from fleet.hub.planning import make_plan, render_cluster
from fleet.render import Renderer
from fleet.source import Source
from tests.fleet.source.repositories import git

SHOP = Path(__file__).resolve().parents[3] / "shared" / "data" / "shop-fleet"

needs_shop = pytest.mark.skipif(
    not SHOP.is_dir(), reason=f"real input is not here: {SHOP} (not part of the repository)"
)


@dataclass(frozen=True)
class Shop:
    """The shop's fleet repository in a work tree of its own, and the command line for it."""

    root: Path
    home: Path

    def fleet(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`fleet WORDS` in the repository, with a home of its own, so nothing is cached before."""
        return subprocess.run(
            [sys.executable, "-m", "fleet", *words],
            cwd=self.root,
            env=os.environ | {"HOME": str(self.home), "XDG_CONFIG_HOME": str(self.home)},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

    def plan(self) -> Any:
        """`fleet plan -o json`."""
        done = self.fleet("plan", "-o", "json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def change(self, path: str, old: str, new: str) -> str:
        """Replace text of one file and commit; the commit's id."""
        text = (self.root / path).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"{path} has {old!r} {text.count(old)} times"
        (self.root / path).write_text(text.replace(old, new), encoding="utf-8")
        git(self.root, "commit", "-q", "-a", "-m", f"{path}: {new.strip()}")
        return git(self.root, "rev-parse", "HEAD")


def new_shop(folder: Path) -> Shop:
    """A fresh Git repository with the shop's fleet in one commit."""
    root, home = folder / "repository", folder / "home"
    shutil.copytree(SHOP, root)
    home.mkdir()
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "--all", "--force")
    git(root, "commit", "-q", "-m", "The shop's fleet")
    return Shop(root, home)


@dataclass(frozen=True)
class Share:
    """What one cluster is to run: for a driver, and for an agent."""

    objects: tuple[Object, ...]
    """As `fleet render` prints them."""
    deployments: tuple[BundleDeployment, ...]
    artifacts: dict[Digest, bytes]


def share_of(shop: Shop, cluster: str) -> Share:
    """The share of one cluster, rendered with the real tools."""
    source = Source.open(str(shop.root))
    tree = source.tree(source.resolve("HEAD"))
    with Renderer(shop.home / "renders") as renderer:
        objects = render_cluster(tree, renderer, cluster).objects
        planned = make_plan(tree, renderer)
    entries = planned.plan.entries_of(cluster)
    deployments = [entry.deployment for entry in entries if entry.deployment is not None]
    assert len(deployments) == len(entries), "every bundle of it renders"
    named = {item.artifact for item in deployments}
    artifacts = {name: data for name, data in planned.artifacts().items() if name in named}
    return Share(tuple(objects), tuple(deployments), artifacts)
