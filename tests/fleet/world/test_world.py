"""The pieces that a demo is made of, without Ray: its repository, its hosts, its hub process."""

from __future__ import annotations

from pathlib import Path

import git
import pytest

from fleet.errors import ServeError, SourceError
from fleet.layout import discover
from fleet.model import Severity
from fleet.source import Source
from fleet.world.actors import share
from fleet.world.example import IMAGE_FILE, ExampleRepository, example_dir
from fleet.world.host import HostSpec
from fleet.world.hub import HubProcess
from fleet.world.served import seed_of
from fleet.world.session import free_port


@pytest.fixture
def example(tmp_path: Path) -> ExampleRepository:
    """The example fleet in a repository of its own."""
    return ExampleRepository.make(tmp_path / "repository")


def image_of(example: ExampleRepository) -> str:
    """What the file with the tag holds."""
    return (example.root / IMAGE_FILE).read_text("utf-8")


def test_the_example_declares_twelve_clusters_and_nothing_is_wrong_with_it(
    example: ExampleRepository,
) -> None:
    source = Source.open(str(example.root))
    repo = discover(source.tree(source.resolve("HEAD")))
    assert len(repo.clusters) == 12
    assert [p.what for p in repo.problems if p.severity is Severity.ERROR] == []
    assert {"storefront", "orders", "monitoring"} <= {b.name for b in repo.bundles}


def test_the_example_is_committed_whole_on_main(example: ExampleRepository) -> None:
    with git.Repo(example.root) as repository:
        assert repository.active_branch.name == "main"
        assert not repository.is_dirty(untracked_files=True)
        assert len(repository.git.ls_files().splitlines()) == sum(
            path.is_file() for path in example_dir().rglob("*")
        )


def test_a_revert_brings_back_the_tag(example: ExampleRepository) -> None:
    before = image_of(example)
    commit = example.set_image_tag("6.9.0", "6.9.1", "storefront 6.9.1")
    assert "newTag: 6.9.1" in image_of(example)
    back = example.revert(commit)
    assert image_of(example) == before
    assert len({commit, back}) == 2


def test_a_tag_that_is_not_there_cannot_be_changed(example: ExampleRepository) -> None:
    with pytest.raises(SourceError, match=r"tag 1\.2\.3 is not there") as caught:
        example.set_image_tag("1.2.3", "1.2.4", "no")
    assert caught.value.at.endswith(IMAGE_FILE)


@pytest.mark.parametrize(
    ("count", "hosts", "sizes"), [(12, 2, [6, 6]), (5, 2, [3, 2]), (1, 4, [1]), (0, 2, [0])]
)
def test_clusters_are_shared_out_evenly_and_each_once(
    count: int, hosts: int, sizes: list[int]
) -> None:
    names = [f"c{n}" for n in range(count)]
    dealt = share(names, hosts)
    assert [len(some) for some in dealt] == sizes
    assert sorted(name for some in dealt for name in some) == sorted(names)


def test_each_cluster_has_its_own_seed_in_every_run() -> None:
    assert seed_of("prd-eu-1") == seed_of("prd-eu-1") != seed_of("prd-eu-2")


def test_a_host_never_prints_its_tokens(tmp_path: Path) -> None:
    spec = HostSpec("http://127.0.0.1:1", {"prd-eu-1": "a-token-of-an-agent"}, tmp_path)
    assert "a-token-of-an-agent" not in repr(spec)


def test_a_hub_that_cannot_start_says_why_and_where_its_log_is(tmp_path: Path) -> None:
    missing = tmp_path / "no-repository"
    hub = HubProcess(tmp_path, str(missing), port=free_port())
    with pytest.raises(ServeError) as caught:
        hub.start()
    assert caught.value.what.startswith("the hub did not start: ")
    assert "there is no such folder" in caught.value.what
    assert str(missing) in caught.value.what
    assert caught.value.at == str(tmp_path / "hub.log")
    assert "Traceback" not in caught.value.what
