"""Real Git repositories for tests, made with the real program."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path


def git(folder: Path, *arguments: str, data: bytes | None = None, when: str = "") -> str:
    """What `git` prints in a folder."""
    dates = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when} if when else {}
    ended = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        input=data,
        capture_output=True,
        check=True,
        env=os.environ | dates,
    )
    return ended.stdout.decode().strip()


def new_repository(folder: Path, files: Mapping[str, str | bytes] | None = None) -> Path:
    """A repository with one commit of these files, or none if there are no files."""
    folder.mkdir(parents=True, exist_ok=True)
    git(folder, "init", "-q", "-b", "main")
    if files:
        commit(folder, files)
    return folder


def commit(
    folder: Path,
    files: Mapping[str, str | bytes],
    title: str = "change",
    when: str = "2030-01-02T03:04:05Z",
) -> str:
    """Writes the files, commits everything and returns the commit's id."""
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content.encode() if isinstance(content, str) else content)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", title, when=when)
    return git(folder, "rev-parse", "HEAD")


def crafted_commit(folder: Path, tree: bytes) -> str:
    """A commit of a tree object with exactly these bytes, which Git itself would not make."""
    made = git(folder, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", data=tree)
    return git(folder, "commit-tree", made, "-m", "crafted")


def tree_entry(mode: str, name: bytes, blob: str) -> bytes:
    """One entry of a tree object."""
    return mode.encode() + b" " + name + b"\0" + bytes.fromhex(blob)
