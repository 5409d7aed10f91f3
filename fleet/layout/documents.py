"""The documents under `clusters/`: kind Cluster, ClusterGroup and the policies (Rollout …).

::

    apiVersion: fleet.dev/v1            Rancher Fleet's fleet.cattle.io/v1alpha1 is read as well
    kind: Cluster
    metadata: {name: prd-eu-1, labels: {env: production, region: eu}, annotations: {…}}
    spec: {kubernetesVersion: "1.33", apiVersions: [...], values: {…}, deletionPolicy: orphan}

A document that cannot be read holds what it declares and nothing else: a cluster whose name is
known is declared and held; of an unknown one its kind is noted as `unread`, so that nobody takes
the absence for an order. Documents of other API groups are not ours and are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from agents.protocol import Deletion
from clusters.objects import YamlError
from clusters.objects.lines import FieldLines
from clusters.objects.reading import read_yaml_documents_with_lines
from fleet.layout.fields import Fields
from fleet.layout.files import KUSTOMIZATIONS, MANIFESTS, Files, TooLarge
from fleet.layout.findings import Findings, Page, place, yaml_invalid
from fleet.model import Cluster, PolicyDocument, Selector

NAME = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,61}[a-z0-9])?\Z")
"""Names of clusters and bundles: they become parts of object names and of labels."""
_VERSION = re.compile(r"v?\d+\.\d+(?:\.\d+)?(?:[-+.][0-9A-Za-z.+-]*)?\Z")
_OURS = re.compile(
    rb"fleet\.dev/|fleet\.cattle\.io/|^kind:\s*(?:Cluster|ClusterGroup|Rollout)\s*$", re.M
)
_KIND = re.compile(r"^\s*kind:\s*[\"']?([A-Za-z]+)", re.M)
_NAMED = re.compile(r"\bname:\s*[\"']?([a-z0-9][-a-z0-9.]*)")
_API = re.compile(r"fleet\.dev/|fleet\.cattle\.io/")


@dataclass(frozen=True, slots=True)
class GroupDocument:
    """A `kind: ClusterGroup` as read; `selector` is `None` if it has none."""

    name: str
    selector: Selector | None
    labels: dict[str, str]
    at: str
    broken: bool


@dataclass(slots=True)
class Declared:
    """What the documents under `clusters/` say."""

    clusters: dict[str, Cluster] = field(default_factory=dict)
    directory_of: dict[str, str] = field(default_factory=dict)
    """Cluster → `clusters/<group>` if its document lies in one, else `""`."""
    groups: list[GroupDocument] = field(default_factory=list)
    policies: list[PolicyDocument] = field(default_factory=list)
    held: set[str] = field(default_factory=set)
    """Clusters that keep all they have."""
    unread: set[str] = field(default_factory=set)


def read_documents(files: Files, findings: Findings) -> Declared:
    """Every document of ours under `clusters/`."""
    declared = Declared()
    for path in files.below("clusters"):
        if path.endswith(MANIFESTS) and path.rpartition("/")[2] not in KUSTOMIZATIONS:
            _read_file(files, path, declared, findings)
    return declared


def _read_file(files: Files, path: str, declared: Declared, findings: Findings) -> None:
    try:
        data = files.read(path)
    except KeyError:
        return
    except TooLarge as error:
        findings.error("too-large", str(error), at=path, fix="split it into smaller files")
        declared.unread.add("")
        return
    if not _OURS.search(data):
        return
    for page, document in _pages(path, data, declared, findings):
        _read_document(page, document, declared)


def _pages(
    path: str, data: bytes, declared: Declared, findings: Findings
) -> Iterator[tuple[Page, Any]]:
    """The documents of a file; if it does not parse, those of its parts that do."""
    try:
        documents = read_yaml_documents_with_lines(data)
    except YamlError as error:
        yield from _rescue(path, data, error, declared, findings)
        return
    lines = FieldLines(data)
    for index, (document, line) in enumerate(documents):
        yield Page(path, lines, findings, index, line), document


def _rescue(
    path: str, data: bytes, error: YamlError, declared: Declared, findings: Findings
) -> Iterator[tuple[Page, Any]]:
    """The file does not parse as a whole: each part between `---` lines is read alone."""
    first_line = 1
    parts = re.split(rb"^---[^\n]*(?:\n|\Z)", data, flags=re.M)
    failed = False
    for part in parts:
        try:
            documents = read_yaml_documents_with_lines(part)
        except YamlError as inner:
            failed = True
            findings.error(**yaml_invalid(inner, path, first_line))
            _hold(part.decode("utf-8", "replace"), path, first_line, declared)
        else:
            for index, (document, _) in enumerate(documents):
                yield Page(path, FieldLines(part, first_line), findings, index), document
        first_line += part.count(b"\n") + 1
    if not failed:
        findings.error(**yaml_invalid(error, path))
        declared.unread.add("")


def _hold(text: str, path: str, line: int, declared: Declared) -> None:
    """What a document that does not parse seems to declare is held."""
    kind = _KIND.search(text)
    name = _NAMED.search(text)
    if kind and kind[1] == "Cluster" and name and NAME.match(name[1]):
        _declare(Cluster(name[1], at=place(path, line)), path, declared)
        declared.held.add(name[1])
    elif kind and kind[1] == "ClusterGroup" and name:
        declared.groups.append(GroupDocument(name[1], None, {}, place(path, line), True))
        declared.unread.add("ClusterGroup")
    else:
        declared.unread.add(kind[1] if kind else "")


def _read_document(page: Page, document: Any, declared: Declared) -> None:
    if not isinstance(document, dict):
        return
    api, kind = document.get("apiVersion"), document.get("kind")
    ours = isinstance(api, str) and _API.match(api)
    if not ours and (api is not None or kind not in ("Cluster", "ClusterGroup", "Rollout")):
        return
    if not ours or not isinstance(kind, str) or not kind:
        page.error(
            "bad-document",
            f"a document with kind {kind!r} and apiVersion {api!r}",
            (),
            "give it `apiVersion: fleet.dev/v1` and a kind",
        )
        declared.unread.add(kind if isinstance(kind, str) else "")
        return
    fields = Fields(document, page)
    fields.ask("apiVersion"), fields.ask("kind"), fields.ask("status")
    metadata = fields.part("metadata") or Fields({}, page, ("metadata",))
    name = metadata.text("name")
    if not NAME.match(name):
        page.error("bad-name", f"{kind} has the name {name!r}", ("metadata", "name"), NAME_FIX)
        declared.unread.add(kind)
        return
    read = {"Cluster": _read_cluster, "ClusterGroup": _read_group}.get(kind, _read_policy)
    read(kind, name, fields, metadata, declared)


NAME_FIX = "use 1 to 63 lower-case letters, digits, `-` and `.`, a letter or digit at both ends"


def _read_cluster(
    kind: str, name: str, fields: Fields, metadata: Fields, declared: Declared
) -> None:
    page = fields.page
    page.cluster = name
    labels, annotations = metadata.text_map("labels"), metadata.text_map("annotations")
    spec = fields.part("spec") or Fields({}, page, ("spec",))
    values = spec.mapping("templateValues") | spec.mapping("values")
    version = spec.text("kubernetesVersion")
    if version and not _VERSION.match(version):
        spec.wrong("kubernetesVersion", 'a version such as "1.33.2"', version)
    apis = tuple(sorted(set(spec.texts("apiVersions"))))
    deletion = spec.word("deletionPolicy", Deletion) or Deletion.ORPHAN
    _finish(fields, metadata, spec)
    at = page.at()
    cluster = Cluster(name, labels, annotations, values, version, apis, at, deletion)
    _declare(cluster, page.file, declared)
    if page.broken:
        declared.held.add(name)
    other = declared.clusters[name]
    if other.at != at:
        page.findings.error(
            "cluster-twice",
            f"cluster {name} is declared twice",
            at=f"{other.at}, {at}",
            fix="remove one of them; until then the cluster keeps all it has",
            cluster=name,
        )
        declared.held.add(name)


def _declare(cluster: Cluster, path: str, declared: Declared) -> None:
    if cluster.name in declared.clusters:
        return
    parts = path.split("/")
    declared.clusters[cluster.name] = cluster
    declared.directory_of[cluster.name] = "/".join(parts[:2]) if len(parts) > 2 else ""


def _read_group(kind: str, name: str, fields: Fields, metadata: Fields, declared: Declared) -> None:
    page = fields.page
    labels = metadata.text_map("labels")
    spec = fields.part("spec") or Fields({}, page, ("spec",))
    selector = spec.selector("selector")
    _finish(fields, metadata, spec)
    declared.groups.append(GroupDocument(name, selector, labels, page.at(), page.broken))
    if page.broken:
        declared.unread.add(kind)


def _read_policy(
    kind: str, name: str, fields: Fields, metadata: Fields, declared: Declared
) -> None:
    spec = fields.mapping("spec")
    fields.done()
    if fields.page.broken:
        declared.unread.add(kind)
    else:
        declared.policies.append(PolicyDocument(kind, name, spec, fields.page.at()))


def _finish(fields: Fields, metadata: Fields, spec: Fields) -> None:
    """What a person may say and Fleet does not look at is said to be so."""
    metadata.ask("labels"), metadata.ask("annotations"), metadata.ask("namespace")
    metadata.done()
    spec.done()
    fields.done()
