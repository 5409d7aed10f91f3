"""Hostile inputs, group 1: links, submodules, odd names, sizes. Each is one error; others go on."""

from __future__ import annotations

import pytest

from fleet.layout import MemoryTree, discover
from fleet.layout.files import MAX_BYTES, Files, TooLarge
from fleet.model import Severity, TreeEntry
from tests.fleet.layout.repositories import (
    CLUSTERS,
    DEPLOYMENT,
    kustomized,
    listing,
    outcome,
    raw,
    repo_of,
)

HOME = CLUSTERS | raw("apps/staging/web", "apps/staging/other", "apps/production/other")
LINKS = {
    "to the root of the machine": "/etc/passwd",
    "out of the repository": "../../../../etc/passwd",
    "to nothing": "nowhere.yaml",
    "to itself": "link.yaml",
    "to a directory": "../other",
    "to nothing at all": "",
}


@pytest.mark.parametrize("name", LINKS)
def test_a_manifest_that_is_a_bad_link_holds_its_bundle(name: str) -> None:
    repo = repo_of(HOME, links={"apps/staging/web/link.yaml": LINKS[name]})
    (problem,) = repo.problems
    assert (problem.code, problem.at) == ("bad-link", "apps/staging/web/link.yaml")
    assert repo.held == {"web"}
    other = next(b for b in repo.bundles if b.name == "other")
    assert len(other.sources) == 2


def test_a_link_inside_the_repository_is_followed() -> None:
    repo = repo_of(
        HOME | {"shared/cm.yaml": DEPLOYMENT},
        links={"apps/staging/web/cm.yaml": "../../../via/cm.yaml", "via": "shared"},
    )
    assert repo.problems == ()
    web = next(b for b in repo.bundles if b.name == "web")
    assert web.sources[0].files == ("apps/staging/web/deployment.yaml", "shared/cm.yaml")


@pytest.mark.parametrize("target", ["/etc/shadow", "../../../../x", "fleet.yaml"])
def test_a_fleet_yaml_that_is_a_bad_link_holds_its_bundle(target: str) -> None:
    repo = repo_of(HOME, links={"apps/staging/web/fleet.yaml": target})
    (problem,) = repo.problems
    assert (problem.code, problem.bundle) == ("bad-link", "web")
    assert repo.held == {"web"}


def test_a_directory_that_is_a_link_is_held_and_not_taken_for_removed() -> None:
    repo = repo_of(HOME, links={"apps/staging/linked": "../production/other"})
    (problem,) = repo.problems
    assert (problem.code, problem.at) == ("bad-link", "apps/staging/linked")
    assert repo.held == {"linked"}


@pytest.mark.parametrize(
    ("path", "held"), [("apps/staging/sub", "sub"), ("apps/staging/web/lib", "web")]
)
def test_a_submodule_is_an_error_and_never_followed(path: str, held: str) -> None:
    repo = repo_of(HOME, submodules={path: "f" * 40})
    (problem,) = repo.problems
    assert (problem.code, problem.at, problem.severity) == ("submodule", path, Severity.ERROR)
    assert repo.held == {held}


def test_a_loop_of_links_ends() -> None:
    files = Files(MemoryTree({}, links={"a": "b", "b": "c", "c": "a", "d": "d/d"}))
    assert [files.resolve(path) for path in "abcd"] == [None] * 4


def test_links_resolve_as_on_disk() -> None:
    tree = MemoryTree(
        {"x/y/file": "1", "top": "2"},
        links={"x/up": "..", "x/y/l": "../y/file", "dir": "x/y", "dot": "./x/./y/"},
    )
    files = Files(tree)
    assert files.resolve("x/y/l") == "x/y/file"
    assert files.resolve("x/up/top") == "top"
    assert files.resolve("dir/../up/dir/file") == "x/y/file"
    assert files.resolve("dot/file") == "x/y/file"
    assert files.resolve("x/../..") is None
    assert files.resolve("") == ""
    assert files.read("dir/l") == b"1"
    assert files.is_directory("dir")
    assert not files.is_file("dir")


class HugeTree(MemoryTree):
    """A tree that says its files are larger than they are, and fails if one is read."""

    def __init__(self, files: dict[str, str], huge: str) -> None:
        super().__init__(files)
        self._huge = huge

    def entries(self) -> dict[str, TreeEntry]:
        """As declared, one of them huge."""
        found = dict(super().entries())
        entry = found[self._huge]
        found[self._huge] = TreeEntry(entry.path, entry.mode, entry.blob, MAX_BYTES + 1)
        return found

    def read(self, path: str) -> bytes:
        """The bytes, but never the huge ones."""
        assert path != self._huge, "a file of 1 GB was read"
        return super().read(path)


HUGE = ["apps/staging/web/fleet.yaml", "clusters/more.yaml", "clusters/staging/kustomization.yaml"]


@pytest.mark.parametrize("path", HUGE)
def test_a_huge_declaration_is_refused_unread(path: str) -> None:
    repo = discover(HugeTree(HOME | {path: "name: web"}, path))
    (problem,) = [p for p in repo.problems if p.severity is Severity.ERROR]
    assert (problem.code, problem.at) == ("too-large", path)
    assert bool(repo.held) + bool(repo.held_clusters) + bool(repo.unread) == 1


def test_too_large_says_how_large() -> None:
    files = Files(HugeTree({"a": ""}, "a"))
    with pytest.raises(TooLarge, match=f"a has {MAX_BYTES + 1} bytes"):
        files.read("a")


@pytest.mark.parametrize("name", ["-x", "--help", ".git", "a b", "Ä", "..."])
def test_odd_names_of_directories_do_no_harm(name: str) -> None:
    got = outcome(HOME | raw(f"apps/staging/{name}", f"infrastructure/{name}"))
    assert got["stg-1"] == {"web": "apps/staging/web", "other": "apps/staging/other"}


def test_a_name_that_is_no_utf8_holds_its_bundle_and_can_be_printed() -> None:
    repo = repo_of(HOME | {"apps/staging/web/\udcff.yaml": DEPLOYMENT})
    (problem,) = repo.problems
    assert problem.code == "bad-path"
    assert problem.what.encode()
    assert repo.held == {"web"}


def test_names_that_differ_only_in_case_are_told_apart() -> None:
    got = outcome(HOME | raw("apps/staging/WEB"))
    assert got["stg-1"]["web"] == "apps/staging/web"


def test_a_cycle_of_bases_ends() -> None:
    files = CLUSTERS | {
        "clusters/staging/kustomization.yaml": listing("apps/staging/a"),
        "apps/staging/a/kustomization.yaml": "resources: [../b]\n",
        "apps/staging/b/kustomization.yaml": "resources: [../a]\n",
    }
    assert outcome(files)["stg-1"] == {"a": "apps/staging/a", "staging-cluster": "clusters/staging"}


def test_bases_a_hundred_deep_are_all_bases() -> None:
    chain = {f"apps/base/b{n}/kustomization.yaml": f"resources: [../b{n + 1}]" for n in range(100)}
    files = CLUSTERS | chain | kustomized("apps/base/b100")
    files["apps/staging/web/kustomization.yaml"] = "resources: [../../base/b0]\n"
    repo = repo_of(files)
    assert [b.name for b in repo.bundles] == ["web"]
    assert not [p for p in repo.problems if p.code != "cluster-ungrouped"]


def test_a_git_directory_in_the_tree_is_a_directory_like_any_other() -> None:
    files = HOME | {"apps/staging/web/.git/config": "[core]\n\tsshCommand = sh -c evil\n"}
    assert outcome(files)["stg-1"]["web"] == "apps/staging/web"


def test_a_hundred_thousand_files_are_read_in_seconds() -> None:
    files = {f"charts/c{n % 500}/templates/t{n}.yaml": "x" for n in range(100_000)}
    assert outcome(HOME | files)["stg-1"]["web"] == "apps/staging/web"


def test_no_secret_value_is_printed() -> None:
    text = "helm:\n  values: CANARY-1\nlabels: [CANARY-2]\nnamespace: {password: CANARY-3}\n"
    repo = repo_of(HOME | {"apps/staging/web/fleet.yaml": text})
    shown = " ".join(f"{p.what} {p.fix}" for p in repo.problems)
    assert "CANARY-2" not in shown
    assert "CANARY-3" not in shown
    assert len([p for p in repo.problems if p.code == "bad-field"]) == 3
