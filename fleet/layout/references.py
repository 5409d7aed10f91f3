"""Who uses whom: which directories are only bases of others and so no bundles themselves.

A directory is a base if a kustomization file (of another directory) refers to it or into it, or a
fleet.yaml takes its chart or values from it. A reference from a directory *above* counts only if
that one is itself reached from a group's file: an unused `apps/production/kustomization.yaml`
does not take its parts out of service.

A file that does not parse refers to nothing here; the renderer reports it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from clusters.objects import YamlError, read_yaml
from fleet.layout.files import KUSTOMIZATIONS, Files, TooLarge, is_remote, relative, within

_LISTS = ("resources", "bases", "components", "generators", "transformers", "validators")


class References:
    """The references of one commit: directory → what it refers to, as repository paths."""

    def __init__(self, files: Files, group_directories: Iterable[str]) -> None:
        self._from: dict[str, set[str]] = {}
        self._groups = set(group_directories)
        for path in files.entries:
            directory, _, name = path.rpartition("/")
            if name in KUSTOMIZATIONS:
                self._from.setdefault(directory, set()).update(_references(files, path, directory))
        self._reached = self._reach(files)

    def add(self, directory: str, path: str) -> None:
        """A fleet.yaml in `directory` takes a chart or values from `path`."""
        self._from.setdefault(directory, set()).add(path)

    def is_base(self, directory: str) -> bool:
        """Does another directory use this one or something in it?"""
        return any(
            within(path, directory)
            for user, paths in self._from.items()
            if not within(user, directory)
            and (not within(directory, user) or user in self._reached)
            for path in paths
        )

    def _reach(self, files: Files) -> set[str]:
        """What the groups' files lead to, over any number of steps."""
        reached: set[str] = set()
        pending = [d for d in self._groups if d in self._from]
        while pending:
            directory = pending.pop()
            if directory not in reached:
                reached.add(directory)
                pending += [p for p in self._from.get(directory, ()) if files.is_directory(p)]
        return reached


def _references(files: Files, path: str, directory: str) -> set[str]:
    try:
        document = read_yaml(files.read(path))
    except (YamlError, TooLarge, KeyError):
        return set()
    if not isinstance(document, dict):
        return set()
    said = [entry for key in _LISTS for entry in _texts(document.get(key))]
    local = (relative(directory, entry) for entry in said if not is_remote(entry))
    return {p for p in local if p is not None}


def _texts(value: Any) -> list[str]:
    """The entries of a list that are references; inline transformers have several lines."""
    if not isinstance(value, list):
        return []
    return [item for item in value if isinstance(item, str) and "\n" not in item]
