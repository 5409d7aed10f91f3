"""Folders and mirrors: what is read, what is fetched, and what each failure says."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from fleet.errors import SourceError
from fleet.source import Source
from fleet.source.repository import MAX_TRAILERS, TRAILER_CHARACTERS
from tests.fleet.source.repositories import commit, git, new_repository


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return new_repository(tmp_path / "home", {"a.yaml": "one", "dir/b.yaml": "two"})


def opened(url: str | Path, mirrors: Path, **options: object) -> Source:
    return Source.open(str(url), mirror_dir=mirrors, **options)  # type: ignore[arg-type]


def test_a_folder_is_read_at_a_commit_whatever_lies_in_the_work_tree(home: Path) -> None:
    (home / "a.yaml").write_text("not committed")
    with Source.open(str(home)) as source:
        tree = source.tree(source.head())
        assert list(tree.entries()) == ["a.yaml", "dir/b.yaml"]
        assert tree.read("a.yaml") == b"one"
        assert tree.entries()["a.yaml"].size == 3
        assert tree.entries()["a.yaml"].blob == git(home, "rev-parse", "HEAD:a.yaml")
        with pytest.raises(KeyError):
            tree.read("c.yaml")


def test_a_bare_repository_is_a_folder_too(home: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--bare", str(home), "bare.git")
    with Source.open(str(tmp_path / "bare.git")) as source:
        assert source.head() == git(home, "rev-parse", "HEAD")


def test_the_variables_of_a_surrounding_git_do_not_move_the_source(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = new_repository(tmp_path / "other", {"x": "x"})
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere")
    with Source.open(str(home)) as source:
        assert "a.yaml" in source.tree(source.head()).entries()


def test_a_mirror_follows_its_branch_and_survives_an_outage(home: Path, tmp_path: Path) -> None:
    url, mirrors = f"file://{home}", tmp_path / "mirrors"
    with opened(url, mirrors) as source:
        first = source.head()
        second = commit(home, {"a.yaml": "newer"})
        assert source.head() == first
        assert source.fetch() == second
    home.rename(tmp_path / "gone")
    with opened(url, mirrors, fetch=False) as source:
        assert source.head() == second
        with pytest.raises(SourceError) as caught:
            source.fetch()
        assert caught.value.code == "source-no-repository"
        assert source.tree(source.head()).read("a.yaml") == b"newer"


def test_a_mirror_follows_a_rewritten_branch_and_a_new_default(home: Path, tmp_path: Path) -> None:
    with opened(f"file://{home}", tmp_path / "mirrors") as source:
        git(home, "commit", "-q", "--amend", "-m", "rewritten")
        assert source.fetch() == git(home, "rev-parse", "HEAD")
        git(home, "checkout", "-q", "-b", "trunk")
        moved = commit(home, {"a.yaml": "trunk"})
        assert source.fetch() == moved


def test_another_branch_can_be_followed(home: Path, tmp_path: Path) -> None:
    git(home, "checkout", "-q", "-b", "release")
    release = commit(home, {"a.yaml": "released"})
    git(home, "checkout", "-q", "main")
    with opened(f"file://{home}", tmp_path / "mirrors", branch="release") as source:
        assert source.head() == release
        assert source.resolve("HEAD") == release
        assert source.resolve("main") == git(home, "rev-parse", "main")


def test_commits_are_named_by_branch_tag_or_id_and_never_by_an_option(home: Path) -> None:
    first = git(home, "rev-parse", "HEAD")
    git(home, "tag", "v1")
    commit(home, {"a.yaml": "2"})
    with Source.open(str(home)) as source:
        assert source.resolve("v1") == first
        assert source.resolve(first[:10]) == first
        assert source.resolve("HEAD~1") == first
        assert source.resolve(first) == first
        for wrong in ("nope", "--all", "f" * 40, git(home, "rev-parse", "HEAD:a.yaml")):
            with pytest.raises(SourceError) as caught:
                source.resolve(wrong)
            assert caught.value.code == "source-no-commit"
            assert caught.value.fix


def test_the_log_names_title_author_time_and_parents(home: Path) -> None:
    first = git(home, "rev-parse", "HEAD")
    second = commit(home, {"a.yaml": "2"}, "Größer\n\nlong text", when="2031-02-03T04:05:06+0200")
    with Source.open(str(home)) as source:
        found = source.log(second)
        assert (found.title, found.author, found.parents) == ("Größer", "Fleet tests", (first,))
        assert found.time == datetime(2031, 2, 3, 2, 5, 6, tzinfo=UTC)
        assert source.parent(second) == first
        assert source.parent(first) is None


@pytest.mark.parametrize(
    ("message", "trailers"),
    [
        ("Fix\n\nbody\n\nRollout-Class: hotfix", (("Rollout-Class", "hotfix"),)),
        ("Fix\n\nA-B:  c\n d\nX: y", (("A-B", "c d"), ("X", "y"))),
        ("Fix\n\nRollout-Class: hotfix\n\nbut this is the last paragraph", ()),
        ("Rollout-Class: hotfix", ()),
        ("Fix\n\nRollout-Class: hotfix\nis what a sentence says, over\nmore lines than one", ()),
        ("Fix\n\nRollout-Class=hotfix", ()),
    ],
)
def test_trailers_are_what_git_takes_for_them(
    home: Path, message: str, trailers: tuple[tuple[str, str], ...]
) -> None:
    git(home, "config", "trailer.separators", "=:")
    made = commit(home, {"a.yaml": message}, message)
    with Source.open(str(home)) as source:
        assert source.log(made).trailers == trailers


def test_so_many_trailers_and_so_long_are_kept(home: Path) -> None:
    lines = "\n".join(f"K{number}: {'v' * 1200}" for number in range(80))
    made = commit(home, {"a.yaml": "2"}, f"Many\n\n{lines}")
    with Source.open(str(home)) as source:
        found = source.log(made).trailers
    assert len(found) == MAX_TRAILERS
    assert max(len(key) + len(value) for key, value in found) <= TRAILER_CHARACTERS


def test_the_authors_of_all_that_came_are_told_merged_branches_included(home: Path) -> None:
    first = git(home, "rev-parse", "HEAD")
    git(home, "checkout", "-q", "-b", "work")
    _as(home, "Größe Lee", "lee@shop.example", "a.yaml")
    git(home, "checkout", "-q", "main")
    _as(home, "Bob", "bob@shop.example", "b.yaml")
    git(home, "merge", "-q", "--no-ff", "--no-edit", "work")
    last = git(home, "rev-parse", "HEAD")
    committer = {"Fleet tests", "tests@fleet.example"}
    people = {"Größe Lee", "lee@shop.example", "Bob", "bob@shop.example"}
    with Source.open(str(home)) as source:
        assert set(source.authors_since(first, last)) == people | committer
        assert set(source.authors_since(last, last)) == committer
        assert set(source.authors_since("f" * 40, last)) == committer, "as far as anybody knows"


def _as(home: Path, name: str, address: str, path: str) -> None:
    (home / path).write_text(name)
    git(home, "add", "-A")
    git(home, "commit", "-q", "-m", path, f"--author={name} <{address}>")


def test_a_shallow_clone_ends_where_it_was_cut(home: Path, tmp_path: Path) -> None:
    commit(home, {"a.yaml": "2"})
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{home}", "shallow")
    with Source.open(str(tmp_path / "shallow")) as source:
        assert source.parent(source.head()) is None


def test_changed_paths_are_those_added_changed_and_removed(home: Path) -> None:
    first = git(home, "rev-parse", "HEAD")
    (home / "dir/b.yaml").unlink()
    second = commit(home, {"a.yaml": "2", "new": "3"})
    with Source.open(str(home)) as source:
        assert source.changed_paths(first, second) == ("a.yaml", "dir/b.yaml", "new")
        assert source.changed_paths(None, first) == ("a.yaml", "dir/b.yaml")
        assert source.changed_paths(second, second) == ()


def test_each_failure_says_what_where_and_how_to_mend_it(home: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    empty = new_repository(tmp_path / "empty")
    cases = {
        "source-no-repository": [tmp_path / "missing", tmp_path / "plain", home / "dir"],
        "source-empty": [empty],
    }
    for code, folders in cases.items():
        for folder in folders:
            with pytest.raises(SourceError) as caught:
                Source.open(str(folder)).head()
            assert caught.value.code == code, folder
            assert caught.value.at == str(folder)
            assert caught.value.fix
    with pytest.raises(SourceError) as caught:
        Source.open(str(home), branch="nope").head()
    assert caught.value.code == "source-no-branch"
    assert "main" in caught.value.fix


def test_tags_are_told_with_the_commits_that_they_name(home: Path, tmp_path: Path) -> None:
    first = git(home, "rev-parse", "HEAD")
    git(home, "tag", "v1")
    git(home, "tag", "-m", "with a message", "team/v2")
    git(home, "tag", "blob", git(home, "rev-parse", "HEAD:a.yaml"))
    second = commit(home, {"a.yaml": "three"})
    git(home, "tag", "v3")
    expected = {"team/v2": first, "v1": first, "v3": second}
    with Source.open(str(home)) as source:
        assert source.tags() == expected
    with opened(f"file://{home}", tmp_path / "mirrors") as mirror:
        assert mirror.tags() == expected


def test_an_unreachable_host_is_named_without_its_password(tmp_path: Path) -> None:
    with pytest.raises(SourceError) as caught:
        opened("http://bot:s3cret@127.0.0.1:9/x.git", tmp_path)
    assert caught.value.code == "source-unreachable"
    assert "127.0.0.1:9" in caught.value.at
    assert "s3cret" not in str(caught.value)


def test_no_hook_and_no_monitor_of_a_repository_runs(home: Path, tmp_path: Path) -> None:
    witness = tmp_path / "ran"
    script = tmp_path / "run.sh"
    script.write_text(f"#!/bin/sh\ntouch {witness}\n")
    script.chmod(0o755)
    git(home, "config", "core.fsmonitor", str(script))
    git(home, "config", "core.hooksPath", str(tmp_path))
    git(home, "config", "uploadpack.packObjectsHook", str(script))
    with Source.open(str(home)) as source:
        source.tree(source.head()).read("a.yaml")
        source.changed_paths(None, source.head())
    with opened(f"file://{home}", tmp_path / "mirrors") as mirror:
        mirror.tree(mirror.head()).entries()
    assert not witness.exists()
