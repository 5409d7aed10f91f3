"""A Git repository that Fleet reads: a folder on this machine, or a mirror of a URL.

::

    source = Source.open("https://git.example/fleet.git", branch="main", mirror_dir=cache)
    commit = source.fetch()             # the branch's newest commit
    tree = source.tree(commit)          # fleet.model.Tree

A folder is read where it is and never written to; a URL gets a bare mirror under `mirror_dir` that
holds all branches and tags. A failed fetch leaves the mirror as it was, so a Git outage stops
nothing. Only `fetch` (and `open` of a URL) touches the network.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from fleet.errors import SourceError
from fleet.source.git import LOCAL_SECONDS, NETWORK_SECONDS, Git, GitFailed, run
from fleet.source.locations import Location, check_location
from fleet.source.objects import ObjectReader
from fleet.source.tree import GitTree

COMMITS_LOOKED_AT = 1000
_FULL_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?\Z")
_MAY_HAVE_TRAILERS = re.compile(r"^[A-Za-z0-9-]+[ \t]*:", re.MULTILINE)
MAX_TRAILERS = 64
TRAILER_CHARACTERS = 1000
_NO_ACCESS = ("authentication failed", "could not read username", "permission denied", "403")
_NO_REPOSITORY = ("not found", "does not exist", "does not appear to be a git repository")


@dataclass(frozen=True, slots=True)
class Commit:
    """What people want to know of a commit."""

    id: str
    title: str
    author: str
    time: datetime
    """When it was committed, UTC."""
    parents: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    """Author and committer, each by name and by e-mail address; sorted, each once."""
    trailers: tuple[tuple[str, str], ...] = ()
    """What Git takes for the trailers of its message, in order; at most `MAX_TRAILERS`."""


class Source:
    """One repository and the branch that Fleet follows."""

    def __init__(self, location: Location, git: Git, branch: str = "") -> None:
        self.location, self.branch = location, branch
        self._git, self._objects = git, ObjectReader(git)

    @classmethod
    def open(
        cls, where: str, *, branch: str = "", mirror_dir: Path | None = None, fetch: bool = True
    ) -> Self:
        """The repository at a path or URL; `branch` empty is the one that HEAD names.

        A URL is fetched first unless `fetch` is false (a hub starts without its Git host).
        Errors: `SourceError`.
        """
        location = check_location(where)
        if branch.startswith("-"):
            raise SourceError(f"{branch!r} is no branch", fix="give a branch's name")
        if location.path is not None:
            return cls(location, Git(_git_directory(location.path)), branch)
        source = cls(location, Git(_mirror(location, mirror_dir or default_mirrors())), branch)
        if fetch:
            source.fetch()
        return source

    def fetch(self) -> str:
        """Brings a mirror up to date; the branch's newest commit. Errors: `SourceError`."""
        if self.location.url:
            try:
                self._fetch_refs()
            except GitFailed as error:
                raise _fetch_failed(self.location, str(error)) from error
        return self.head()

    def head(self) -> str:
        """The newest commit of the branch. Errors: `SourceError` if there is none."""
        return self._commit_of(
            f"refs/heads/{self.branch}" if self.branch else "HEAD", self._no_head
        )

    def resolve(self, rev: str) -> str:
        """The full id of the commit that `rev` names; HEAD is the followed branch's newest.

        Errors: `SourceError` if it names none.
        """
        if rev in ("", "HEAD"):
            return self.head()
        return self._commit_of(rev, lambda: self._no_commit(rev))

    def tags(self) -> dict[str, str]:
        """Every tag of a commit → that commit. Errors: `SourceError`."""
        form = (
            "%(refname:lstrip=2)%00%(objecttype)%00%(objectname)%00%(*objecttype)%00%(*objectname)"
        )
        try:
            said = self._git.run("for-each-ref", f"--format={form}", "refs/tags/")
        except GitFailed as error:
            raise SourceError(f"tags cannot be listed: {error}", at=self.location.shown) from error
        rows = (line.split("\0") for line in said.decode(errors="replace").splitlines())
        peeled = ((row[0], *(row[3:] if row[3] else row[1:3])) for row in rows)
        return {name: commit for name, kind, commit in peeled if kind == "commit"}

    def tree(self, commit: str) -> GitTree:
        """The files of a commit (a full id)."""
        return GitTree(self._git, self._objects, commit)

    def log(self, commit: str) -> Commit:
        """Title, author, time, parents and trailers of a commit. Errors: `SourceError`."""
        try:
            kind, data = self._objects.read(commit)
        except KeyError:
            kind, data = "", b""
        if kind != "commit":
            raise self._no_commit(commit)
        found = _parse_commit(commit, data)
        end = data.decode(errors="replace").rstrip().rpartition("\n\n")[2]
        may_have = _MAY_HAVE_TRAILERS.search(end)
        return replace(found, trailers=self._trailers(commit)) if may_have else found

    def _trailers(self, commit: str) -> tuple[tuple[str, str], ...]:
        """As `git interpret-trailers` reads them: what is one is for Git to say."""
        form = "--format=%(trailers:only=true,unfold=true)"
        try:
            said = self._git.run("-c", "trailer.separators=:", "show", "--no-patch", form, commit)
        except GitFailed:
            return ()  # A message that Git cannot read asks for nothing.
        lines = said.decode(errors="replace").splitlines()[:MAX_TRAILERS]
        pairs = (line[:TRAILER_CHARACTERS].partition(":")[::2] for line in lines if ":" in line)
        return tuple((key.strip(), value.strip()) for key, value in pairs)

    def authors_since(self, before: str, after: str) -> tuple[str, ...]:
        """Author and committer of every commit that `after` has and `before` has not, each by name
        and by e-mail address; sorted, each once.

        Those of `after` alone where Git cannot tell (a shallow clone, a rewritten branch). Of more
        than `COMMITS_LOOKED_AT` commits the newest count. Errors: `SourceError` as of `log`.
        """
        found = set(self.log(after).authors)
        most = f"--max-count={COMMITS_LOOKED_AT}"
        try:
            said = self._git.run("log", most, "--format=%an%n%ae%n%cn%n%ce", f"{before}..{after}")
        except GitFailed:
            return tuple(sorted(found))
        names = (line.strip() for line in said.decode(errors="replace").splitlines())
        return tuple(sorted(found | set(filter(None, names))))

    def parent(self, commit: str) -> str | None:
        """The first parent; `None` for a first commit and where a shallow clone ends."""
        for parent in self.log(commit).parents[:1]:
            try:
                self._objects.read(parent)
            except KeyError:
                return None
            return parent
        return None

    def changed_paths(self, before: str | None, after: str) -> tuple[str, ...]:
        """Files that differ between two commits, sorted; all of them if there is no `before`."""
        new = self.tree(after).entries()
        old = self.tree(before).entries() if before else {}
        return tuple(sorted(p for p in {*old, *new} if old.get(p) != new.get(p)))

    def close(self) -> None:
        """Ends the reading process."""
        self._objects.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _fetch_refs(self) -> None:
        url = self.location.url
        options = ("--quiet", "--prune", "--no-tags", "--no-recurse-submodules")
        everything = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
        self._git.run("fetch", *options, "--", url, *everything, seconds=NETWORK_SECONDS)
        if not self.branch:
            said = self._git.run(
                "ls-remote", "--symref", "--", url, "HEAD", seconds=NETWORK_SECONDS
            )
            name = re.match(rb"ref: (refs/heads/\S+)\tHEAD", said)
            if name:
                self._git.run("symbolic-ref", "HEAD", name[1].decode())

    def _commit_of(self, rev: str, error: Callable[[], SourceError]) -> str:
        if _FULL_ID.match(rev):
            return self.log(rev).id
        if rev.startswith("-"):
            raise error()
        try:
            found = self._git.run("rev-parse", "--quiet", "--verify", f"{rev}^{{commit}}")
        except GitFailed as failed:
            raise error() from failed
        return found.decode().strip()

    def _no_head(self) -> SourceError:
        where = self.location.shown
        heads = self._git.run("for-each-ref", "--format=%(refname:short)", "refs/heads/")
        names = heads.decode(errors="replace").split()
        if not names:
            return SourceError(
                "the repository has no commits yet",
                at=where,
                fix="commit the fleet repository's files",
                code="source-empty",
            )
        branch = self.branch or "the one HEAD names"
        return SourceError(
            f"there is no branch {branch}",
            at=where,
            fix=f"follow one of: {', '.join(sorted(names)[:10])}",
            code="source-no-branch",
        )

    def _no_commit(self, rev: str) -> SourceError:
        return SourceError(
            f"{rev!r} names no commit",
            at=self.location.shown,
            fix="give a commit, tag or branch that is there; fetch it first if it is new",
            code="source-no-commit",
        )


def default_mirrors() -> Path:
    """Where mirrors are kept unless somebody says otherwise: the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "fleet" / "mirrors"


def _git_directory(path: Path) -> Path:
    """The Git directory of the repository in exactly this folder, not in one above it."""
    if not path.is_dir():
        raise SourceError(
            "there is no such folder",
            at=str(path),
            fix="give the folder of a Git repository, or a URL",
            code="source-no-repository",
        )
    try:
        found = run(
            ["-C", str(path), "rev-parse", "--absolute-git-dir"],
            seconds=LOCAL_SECONDS,
            extra={"GIT_CEILING_DIRECTORIES": str(path.resolve().parent)},
        )
    except GitFailed as error:
        owner = "dubious ownership" in str(error)
        raise SourceError(
            "the repository belongs to another user" if owner else "this is no Git repository",
            at=str(path),
            fix=f"git config --global --add safe.directory {path}"
            if owner
            else f"git -C {path} init, and commit the files",
            code="source-not-yours" if owner else "source-no-repository",
        ) from error
    return Path(os.fsdecode(found.rstrip(b"\n")))


def _mirror(location: Location, mirror_dir: Path) -> Path:
    name = hashlib.sha256(location.url.encode()).hexdigest()[:32]
    path = mirror_dir / f"{name}.git"
    if not (path / "HEAD").exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            run(
                ["init", "--quiet", "--bare", "--template=", "--", str(path)],
                seconds=LOCAL_SECONDS,
            )
        except GitFailed as error:
            raise SourceError(
                f"a mirror cannot be made: {error}", at=str(path), fix="make the folder writable"
            ) from error
    return path


def _fetch_failed(location: Location, said: str) -> SourceError:
    lower = said.lower()
    line = next((part for part in said.splitlines() if part.startswith("fatal:")), said[:300])
    if any(word in lower for word in _NO_ACCESS):
        code, fix = "source-no-access", "give Git access: a credential helper or an SSH key"
    elif any(word in lower for word in _NO_REPOSITORY):
        code, fix = "source-no-repository", "check the address; is there a repository?"
    else:
        code, fix = "source-unreachable", "check the network; it is tried again"
    return SourceError(
        f"the repository cannot be fetched: {line}", at=location.shown, fix=fix, code=code
    )


def _parse_commit(commit: str, data: bytes) -> Commit:
    head, _, message = data.decode(errors="replace").partition("\n\n")
    fields = [line.partition(" ")[::2] for line in head.splitlines() if not line.startswith(" ")]
    named = dict(reversed(fields))  # the first of each name counts
    seconds = re.search(r"> (-?\d+) [+-]\d{4}\Z", named.get("committer", ""))
    return Commit(
        id=commit,
        title=message.strip().partition("\n")[0],
        author=named.get("author", "").partition(" <")[0],
        time=datetime.fromtimestamp(int(seconds[1]) if seconds else 0, UTC),
        parents=tuple(value for name, value in fields if name == "parent"),
        authors=_people(named.get("author", ""), named.get("committer", "")),
    )


def _people(*fields: str) -> tuple[str, ...]:
    """The names and addresses of `Name <address> seconds zone`."""
    found = (re.fullmatch(r"(.*?) ?<(.*)>[^>]*", field) for field in fields)
    names = (name.strip() for one in found if one for name in one.groups())
    return tuple(sorted({name for name in names if name}))
