"""The files of a commit as layout looks at them: directories, and links that stay inside.

A `Tree` is a flat mapping of paths. Here it gets directories, and a path is followed through
symbolic links as on disk, except that a link may not leave the repository, point at nothing or at
itself: such a path does not resolve. Never reads a file larger than `MAX_BYTES`.
"""

from __future__ import annotations

import posixpath
from functools import lru_cache

from fleet.model import Tree, TreeEntry

LINK = "120000"
SUBMODULE = "160000"
MAX_LINKS = 40
"""As the kernel: a path that goes through more links is a loop."""
MAX_BYTES = 16 * 1024 * 1024
"""A declaration larger than this is refused; manifests are the renderer's concern."""
KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
MANIFESTS = (".yaml", ".yml", ".json")


class TooLarge(ValueError):
    """A declaration larger than `MAX_BYTES`."""


class Files:
    """A view of one tree. Paths are relative to the repository's root; the root is `""`."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.entries = tree.entries()
        self._children: dict[str, set[str]] = {"": set()}
        for path in self.entries:
            self._add(path)
        self.resolve = lru_cache(maxsize=None)(self._resolve)

    def _add(self, path: str) -> None:
        while path:
            parent, _, name = path.rpartition("/")
            siblings = self._children.setdefault(parent, set())
            if name in siblings:
                return
            siblings.add(name)
            path = parent

    def children(self, directory: str) -> list[str]:
        """The names in a directory, sorted; empty if there is none."""
        return sorted(self._children.get(directory, ()))

    def directories(self) -> list[str]:
        """Every directory, sorted."""
        return sorted(self._children)

    def subdirectories(self, directory: str) -> list[str]:
        """The directories right in `directory` as whole paths, sorted; links are not followed."""
        paths = (join(directory, name) for name in self.children(directory))
        return [path for path in paths if path in self._children]

    def is_file(self, path: str) -> bool:
        """Is there a file at the end of the links?"""
        found = self.resolve(path)
        return found is not None and found in self.entries

    def is_directory(self, path: str) -> bool:
        """Is there a directory at the end of the links?"""
        found = self.resolve(path)
        return found is not None and found in self._children

    def entry(self, path: str) -> TreeEntry | None:
        """The entry at exactly this path, links not followed."""
        return self.entries.get(path)

    def read(self, path: str) -> bytes:
        """The bytes at the end of the links. Errors: `KeyError`, `TooLarge`, `SourceError`."""
        found = self.resolve(path)
        if found is None or found not in self.entries:
            raise KeyError(path)
        if self.entries[found].size > MAX_BYTES:
            raise TooLarge(f"{path} has {self.entries[found].size} bytes")
        return self._tree.read(found)

    def kustomization(self, directory: str) -> str:
        """The path of the directory's kustomization file, `""` if it has none."""
        for name in KUSTOMIZATIONS:
            if self.is_file(join(directory, name)):
                return join(directory, name)
        return ""

    def below(self, directory: str) -> list[str]:
        """Every file below a directory, sorted; links are listed and not followed."""
        found: list[str] = []
        pending = [directory]
        while pending:
            here = pending.pop()
            for name in self._children.get(here, ()):
                path = join(here, name)
                if path in self._children:
                    pending.append(path)
                else:
                    found.append(path)
        return sorted(found)

    def _resolve(self, path: str) -> str | None:
        done = ""
        rest = [part for part in path.split("/") if part]
        links = 0
        while rest:
            part = rest.pop(0)
            if part == "..":
                if not done:
                    return None
                done = done.rpartition("/")[0]
                continue
            done = join(done, part) if part != "." else done
            entry = self.entries.get(done)
            if entry is None:
                if done not in self._children:
                    return None
            elif entry.mode == LINK:
                links += 1
                target = self._target(done)
                if links > MAX_LINKS or target is None:
                    return None
                done = done.rpartition("/")[0]
                rest = [p for p in target.split("/") if p] + rest
        return done

    def _target(self, link: str) -> str | None:
        """Where a link points; `None` for one that is absolute or no text."""
        if self.entries[link].size > 4096:
            return None
        try:
            target = self._tree.read(link).decode()
        except UnicodeDecodeError:
            return None
        return None if not target or target.startswith("/") else target


def join(directory: str, name: str) -> str:
    """`directory/name`; the root is `""`."""
    return f"{directory}/{name}" if directory else name


def within(path: str, directory: str) -> bool:
    """Is `path` the directory itself or below it?"""
    return path == directory or directory == "" or path.startswith(directory + "/")


def relative(directory: str, said: str) -> str | None:
    """What `said` in a file of `directory` means as a repository path.

    `None` if it is absolute or leaves the repository.
    """
    if said.startswith("/"):
        return None
    path = posixpath.normpath(posixpath.join(directory, said))
    if path == ".":
        return ""
    return None if path == ".." or path.startswith("../") else path


def is_remote(said: str) -> bool:
    """Does a reference name something that is not in this repository?"""
    return (
        "://" in said
        or "?ref=" in said
        or said.startswith(
            ("git@", "git::", "oci:", "github.com/", "gitlab.com/", "bitbucket.org/")
        )
    )
