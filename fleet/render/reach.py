"""Which files of a tree one render may read: its cache key, and all that gets onto a disk.

::

    RAW        the manifests, and the overlays' files
    HELM       everything under the chart
    KUSTOMIZE  everything under the directory, then under each base, component, generator … that
               its kustomization file names, and so on; files that it names elsewhere

Symbolic links are followed inside the repository; a link that leaves it, a loop of links, a
submodule and a remote base are failures, before any tool runs.
"""

from __future__ import annotations

import bisect
import posixpath
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from clusters.objects import Digest, YamlError, digest_of, read_yaml
from fleet.model import Form, Tree, TreeEntry
from fleet.render.failure import RenderFailed, failed
from fleet.render.request import GroupRequest, RenderRequest

LINK, SUBMODULE = "120000", "160000"
KUSTOMIZATION_FILES = ("kustomization.yaml", "kustomization.yml", "Kustomization")
MAX_LINKS = 40
_LISTS = (
    "resources", "bases", "components", "crds", "configurations",
    "generators", "transformers", "validators", "patchesStrategicMerge",
)  # fmt: skip
_REMOTE = re.compile(
    r"^(?:[A-Za-z][A-Za-z0-9+.-]*://|git::|[^/\s]+@[^/\s]+[:/]"
    r"|(?:www\.)?(?:github\.com|gitlab\.com|bitbucket\.org|gist\.github\.com)[:/])"
    r"|[?&](?:ref|version)="
)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one render may take."""

    input_bytes: int = 128 * 1024 * 1024
    input_files: int = 50_000
    output_bytes: int = 64 * 1024 * 1024
    objects: int = 20_000
    seconds: float = 60.0
    memory_bytes: int = 4 * 1024 * 1024 * 1024


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Reachable:
    """The files that one render may read, sorted; `digest` names paths, modes and content."""

    files: tuple[TreeEntry, ...]
    digest: Digest


class Reach:
    """A tree with directories and links, and what is reachable in it. One for each tree."""

    def __init__(self, tree: Tree, limits: Limits = DEFAULT_LIMITS) -> None:
        self.tree, self.limits = tree, limits
        self.entries = tree.entries()
        self._paths = sorted(self.entries)
        self._kustomizations: dict[str, dict[str, Any]] = {}
        self._known: dict[tuple[Form, str], Reachable] = {}

    def of(self, request: RenderRequest | GroupRequest, dropped: Collection[str] = ()) -> Reachable:
        """The files that the request's render may read.

        `dropped` are directories that a group's file lists and its build leaves out.
        Errors: `RenderFailed`.
        """
        if isinstance(request, GroupRequest):
            return self._reachable(
                self._kustomize(request.directory, frozenset(map(self.resolve, dropped))),
                request.directory,
            )
        if request.form not in (Form.KUSTOMIZE, Form.HELM):
            return self._reachable(self._manifests(request), request.path)
        known = (request.form, request.path)
        if known not in self._known:  # a chart has as many requests as there are sets of values
            chart = request.form is Form.HELM
            found = self._chart(request) if chart else self._kustomize(request.path)
            self._known[known] = self._reachable(found, request.path)
        return self._known[known]

    def _reachable(self, found: Mapping[str, TreeEntry], at: str) -> Reachable:
        total = sum(entry.size for entry in found.values())
        if total > self.limits.input_bytes or len(found) > self.limits.input_files:
            raise failed(
                "render-too-large",
                f"{len(found):,} files with {total:,} bytes are too much for one render "
                f"(at most {self.limits.input_files:,} and {self.limits.input_bytes:,})",
                at=at,
                fix="split it into several bundles, or move large files away",
            )
        files = tuple(found[path] for path in sorted(found))
        return Reachable(files, digest_of([(f.path, f.mode, f.blob) for f in files]))

    def refused(self, group: GroupRequest) -> dict[str, RenderFailed]:
        """The listed directories that may not be rendered at all, with the reason."""
        found: dict[str, RenderFailed] = {}
        for directory, _ in group.listed:
            try:
                self._kustomize(directory)
            except RenderFailed as error:
                found[directory] = error
        return found

    def is_directory(self, path: str) -> bool:
        """Is there a file under `path`?"""
        if path in ("", "."):
            return bool(self._paths)
        index = bisect.bisect_left(self._paths, f"{path}/")
        return index < len(self._paths) and self._paths[index].startswith(f"{path}/")

    def under(self, directory: str) -> Iterator[TreeEntry]:
        """The files under a directory, sorted."""
        prefix = "" if directory in ("", ".") else f"{directory}/"
        for path in self._paths[bisect.bisect_left(self._paths, prefix) :]:
            if not path.startswith(prefix):
                return
            yield self.entries[path]

    def resolve(self, path: str, at: str = "") -> str:
        """`path` with links followed and `..` taken out; it may not exist.

        Errors: `RenderFailed` if it leaves the repository or goes through a submodule.
        """
        return self._walk(path, at)[0]

    def _walk(self, path: str, at: str = "") -> tuple[str, list[TreeEntry]]:
        """The resolved path, and every link on the way."""
        waiting, real, links = list(reversed(path.split("/"))), list[str](), list[TreeEntry]()
        while waiting:
            part = waiting.pop()
            if part in ("", "."):
                continue
            if part == "..":
                if not real:
                    raise _leaves(path, at)
                real.pop()
                continue
            real.append(part)
            entry = self.entries.get("/".join(real))
            if entry is not None and entry.mode == SUBMODULE:
                raise _submodule(entry.path, at)
            if entry is not None and entry.mode == LINK:
                links.append(entry)
                target = self.tree.read(entry.path).decode(errors="replace")
                if target.startswith("/"):
                    raise _leaves(entry.path, at)
                if len(links) > MAX_LINKS:
                    raise _loop(entry.path, at)
                real.pop()
                waiting.extend(reversed(target.split("/")))
        return "/".join(real), links

    def kustomization(self, directory: str) -> tuple[str, dict[str, Any]]:
        """Path and content of a directory's kustomization file; empty if there is none.

        Errors: `RenderFailed` for one that cannot be read.
        """
        for name in KUSTOMIZATION_FILES:
            path = posixpath.normpath(posixpath.join(directory, name))
            if path in self.entries:
                real = self.resolve(path)
                if real not in self.entries:
                    continue
                if real not in self._kustomizations:
                    self._kustomizations[real] = _read_kustomization(path, self.tree.read(real))
                return path, self._kustomizations[real]
        return "", {}

    def _chart(self, request: RenderRequest) -> dict[str, TreeEntry]:
        found: dict[str, TreeEntry] = {}
        real = self.resolve(request.path, request.at)
        self._take_directory(real, found)
        if posixpath.join(real, "Chart.yaml") not in found:
            raise failed(
                "chart-missing",
                f"there is no chart at {request.path or '.'}: no Chart.yaml",
                at=request.at or request.path,
                fix="let helm.chart name a directory with a Chart.yaml; commit the chart itself",
                bundle=request.bundle,
            )
        self._take(request.path, found)
        return found

    def _manifests(self, request: RenderRequest) -> dict[str, TreeEntry]:
        found: dict[str, TreeEntry] = {}
        for path in request.files:
            self._take(path, found)
        for overlay in request.overlays:
            self._take(overlay, found)
        return found

    def _kustomize(
        self, directory: str, dropped: frozenset[str] = frozenset()
    ) -> dict[str, TreeEntry]:
        found: dict[str, TreeEntry] = {}
        seen: set[str] = set()
        waiting = [self.resolve(directory)]
        self._take(directory, found)
        while waiting:
            here = waiting.pop()
            if here in seen:
                continue
            seen.add(here)
            self._take_directory(here, found)
            file, content = self.kustomization(here)
            for reference in _references(content):
                if dropped and self.resolve(posixpath.join(here, reference), file) in dropped:
                    continue
                waiting.extend(self._follow(here, file, reference, found))
        return found

    def _follow(
        self, here: str, file: str, reference: str, found: dict[str, TreeEntry]
    ) -> list[str]:
        """Takes what a kustomization file names; a directory is to be looked at in its turn."""
        path = posixpath.join(here, reference)
        if _REMOTE.search(reference) and posixpath.normpath(path) not in self.entries:
            raise failed(
                "remote-base",
                f"{file} names the remote {reference!r}; remote bases are off",
                at=file,
                fix="copy it into the repository and name the copy",
            )
        real = self.resolve(path, file)
        self._take(path, found)
        return [real] if self.is_directory(real) else []

    def _take(self, path: str, found: dict[str, TreeEntry]) -> None:
        """Adds a file or directory as named, every link on the way, and what they point at."""
        real, links = self._walk(path)
        found.update((link.path, link) for link in links)
        if real in self.entries:
            found[real] = self.entries[real]
        elif self.is_directory(real):
            self._take_directory(real, found)

    def _take_directory(self, directory: str, found: dict[str, TreeEntry]) -> None:
        for entry in self.under(directory):
            if entry.path in found or entry.mode == SUBMODULE:
                continue
            found[entry.path] = entry
            if entry.mode == LINK:
                self._take(entry.path, found)


def _references(content: Mapping[str, Any]) -> Iterator[str]:
    """Every path that a kustomization file names, in order; inline documents are none."""
    for field in _LISTS:
        yield from _paths(content.get(field))
    for field in ("patches", "patchesJson6902", "replacements"):
        for item in _items(content.get(field)):
            if isinstance(item, Mapping):
                yield from _paths([item.get("path")])
    openapi = content.get("openapi")
    if isinstance(openapi, Mapping):
        yield from _paths([openapi.get("path")])
    for field in ("configMapGenerator", "secretGenerator"):
        for item in _items(content.get(field)):
            if isinstance(item, Mapping):
                files = [str(f).rpartition("=")[2] for f in _items(item.get("files"))]
                yield from _paths([*files, *_items(item.get("envs")), item.get("env")])


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _paths(value: Any) -> Iterator[str]:
    for item in _items(value):
        if isinstance(item, str) and item and "\n" not in item:
            yield item


def _read_kustomization(path: str, data: bytes) -> dict[str, Any]:
    try:
        content = read_yaml(data)
    except YamlError as error:
        raise failed(
            "yaml-invalid",
            f"{path} cannot be read as YAML: {error}",
            at=f"{path}:{error.line}" if error.line else path,
            fix="correct the YAML; what it declares keeps its last state until then",
        ) from error
    return content if isinstance(content, dict) else {}


def _leaves(path: str, at: str) -> RenderFailed:
    return failed(
        "link-leaves-repository",
        f"{path} leads out of the repository",
        at=at or path,
        fix="let links and paths stay inside the repository",
    )


def _loop(path: str, at: str) -> RenderFailed:
    return failed(
        "link-loop",
        f"the symbolic link {path} is part of a loop",
        at=at or path,
        fix="let the link point at a file or directory",
    )


def _submodule(path: str, at: str) -> RenderFailed:
    return failed(
        "submodule",
        f"{path} is a Git submodule; submodules are not fetched",
        at=at or path,
        fix="copy its files into the repository",
    )
