"""The words of a fleet repository as frozen values. Nothing here reads, writes or decides.

::

    Tree      files at one commit            (made by fleet.source, read by fleet.layout/render)
    Repo      clusters, groups, bundles, rollouts, problems          (made by fleet.layout)
    Bundle    one name, a `Source` (directory) for each group that runs it

Every dialect becomes these; nothing after `fleet.layout` knows where they came from.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from agents.protocol import Deletion, Options
from clusters.objects import Digest

Labels = Mapping[str, str]


class Severity(StrEnum):
    """An error keeps something from being planned; a warning is only shown."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """Something wrong in the repository. It stops what it names and nothing else."""

    code: str
    """Stable, kebab-case, documented in docs/problems.md."""
    severity: Severity
    what: str
    at: str
    """`path` or `path:line`, several joined by `, `."""
    fix: str
    bundle: str = ""
    cluster: str = ""
    """A cluster or group that it is about, if it is about one."""


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One file at a commit."""

    path: str
    mode: str
    """Git's: `100644`, `100755`, `120000` (symbolic link), `160000` (submodule)."""
    blob: str
    """Git's object id: equal ids are equal bytes."""
    size: int


class Tree(Protocol):
    """The files of one commit, by path relative to the repository's root, `/` between parts."""

    @property
    def commit(self) -> str:
        """The commit's id; for a working folder a digest of its content."""
        ...

    def entries(self) -> Mapping[str, TreeEntry]:
        """Every file, sorted by path."""
        ...

    def read(self, path: str) -> bytes:
        """The bytes of one file. Errors: `KeyError` if there is none; `SourceError`."""
        ...


@dataclass(frozen=True, slots=True)
class Requirement:
    """One matchExpressions term: `operator` is In, NotIn, Exists or DoesNotExist."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Labels) -> bool:
        """Kubernetes' meaning: NotIn also holds for a label that is not there."""
        if self.operator == "Exists":
            return self.key in labels
        if self.operator == "DoesNotExist":
            return self.key not in labels
        found = labels.get(self.key)
        return (found in self.values) is (self.operator == "In")


@dataclass(frozen=True, slots=True)
class Selector:
    """A label selector; an empty one matches everything."""

    match_labels: tuple[tuple[str, str], ...] = ()
    match_expressions: tuple[Requirement, ...] = ()

    def matches(self, labels: Labels) -> bool:
        """Do all terms hold?"""
        return all(labels.get(key) == value for key, value in self.match_labels) and all(
            term.matches(labels) for term in self.match_expressions
        )

    def keys(self) -> frozenset[str]:
        """The labels that it looks at."""
        return frozenset(k for k, _ in self.match_labels) | {t.key for t in self.match_expressions}


@dataclass(frozen=True, slots=True)
class Cluster:
    """One Kubernetes cluster as Git declares it."""

    name: str
    labels: Labels = field(default_factory=dict)
    annotations: Labels = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    """`spec.values`: for `${ .ClusterValues.x }` in Helm values and for variables."""
    kubernetes_version: str = ""
    api_versions: tuple[str, ...] = ()
    at: str = ""
    deletion: Deletion = Deletion.ORPHAN
    """What becomes of all that it runs when Git no longer declares it."""


@dataclass(frozen=True, slots=True)
class ClusterGroup:
    """A named set of clusters; `members` is resolved and sorted."""

    name: str
    members: tuple[str, ...] = ()
    selector: Selector | None = None
    kustomization: str = ""
    """Directory of the group's own kustomization file (`clusters/production`); empty: none."""
    file: str = ""
    """The path of that file."""
    listed: tuple[str, ...] = ()
    """The directories that the file lists under `resources`, as repository paths, in order."""
    at: str = ""
    labels: Labels = field(default_factory=dict)
    """For `clusterGroupSelector`."""


class Form(StrEnum):
    """How a source becomes objects."""

    RAW = "raw"
    KUSTOMIZE = "kustomize"
    HELM = "helm"
    GROUP = "group"
    """Part of a group's build: content comes from `clusters/<group>`'s kustomization."""


@dataclass(frozen=True, slots=True)
class HelmSpec:
    """`helm:` of a fleet.yaml (or of a customization: then only what it changes)."""

    chart: str = ""
    """Repository path of the chart's directory."""
    release_name: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    """What `values_files` hold and `values` says, already merged; null deletes."""
    values_files: tuple[str, ...] = ()
    """Repository paths, later ones win; `values` wins over files. Only for people to see."""
    disable_templating: bool = False
    """`disablePreProcess`: leave `${ … }` in values alone."""


def merge_values(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    """Helm's merge: mappings are merged, anything else replaces; null stays, for Helm to delete."""
    result = dict(low)
    for key, value in high.items():
        below = result.get(key)
        if isinstance(value, dict) and isinstance(below, dict):
            result[key] = merge_values(below, value)
        else:
            result[key] = value
    return result


@dataclass(frozen=True, slots=True)
class Customization:
    """What a bundle changes for the clusters it selects; the first match wins."""

    name: str
    selector: Selector | None = None
    group: str = ""
    group_selector: Selector | None = None
    cluster: str = ""
    do_not_deploy: bool = False
    helm: HelmSpec | None = None
    kustomize_dir: str = ""
    """Repository path of the directory to build instead."""
    overlays: tuple[str, ...] = ()
    """Repository paths, laid over the source's own."""
    namespace: str = ""
    default_namespace: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    """Fields of `Options` that it changes."""


@dataclass(frozen=True, slots=True)
class TargetRule:
    """One entry of `targets:`; overrides place."""

    name: str = ""
    selector: Selector | None = None
    group: str = ""
    group_selector: Selector | None = None
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """One directory of a bundle, with the options that its fleet.yaml gives."""

    path: str
    form: Form
    groups: tuple[str, ...] = ()
    """The groups that it serves by place or by listing."""
    everywhere: bool = False
    """`infrastructure/*` by place: every cluster of groups that have no file listing it."""
    targets: tuple[TargetRule, ...] | None = None
    options: Options = Options()
    helm: HelmSpec | None = None
    kustomize_dir: str = ""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Declared names with their (templated) values."""
    customizations: tuple[Customization, ...] = ()
    files: tuple[str, ...] = ()
    """For RAW: the manifests, sorted, links followed."""
    overlays: tuple[str, ...] = ()
    """For RAW: directories laid over the files, as repository paths, in order."""
    listable: bool = False
    """A group's file could list it, so by place it goes only to groups without a file."""
    at: str = ""
    """The fleet.yaml, or the directory where there is none."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """The unit of deployment: one name, one source for each group that runs it."""

    name: str
    sources: tuple[Source, ...]
    labels: Labels = field(default_factory=dict)
    depends_on: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyDocument:
    """A `kind: Rollout` (later also RolloutBudget) as read; `fleet.rollout` gives it meaning."""

    kind: str
    name: str
    spec: Mapping[str, Any]
    at: str = ""


@dataclass(frozen=True, slots=True)
class Repo:
    """All that one commit declares."""

    commit: str
    clusters: tuple[Cluster, ...] = ()
    groups: tuple[ClusterGroup, ...] = ()
    bundles: tuple[Bundle, ...] = ()
    policies: tuple[PolicyDocument, ...] = ()
    problems: tuple[Problem, ...] = ()
    held: frozenset[str] = frozenset()
    """Bundles whose declaration could not be read: they keep what they run, never pruned."""
    held_clusters: frozenset[str] = frozenset()
    """Declared clusters of which it is not known what they are to run: they keep all they have."""
    unread: frozenset[str] = frozenset()
    """Kinds (`Cluster`, `Rollout`, … or `""` if unknown) of which some document could not be read:
    nothing may be concluded from the absence of one of that kind."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a render gave: an artifact's bytes and digest, or the problem that stood in its way."""

    artifact: Digest = ""
    data: bytes = b""
    images: tuple[str, ...] = ()
    charts: tuple[str, ...] = ()
    """`name@version`."""
    objects: int = 0
    problem: Problem | None = None
    warnings: tuple[Problem, ...] = ()
