"""The files of one commit, without a checkout.

Names that could lead anyone astray never get in: those that are not UTF-8, and those with a part
`.`, `..` or `.git`, which Git itself does not make but a crafted tree holds. Each is a problem.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping

from fleet.errors import SourceError
from fleet.model import Problem, Severity, TreeEntry
from fleet.source.git import Git, GitFailed
from fleet.source.objects import ObjectReader

SUBMODULE = "160000"


class GitTree:
    """A `fleet.model.Tree`."""

    def __init__(self, git: Git, objects: ObjectReader, commit: str) -> None:
        self._git, self._objects, self._commit = git, objects, commit

    @property
    def commit(self) -> str:
        """The commit's id."""
        return self._commit

    @property
    def problems(self) -> tuple[Problem, ...]:
        """The names that were left out, and those that some file systems cannot tell apart."""
        return self._listing[1]

    def entries(self) -> Mapping[str, TreeEntry]:
        """Every file, sorted by path. Errors: `SourceError`."""
        return self._listing[0]

    def read(self, path: str) -> bytes:
        """The bytes of one file, or a symbolic link's target.

        Errors: `KeyError` for no such file and for a submodule; `SourceError`.
        """
        entry = self.entries()[path]
        if entry.mode == SUBMODULE:
            raise KeyError(path)
        try:
            return self._objects.read(entry.blob)[1]
        except SourceError as error:
            raise SourceError(error.what, at=path, fix=error.fix, code=error.code) from error

    @functools.cached_property
    def _listing(self) -> tuple[dict[str, TreeEntry], tuple[Problem, ...]]:
        try:
            listing = self._git.run("ls-tree", "-r", "-z", "-l", "--full-tree", self._commit)
        except GitFailed as error:
            raise SourceError(
                f"the tree of commit {self._commit} cannot be read: {error}",
                at=str(self._git.directory),
                fix="run `git fsck` there; if it is Fleet's own mirror, delete it",
            ) from error
        entries: dict[str, TreeEntry] = {}
        problems: list[Problem] = []
        for raw in listing.split(b"\0")[:-1]:
            entry = _entry(raw)
            if isinstance(entry, Problem):
                problems.append(entry)
            else:
                entries[entry.path] = entry
        problems.extend(_look_alikes(entries))
        return dict(sorted(entries.items())), tuple(sorted(problems))


def _entry(raw: bytes) -> TreeEntry | Problem:
    """One record of `ls-tree -l -z`: mode, type, id, size, tab, path."""
    head, _, name = raw.partition(b"\t")
    mode, _, blob, size = head.decode().split()
    try:
        path = name.decode()
    except UnicodeDecodeError:
        return _bad_name(repr(name)[2:-1], "is not UTF-8")
    if any(part in ("", ".", "..") or part.lower() == ".git" for part in path.split("/")):
        return _bad_name(path, "has a part that no file may have")
    return TreeEntry(path, mode, blob, 0 if size == "-" else int(size))


def _bad_name(shown: str, why: str) -> Problem:
    return Problem(
        code="file-name",
        severity=Severity.ERROR,
        what=f"the file name {shown!r} {why}; the file is left out",
        at=shown,
        fix="rename the file",
    )


def _look_alikes(entries: Mapping[str, TreeEntry]) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for path in entries:
        other = seen.setdefault(path.lower(), path)
        if other != path:
            yield Problem(
                code="file-name-case",
                severity=Severity.WARNING,
                what=f"{other} and {path} differ only in case: a Mac or Windows checkout loses one",
                at=f"{other}, {path}",
                fix="rename one of them",
            )
