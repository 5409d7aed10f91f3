"""The plan as values: for one commit, what every cluster is to run and why.

Clusters with the same relevant labels form a class and share one tuple of entries, so that a plan
of 10,000 clusters is as large as what differs among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from agents.protocol import BundleDeployment
from fleet.model import Problem


@dataclass(frozen=True, slots=True)
class PlanEntry:
    """One bundle for one class of clusters."""

    bundle: str
    deployment: BundleDeployment | None
    """What the clusters are to run; `None` if it did not render: they keep what they have."""
    reason: str
    """Why these clusters get it: `listed in clusters/production/kustomization.yaml`."""
    source: str = ""
    """The directory that it comes from."""
    customization: str = ""
    """The name of the customization that matched, if one did."""
    images: tuple[str, ...] = ()
    charts: tuple[str, ...] = ()
    objects: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything wanted at one commit. Equal input gives an equal plan."""

    commit: str
    classes: tuple[tuple[PlanEntry, ...], ...] = ()
    """Each sorted by bundle."""
    class_of: Mapping[str, int] = field(default_factory=dict)
    """Cluster name → index in `classes`; every declared cluster is there."""
    problems: tuple[Problem, ...] = ()
    held: frozenset[str] = frozenset()
    """Bundles of which nothing may be concluded from absence: never removed by this plan."""
    held_clusters: frozenset[str] = frozenset()
    """Clusters that keep all they have: it is not known what they are to run."""
    unread: frozenset[str] = frozenset()
    """Kinds of which a document could not be read (`fleet.model.Repo.unread`): with `Cluster` or
    `""` among them, a cluster's absence from `class_of` says nothing."""

    def entries_of(self, cluster: str) -> tuple[PlanEntry, ...]:
        """What one cluster is to run. Errors: `KeyError` for a cluster that is not declared."""
        return self.classes[self.class_of[cluster]]

    def clusters(self) -> Iterator[str]:
        """Every declared cluster, sorted."""
        return iter(sorted(self.class_of))
