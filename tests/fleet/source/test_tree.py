"""Trees as hostile as Git objects can make them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from fleet.errors import SourceError
from fleet.model import Severity
from fleet.source import GitTree, Source, objects
from fleet.source.git import Git
from tests.fleet.source.repositories import commit, crafted_commit, git, new_repository, tree_entry


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return new_repository(tmp_path / "home", {"a.yaml": "one"})


def tree_of(home: Path, revision: str = "HEAD") -> GitTree:
    source = Source.open(str(home))
    return source.tree(source.resolve(revision))


def test_names_that_lead_astray_are_left_out_and_named(home: Path) -> None:
    blob = git(home, "rev-parse", "HEAD:a.yaml")
    inner = tree_entry("100644", b"config", blob)
    folder = git(home, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", data=inner)
    entries = (
        tree_entry("40000", b"..", folder)
        + tree_entry("40000", b".GIT", folder)
        + tree_entry("40000", b".git", folder)
        + tree_entry("100644", b"caf\xe9.yaml", blob)
        + tree_entry("100644", b"good.yaml", blob)
    )
    tree = tree_of(home, crafted_commit(home, entries))
    assert list(tree.entries()) == ["good.yaml"]
    assert [problem.code for problem in tree.problems] == ["file-name"] * 4
    assert {problem.at for problem in tree.problems} == {
        "../config",
        ".GIT/config",
        ".git/config",
        "caf\\xe9.yaml",
    }
    assert all(problem.severity is Severity.ERROR and problem.fix for problem in tree.problems)


def test_odd_but_legal_names_are_files_like_any_other(home: Path) -> None:
    names = ["-x", "a b", "tab\there", "new\nline", "--upload-pack=x", "ünï.yaml", "*.yaml"]
    commit(home, {name: name for name in names})
    tree = tree_of(home)
    assert sorted(names) == [path for path in tree.entries() if path != "a.yaml"]
    assert all(tree.read(name) == name.encode() for name in names)


def test_names_that_differ_only_in_case_are_a_warning(home: Path) -> None:
    commit(home, {"Apps/web.yaml": "1", "apps/web.yaml": "2"})
    tree = tree_of(home)
    assert tree.read("Apps/web.yaml") != tree.read("apps/web.yaml")
    (problem,) = tree.problems
    assert (problem.code, problem.severity) == ("file-name-case", Severity.WARNING)


def test_links_are_their_targets_text_and_submodules_cannot_be_read(home: Path) -> None:
    (home / "link").symlink_to("/etc/passwd")
    git(home, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},vendor")
    git(home, "add", "link")
    git(home, "commit", "-q", "-m", "odd")
    tree = tree_of(home)
    assert tree.entries()["link"].mode == "120000"
    assert tree.read("link") == b"/etc/passwd"
    assert tree.entries()["vendor"].mode == "160000"
    with pytest.raises(KeyError):
        tree.read("vendor")


def test_a_file_that_is_too_large_is_refused_by_name(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit(home, {"big": "x" * 2000})
    monkeypatch.setattr(objects, "MAX_BLOB", 1000)
    tree = tree_of(home)
    with pytest.raises(SourceError) as caught:
        tree.read("big")
    assert (caught.value.at, caught.value.code) == ("big", "source-file-too-large")
    assert tree.read("a.yaml") == b"one"


def test_a_reading_process_that_dies_is_started_again(home: Path) -> None:
    tree = tree_of(home)
    assert tree.read("a.yaml") == b"one"
    process = tree._objects._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert tree.read("a.yaml") == b"one"


def test_a_missing_object_is_said_to_be_a_damaged_repository(home: Path) -> None:
    with pytest.raises(SourceError) as caught:
        Source.open(str(home)).tree("1" * 40).entries()
    assert "git fsck" in caught.value.fix


def test_a_hundred_thousand_files_are_listed() -> None:
    names = (b"%06d" % number for number in range(100_000))
    listing = b"".join(b"100644 blob %040d       3\tdir/%s\0" % (7, name) for name in names)
    tree = GitTree(_Listing(listing), objects.ObjectReader(_Listing(listing)), "c" * 40)
    assert len(tree.entries()) == 100_000
    assert tree.problems == ()


class _Listing(Git):
    """A `git` that prints a listing."""

    def __init__(self, text: bytes) -> None:
        super().__init__(Path("/nowhere"))
        self._text = text

    def run(self, *arguments: str, seconds: float = 0) -> bytes:
        return self._text
