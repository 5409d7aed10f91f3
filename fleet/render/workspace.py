"""Files of a tree on disk for the tools that need them there, for as long as one render takes.

Only what a render may reach is written, and nothing outside the folder: paths come from a `Tree`,
which holds no `..`, and links were followed by `fleet.render.reach` before.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from fleet.model import Tree, TreeEntry
from fleet.render.reach import LINK, SUBMODULE


def materialise(
    tree: Tree, entries: Iterable[TreeEntry], folder: Path, extra: Mapping[str, str] | None = None
) -> None:
    """Writes the files into `folder`; `extra` are further files (path → text).

    Errors: `SourceError` if the tree cannot be read, `OSError` of the disk.
    """
    made: set[Path] = set()
    links: list[TreeEntry] = []
    for entry in entries:
        if entry.mode == LINK:
            links.append(entry)
        elif entry.mode != SUBMODULE:
            _write(folder / entry.path, tree.read(entry.path), made)
    for path, text in (extra or {}).items():
        _write(folder / path, text.encode(), made)
    for entry in links:  # after the files, so that nothing is ever written through a link
        link = folder / entry.path
        _make(link.parent, made)
        link.symlink_to(os.fsdecode(tree.read(entry.path)))


def _write(path: Path, data: bytes, made: set[Path]) -> None:
    _make(path.parent, made)
    path.write_bytes(data)


def _make(folder: Path, made: set[Path]) -> None:
    if folder not in made:
        folder.mkdir(parents=True, exist_ok=True)
        made.add(folder)
