"""Made-up fleet repositories, and what the whole path makes of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from fleet.layout import MemoryTree, discover
from fleet.model import Problem, Repo
from fleet.placement import place

KUSTOMIZATION = "kind: Kustomization\nresources: [deployment.yaml]\n"
DEPLOYMENT = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n"
CHART = "apiVersion: v2\nname: chart\nversion: 1.0.0\n"
SHOP_FLEET = Path(__file__).resolve().parents[4] / "shared" / "data" / "shop-fleet"


def cluster(name: str, env: str = "", spec: str = "", **labels: str) -> str:
    """A `kind: Cluster` document."""
    said = ({"env": env} if env else {}) | labels
    shown = ", ".join(f'{key}: "{value}"' for key, value in said.items())
    return (
        f"---\napiVersion: fleet.dev/v1\nkind: Cluster\n"
        f"metadata: {{name: {name}, labels: {{{shown}}}}}\n" + (f"spec: {spec}\n" if spec else "")
    )


STAGING = cluster("stg-1", "staging", region="eu")
PRODUCTION = cluster("prd-1", "production", region="eu") + cluster(
    "prd-2", "production", region="us"
)
CLUSTERS = {"clusters/clusters.yaml": STAGING + PRODUCTION}


def listing(*directories: str) -> str:
    """A group's file that lists these."""
    return "kind: Kustomization\nresources:\n" + "".join(f"  - ../../{d}\n" for d in directories)


def kustomized(*directories: str) -> dict[str, str]:
    """Directories with a kustomization file and what it lists."""
    files = {f"{d}/kustomization.yaml": KUSTOMIZATION for d in directories}
    return files | {f"{d}/deployment.yaml": DEPLOYMENT for d in directories}


def raw(*directories: str) -> dict[str, str]:
    """Directories with one manifest."""
    return {f"{d}/deployment.yaml": DEPLOYMENT for d in directories}


def repo_of(files: Mapping[str, str | bytes], **extra: Mapping[str, str]) -> Repo:
    """What layout makes of the files."""
    return discover(MemoryTree(files, **extra))  # type: ignore[arg-type]


def outcome(files: Mapping[str, str | bytes]) -> dict[str, dict[str, str]]:
    """Cluster → bundle → source, for what can be had."""
    repo = repo_of(files)
    placement = place(repo)
    return {
        c.name: {
            p.bundle: p.source.path
            for p in placement.placed_in(c.name)
            if p.problem is None and p.bundle not in repo.held
        }
        for c in repo.clusters
    }


def problems_of(files: Mapping[str, str | bytes], **extra: Mapping[str, str]) -> list[Problem]:
    """All problems of layout and placement."""
    repo = repo_of(files, **extra)
    return [*repo.problems, *place(repo).problems]


def codes_of(files: Mapping[str, str | bytes], **extra: Mapping[str, str]) -> list[str]:
    """Their codes."""
    return [problem.code for problem in problems_of(files, **extra)]


def read_folder(folder: Path) -> MemoryTree:
    """A folder on disk as a tree."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return MemoryTree({str(path.relative_to(folder)): path.read_bytes() for path in files})
