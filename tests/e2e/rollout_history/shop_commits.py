"""What the shop's people push in four days: edits of the shop's repository, each one commit.

The published fleet is the first commit, with a policy and a budget; the others are ours. A commit
has a key by which tables and tests name it, a moment, a title, and what it edits.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from tests.e2e.rollout_history.policies import BUDGET, EDITED, FROZEN, POLICIES
from tests.e2e.rollout_history.timed_agent import MISSING
from tests.e2e.shop import SHOP
from tests.fleet.source.repositories import git, new_repository

MONDAY, TUESDAY, WEDNESDAY, THURSDAY = (
    datetime.fromisoformat(f"2030-03-0{day}T00:00:00+00:00") for day in (4, 5, 6, 7)
)
AUTHOR = {"user.name": "Ana", "user.email": "ana@shop.example"}

CLUSTERS = "clusters/clusters.yaml"
FRONTEND = "apps/base/online-boutique/frontend.yaml"
FRONTEND_IMAGE = "microservices-demo/frontend:"
INGRESS = "infrastructure/ingress-nginx/fleet.yaml"
CHART = "apps/base/podinfo-chart"
EXPORTER = "infrastructure/monitoring/node-exporter/Chart.yaml"
WEBAPP = "apps/production/webapp/kustomization.yaml"
STAGING_WEBAPP = "apps/staging/webapp/kustomization.yaml"
EU_VALUES = "apps/production/podinfo/fleet.yaml"
CERT_MANAGER = "infrastructure/cert-manager/fleet.yaml"


class WorkTree:
    """The shop's repository, edited as people do."""

    def __init__(self, root: Path, policy: str) -> None:
        """`policy` is a key of `POLICIES`. One commit is made: the published fleet."""
        shutil.copytree(SHOP, root)
        self.root, self.policy = new_repository(root), policy
        for key, value in AUTHOR.items():
            git(root, "config", key, value)
        self.ids: dict[str, str] = {}
        self.write("clusters/rollout.yaml", POLICIES[policy])
        self.write("clusters/budget.yaml", BUDGET)

    def write(self, path: str, text: str) -> None:
        """A file as a whole."""
        (self.root / path).write_text(text, encoding="utf-8")

    def change(self, path: str, *pairs: tuple[str, str]) -> None:
        """Replace texts of a file, each of which is there once."""
        text = (self.root / path).read_text(encoding="utf-8")
        for old, new in pairs:
            assert text.count(old) == 1, f"{path} has {old!r} {text.count(old)} times"
            text = text.replace(old, new)
        self.write(path, text)

    def commit(self, key: str, title: str, when: datetime) -> str:
        """Commit everything; the id."""
        git(self.root, "add", "--all", "--force")
        git(self.root, "commit", "-q", "-m", title, when=when.isoformat())
        return self._named(key)

    def revert(self, key: str, of: str, when: datetime) -> str:
        """A plain `git revert`; the id."""
        git(self.root, "revert", "--no-edit", self.ids[of], when=when.isoformat())
        return self._named(key)

    def _named(self, key: str) -> str:
        self.ids[key] = git(self.root, "rev-parse", "HEAD")
        return self.ids[key]


@dataclass(frozen=True)
class Push:
    """One commit that is pushed."""

    key: str
    at: datetime
    title: str
    edit: Callable[[WorkTree], None] | str
    """What it edits; or the key of the commit that it reverts."""
    joins: tuple[str, ...] = ()
    """Clusters whose agents come up `JOIN_MINUTES` later."""

    def make(self, tree: WorkTree) -> str:
        """Make the commit; its id."""
        if isinstance(self.edit, str):
            return tree.revert(self.key, self.edit, self.at)
        self.edit(tree)
        return tree.commit(self.key, self.title, self.at)


def _replacing(path: str, *pairs: tuple[str, str]) -> Callable[[WorkTree], None]:
    return lambda tree: tree.change(path, *pairs)


def _writing(path: str, text: str) -> Callable[[WorkTree], None]:
    return lambda tree: tree.write(path, text)


def _new_chart(tree: WorkTree) -> None:
    tree.change(f"{CHART}/Chart.yaml", ("\nversion: 6.14.1", "\nversion: 6.14.2"))
    tree.change(f"{CHART}/values.yaml", ("tag: 6.14.1", "tag: 6.14.2"))


def _without_webapp(tree: WorkTree) -> None:
    for group in ("staging", "production"):
        path = f"clusters/{group}/kustomization.yaml"
        tree.change(path, (f"  - ../../apps/{group}/webapp\n", ""))
        shutil.rmtree(tree.root / f"apps/{group}/webapp")


def _both_platforms(tree: WorkTree) -> None:
    tree.change(CERT_MANAGER, ("enabled: true", "enabled: true\n    global: {logLevel: 3}"))
    tree.change(INGRESS, ("controller:\n", "controller:\n      minReadySeconds: 5\n"))


def _new_cluster(tree: WorkTree) -> None:
    text = (tree.root / CLUSTERS).read_text(encoding="utf-8")
    tree.write(CLUSTERS, f"{text}---\n{_cluster('prd-ap-4', 'production', 'ap')}")


def _cluster(name: str, env: str, region: str, size: str = "small") -> str:
    return (
        "apiVersion: fleet.dev/v1\nkind: Cluster\nmetadata:\n"
        f"  name: {name}\n  labels: {{env: {env}, region: {region}, size: {size}}}\n"
    )


def _tags(path: str, image: str, *tags: str) -> Callable[[WorkTree], None]:
    return _replacing(path, *[(f"{image}{old}", f"{image}{new}") for old, new in [tags]])


def _at(day: datetime, clock: str, seconds: int = 0) -> datetime:
    hours, minutes = clock.split(":")
    return day + timedelta(hours=int(hours), minutes=int(minutes), seconds=seconds)


PUBLISHED = Push("fleet", _at(MONDAY, "06:00"), "The shop's fleet as published", lambda tree: None)

PUSHES: tuple[Push, ...] = (
    Push("chart", _at(MONDAY, "10:00"), "podinfo chart and image 6.14.2", _new_chart),
    Push(
        "eu-values",
        _at(MONDAY, "13:00"),
        "podinfo: more replicas in eu",
        _replacing(EU_VALUES, ("maxReplicas: 20", "maxReplicas: 25")),
    ),
    Push("readme", _at(MONDAY, "13:05"), "A README", _writing("README.md", "# The shop\n")),
    Push(
        "bad",
        _at(MONDAY, "14:00"),
        "frontend: a tag that no registry has",
        _tags(FRONTEND, FRONTEND_IMAGE, "v0.10.6", f"{MISSING}-7"),
    ),
    Push(
        "ingress",
        _at(MONDAY, "14:03"),
        "ingress-nginx: 3 replicas",
        _replacing(INGRESS, ("replicaCount: 2", "replicaCount: 3")),
    ),
    Push(
        "comment",
        _at(MONDAY, "14:20"),
        "A comment in the boutique's base",
        _replacing(
            "apps/base/online-boutique/kustomization.yaml", ("- adservice", "# Ads.\n- adservice")
        ),
    ),
    Push("un-bad", _at(MONDAY, "15:00"), "Revert of the bad tag", "bad"),
    Push(
        "good",
        _at(MONDAY, "17:00"),
        "frontend: v0.10.7",
        _tags(FRONTEND, FRONTEND_IMAGE, "v0.10.6", "v0.10.7"),
    ),
    Push(
        "burst",
        _at(MONDAY, "17:00", 6),
        "webapp in production: an override",
        _replacing(
            WEBAPP, ("transformers:", "replicas: [{name: frontend, count: 3}]\ntransformers:")
        ),
    ),
    Push(
        "prod-bad",
        _at(TUESDAY, "08:00"),
        "webapp in production only: a tag that no registry has",
        _replacing(
            WEBAPP,
            (
                "transformers:",
                "images: [{name: ghcr.io/stefanprodan/podinfo,"
                f" newTag: {MISSING}-8}}]\ntransformers:",
            ),
        ),
    ),
    Push("un-prod-bad", _at(TUESDAY, "09:30"), "Revert of production's bad tag", "prod-bad"),
    Push("cluster", _at(TUESDAY, "11:00"), "A new cluster", _new_cluster, ("prd-ap-4",)),
    Push(
        "exporter",
        _at(TUESDAY, "12:50"),
        "node-exporter chart 4.56.2",
        _replacing(EXPORTER, ("version: 4.56.1", "version: 4.56.2")),
    ),
    Push(
        "moved",
        _at(TUESDAY, "13:00"),
        "prd-us-3 becomes a staging cluster",
        _replacing(
            CLUSTERS,
            (
                "  name: prd-us-3\n  labels: {env: production,",
                "  name: prd-us-3\n  labels: {env: staging,",
            ),
        ),
    ),
    Push(
        "policy",
        _at(TUESDAY, "13:04"),
        "The policy edited while a run is live",
        lambda tree: tree.write("clusters/rollout.yaml", EDITED[tree.policy]),
    ),
    Push("no-webapp", _at(TUESDAY, "18:00"), "webapp is removed everywhere", _without_webapp),
    Push(
        "no-lab",
        _at(TUESDAY, "20:00"),
        "No node-exporter in the lab",
        _replacing(
            "infrastructure/monitoring/fleet.yaml",
            (
                "helm:",
                "targets:\n  - clusterSelector:\n      matchExpressions:\n"
                "        - {key: env, operator: NotIn, values: [lab]}\nhelm:",
            ),
        ),
    ),
    Push(
        "under-way",
        _at(WEDNESDAY, "08:00"),
        "cert-manager: log level 4",
        _replacing(CERT_MANAGER, ("enabled: true", "enabled: true\n    global: {logLevel: 4}")),
    ),
    Push(
        "freeze",
        _at(WEDNESDAY, "08:02"),
        "Freeze for the spring sale",
        _writing("clusters/budget.yaml", FROZEN),
    ),
    Push(
        "in-freeze",
        _at(WEDNESDAY, "08:30"),
        "ingress-nginx: 4 replicas, during the freeze",
        _replacing(INGRESS, ("replicaCount: 3", "replicaCount: 4")),
    ),
    Push("un-under-way", _at(WEDNESDAY, "09:00"), "Revert of the log level", "under-way"),
    Push("un-in-freeze", _at(WEDNESDAY, "09:30"), "Revert of the 4 replicas", "in-freeze"),
    Push(
        "thaw",
        _at(WEDNESDAY, "11:00"),
        "The sale is over",
        _writing("clusters/budget.yaml", BUDGET),
    ),
    Push("un-good", _at(WEDNESDAY, "14:00"), "Revert of frontend v0.10.7", "good"),
    Push(
        "cluster-gone",
        _at(WEDNESDAY, "18:00"),
        "prd-ap-1 is given up",
        _replacing(CLUSTERS, (f"---\n{_cluster('prd-ap-1', 'production', 'ap', 'large')}", "")),
    ),
    Push(
        "platforms", _at(WEDNESDAY, "20:00"), "cert-manager and what depends on it", _both_platforms
    ),
)
END = _at(THURSDAY, "23:00")


def chosen(keys: Iterable[str]) -> tuple[Push, ...]:
    """These pushes, in their order."""
    wanted = set(keys)
    return tuple(push for push in PUSHES if push.key in wanted)
