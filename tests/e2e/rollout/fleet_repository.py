"""A fleet repository that a story makes commits in, with dates of the story's own clock.

::

    clusters/<group>/clusters.yaml    who there is, and clusters/rollout.yaml, what protects them
    apps/<group>/web                  on a Kustomize base that all groups share, apps/base/web
    infrastructure/<name>             plain YAML for every cluster

Equal commits at equal times have equal ids, so that a story prints the same every time.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from textwrap import dedent

import git

from clusters.clock import Clock

IMAGE = "ghcr.io/stefanprodan/podinfo"
DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}}}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      containers: [{{name: {name}, image: "{image}"}}]
"""
BASE = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [deployment.yaml]
images: [{{name: {image}, newTag: "{tag}"}}]
"""
OVERLAY = """\
apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources: [../../base/web]
commonAnnotations: {{shop.example/group: {group}}}
"""
CLUSTER = """\
apiVersion: fleet.dev/v1
kind: Cluster
metadata: {{name: {name}, labels: {{env: {group}}}}}
"""
SETTINGS = """\
apiVersion: v1
kind: ConfigMap
metadata: {{name: {name}}}
data: {{tag: "{tag}"}}
"""
NAMESPACE = "defaultNamespace: shop\n"


class FleetRepository:
    """A work tree under `root` with one branch, `main`."""

    def __init__(self, root: Path, clock: Clock, groups: Mapping[str, int]) -> None:
        """`groups` are cluster groups and how many clusters each has: `staging-1`, …"""
        self.root, self._clock = root, clock
        self.clusters = {f"{g}-{n + 1}": g for g, count in groups.items() for n in range(count)}
        root.mkdir(parents=True)
        self._git = git.Repo.init(root, initial_branch="main")
        for group in groups:
            self.write(f"apps/{group}/web/kustomization.yaml", OVERLAY.format(group=group))
            self.write(f"apps/{group}/web/fleet.yaml", NAMESPACE)
            self._declare(group)
        self.write("apps/base/web/deployment.yaml", DEPLOYMENT.format(name="web", image=IMAGE))

    def write(self, path: str, text: str) -> None:
        """A file of the work tree."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def move(self, old: str, new: str) -> None:
        """Give a folder another path."""
        (self.root / old).rename(self.root / new)

    def policy(self, spec: str) -> None:
        """The rollout of everything: YAML of its `spec`."""
        head = "apiVersion: fleet.dev/v1\nkind: Rollout\nmetadata: {name: default}\nspec:\n"
        lines = dedent(spec).strip("\n").splitlines()
        self.write("clusters/rollout.yaml", head + "".join(f"  {line}\n" for line in lines))

    def web(self, tag: str) -> None:
        """The tag of the image that every group runs."""
        self.write("apps/base/web/kustomization.yaml", BASE.format(image=IMAGE, tag=tag))

    def component(self, name: str, tag: str) -> None:
        """Plain YAML for every cluster."""
        text = DEPLOYMENT.format(name=name, image=f"{IMAGE}:{tag}")
        self.write(f"infrastructure/{name}/deployment.yaml", text)
        self.write(f"infrastructure/{name}/fleet.yaml", NAMESPACE)

    def settings(self, name: str, tag: str) -> None:
        """A ConfigMap for every cluster, which runs nothing."""
        self.write(f"infrastructure/{name}/settings.yaml", SETTINGS.format(name=name, tag=tag))
        self.write(f"infrastructure/{name}/fleet.yaml", NAMESPACE)

    def commit(self, message: str) -> str:
        """Commit everything; the commit's id."""
        self._git.git.add("--all")
        with self._git.git.custom_environment(**self._dates()):
            self._git.git.commit("--quiet", "--no-gpg-sign", f"--message={message}")
        return self._git.head.commit.hexsha

    def revert(self, commit: str) -> str:
        """`git revert` of a commit; the new commit's id."""
        with self._git.git.custom_environment(**self._dates()):
            self._git.git.revert("--no-edit", "--no-gpg-sign", commit)
        return self._git.head.commit.hexsha

    def close(self) -> None:
        """End Git's processes."""
        self._git.close()

    def _declare(self, group: str) -> None:
        names = [name for name, its in self.clusters.items() if its == group]
        documents = "---\n".join(CLUSTER.format(name=name, group=group) for name in names)
        self.write(f"clusters/{group}/clusters.yaml", documents)

    def _dates(self) -> dict[str, str]:
        moment: datetime = self._clock.now()
        who = {"NAME": "cleo", "EMAIL": "cleo@shop.example", "DATE": moment.isoformat()}
        return {f"GIT_{role}_{k}": v for role in ("AUTHOR", "COMMITTER") for k, v in who.items()}
