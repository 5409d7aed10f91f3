"""A group's build: what `kustomize build clusters/<group>` prints, divided among bundles.

Two builds. The untouched one is the content. For the second, each listed directory is replaced in
place by a wrapper that marks its objects with an annotation and a label (one of them survives
whatever a patch does to the other); it says only which identity belongs to which directory.
Objects without a mark (the file's own, generators', components') are `<group>-cluster`'s.

======================================== ====================================================
both builds have the same identities      one bundle for each listed directory, and the rest
they differ                               all of it is one bundle, `<group>-cluster`; a warning
the untouched build fails                 directories that do not build alone are left out
                                          and named; the rest is built again
it fails still, or none is to blame       every bundle of the group gets the failure
======================================== ====================================================

Promise: the union of the bundles is what the untouched build printed, each object in exactly one.
"""

from __future__ import annotations

import json
import posixpath
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from clusters.objects import Object, ObjectKey, annotations_of, key_of, labels_of, read_yaml
from fleet.model import Problem, Rendered
from fleet.render import kustomize
from fleet.render.failure import RenderFailed, warning
from fleet.render.job import Job, Results, cluster_bundle
from fleet.render.manifests import finish
from fleet.render.reach import KUSTOMIZATION_FILES
from fleet.render.request import GroupRequest

MARK = "fleet.dev/render-owner"
_WRAPPER = ".fleet-owner-"


def build_group(job: Job, group: GroupRequest) -> Results:
    """What each bundle of the group got. Writes wrappers into the job's folder.

    A bundle that has nothing of its own gets `Rendered()`: neither artifact nor problem.
    """
    if job.dropped:
        GroupFile(job, group, job.dropped).drop()
    try:
        objects = _build(job, group)
    except RenderFailed as whole:
        culprits = _culprits(job, group)
        if not culprits:
            return _all_failed(group, whole.problem)
        return culprits | _without(job, group, culprits)
    return _divide(job, group, objects)


class GroupFile:
    """The group's kustomization file in the job's folder: entries of it can be exchanged."""

    def __init__(self, job: Job, group: GroupRequest, paths: Iterable[str]) -> None:
        """`paths` are the directories to be exchanged, as the repository knows them."""
        self.folder = Path(job.folder) / group.directory
        names = [name for name in KUSTOMIZATION_FILES if (self.folder / name).exists()]
        self.path = self.folder / (names or KUSTOMIZATION_FILES)[0]
        self.content: dict[str, Any] = read_yaml(self.path.read_bytes()) or {}
        self._root, self._directory = Path(job.folder).resolve(), group.directory
        self._index = {path: n for n, path in enumerate(paths)}

    def drop(self) -> None:
        """Takes the directories out of the file."""
        for field in ("resources", "bases"):
            kept = [item for item in self._list(field) if self._listed(item) is None]
            if field in self.content:
                self.content[field] = kept
        self._write(self.content)

    def mark(self) -> None:
        """Puts a wrapper in the place of each of the directories."""
        marked = dict(self.content)
        for field in ("resources", "bases"):
            if field in self.content:
                marked[field] = [self._wrapped(item) for item in self._list(field)]
        self._write(marked)

    def _wrapped(self, item: Any) -> Any:
        path = self._listed(item)
        if path is None:
            return item
        index = self._index[path]
        wrapper = self.folder / f"{_WRAPPER}{index}"
        wrapper.mkdir(exist_ok=True)
        for name, content in _wrapper(index, posixpath.join("..", item)).items():
            (wrapper / name).write_text(json.dumps(content))
        return wrapper.name

    def _listed(self, item: Any) -> str | None:
        """Which of the directories an entry names, links followed; `None` for anything else."""
        if not isinstance(item, str) or "\n" in item:
            return None
        plain = posixpath.normpath(posixpath.join(self._directory, item))
        if plain in self._index:
            return plain
        real = (self.folder / item).resolve()
        if not real.is_relative_to(self._root):
            return None
        return next((p for p in self._index if (self._root / p).resolve() == real), None)

    def _list(self, field: str) -> list[Any]:
        value = self.content.get(field)
        return value if isinstance(value, list) else []

    def _write(self, content: dict[str, Any]) -> None:
        self.path.unlink()  # it may be a link to a file that others read
        self.path.write_text(json.dumps(content))


def _wrapper(index: int, directory: str) -> dict[str, Any]:
    """The two files of a wrapper; JSON is YAML. Selectors and templates are never touched."""
    mark, name = {MARK: f"o{index}"}, {"name": "fleet-owner"}
    annotate = {
        "apiVersion": "builtin",
        "kind": "AnnotationsTransformer",
        "metadata": name,
        "annotations": mark,
        "fieldSpecs": [{"path": "metadata/annotations", "create": True}],
    }
    label = {
        "apiVersion": "builtin",
        "kind": "LabelTransformer",
        "metadata": name,
        "labels": mark,
        "fieldSpecs": [{"path": "metadata/labels", "create": True}],
    }
    return {
        "kustomization.yaml": {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": [directory],
            "transformers": ["annotate.yaml", "label.yaml"],
        },
        "annotate.yaml": annotate,
        "label.yaml": label,
    }


def _build(job: Job, group: GroupRequest) -> list[Object]:
    documents = kustomize.build(job, group.directory, cluster_bundle(group.group))
    return [document.object for document in documents]


def _culprits(job: Job, group: GroupRequest) -> Results:
    """The listed directories that do not build alone, with the reason."""
    found: Results = {}
    for path, bundle in group.listed:
        try:
            kustomize.run(job, path, bundle)
        except RenderFailed as error:
            found[bundle] = Rendered(problem=error.problem)
    return found


def _without(job: Job, group: GroupRequest, culprits: Results) -> Results:
    """The group without the directories that do not build; what is left may fail as a whole."""
    rest = replace(group, listed=tuple(i for i in group.listed if i[1] not in culprits))
    GroupFile(job, group, (path for path, bundle in group.listed if bundle in culprits)).drop()
    try:
        objects = _build(job, rest)
    except RenderFailed as error:
        return _all_failed(rest, error.problem)
    return _divide(job, rest, objects)


def _all_failed(group: GroupRequest, problem: Problem) -> Results:
    """One problem for all of them: it is the group's, and is shown once."""
    about = replace(problem, bundle="", cluster=group.group)
    bundles = [bundle for _, bundle in group.listed] + [cluster_bundle(group.group)]
    return {bundle: Rendered(problem=about) for bundle in bundles}


def _divide(job: Job, group: GroupRequest, objects: list[Object]) -> Results:
    """Each bundle's objects in the order of the untouched build."""
    own = cluster_bundle(group.group)
    owners = _owners(job, group, objects)
    if owners is None:
        apart = {bundle: Rendered() for _, bundle in group.listed}
        return apart | {own: _finish(job, group, own, objects, (_not_split(group),))}
    shares: dict[str, list[Object]] = {bundle: [] for _, bundle in group.listed}
    shares[own] = []
    for obj in objects:
        index = owners[key_of(obj)]
        shares[own if index is None else group.listed[index][1]].append(obj)
    return {
        bundle: _finish(job, group, bundle, share) if share or bundle != own else Rendered()
        for bundle, share in shares.items()
    }


def _finish(
    job: Job,
    group: GroupRequest,
    bundle: str,
    objects: list[Object],
    warnings: tuple[Problem, ...] = (),
) -> Rendered:
    try:
        return finish(bundle, objects, job.limits, at=group.directory, warnings=warnings)
    except RenderFailed as error:
        return Rendered(problem=error.problem)


def _owners(
    job: Job, group: GroupRequest, objects: list[Object]
) -> dict[ObjectKey, int | None] | None:
    """Which listed directory each identity belongs to; `None` if marks change identities."""
    GroupFile(job, group, (path for path, _ in group.listed)).mark()
    try:
        marked = _build(job, group)
    except RenderFailed:
        return None
    if Counter(map(key_of, marked)) != Counter(map(key_of, objects)):
        return None
    marks = {f"o{index}": index for index in range(len(group.listed))}
    return {
        key_of(obj): marks.get(annotations_of(obj).get(MARK) or labels_of(obj).get(MARK) or "")
        for obj in marked
    }


def _not_split(group: GroupRequest) -> Problem:
    return warning(
        "group-not-split",
        f"what {group.directory} builds cannot be divided among the directories it lists; "
        f"all of it is the bundle {cluster_bundle(group.group)}",
        at=group.directory,
        fix="let no patch or replacement there depend on labels or annotations of others",
        bundle=cluster_bundle(group.group),
    )
