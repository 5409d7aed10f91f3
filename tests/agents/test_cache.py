"""What is on disk, and what is made of a disk that lies."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest

from agents.cache import Cache
from agents.errors import StateError
from agents.protocol import Artifact, ArtifactError, BundleDeployment, Target
from tests.agents.samples import config_map

ARTIFACT = Artifact(bundle="web", objects=(config_map(),))
TARGET = Target(cluster="a", epoch=1, serial=3, current=(BundleDeployment.absent("web"),))


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """An empty state directory."""
    return Cache(tmp_path / "state")


def test_a_target_is_read_back_by_the_next_incarnation(cache: Cache, tmp_path: Path) -> None:
    cache.save_target(TARGET)
    assert Cache(tmp_path / "state").load_target("a") == TARGET


def test_another_clusters_target_counts_as_none(cache: Cache) -> None:
    cache.save_target(TARGET)
    assert cache.load_target("b") is None


@pytest.mark.parametrize("data", [b"", b"{", b"{}", b"\xff\x00"])
def test_a_spoiled_target_counts_as_none(cache: Cache, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "state" / "target.json").write_bytes(data)
    assert cache.load_target("a") is None


def test_an_artifact_is_verified_when_saved_and_when_loaded(cache: Cache, tmp_path: Path) -> None:
    digest = ARTIFACT.digest()
    assert cache.save_artifact(digest, ARTIFACT.to_bytes()) == ARTIFACT
    assert cache.load_artifact(digest) == ARTIFACT
    (path,) = (tmp_path / "state" / "artifacts").iterdir()
    path.write_bytes(path.read_bytes().replace(b"blue", b"evil"))
    assert cache.load_artifact(digest) is None
    assert not path.exists()


def test_wrong_bytes_are_not_saved(cache: Cache, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError):
        cache.save_artifact(ARTIFACT.digest(), b"{}")
    assert list((tmp_path / "state" / "artifacts").iterdir()) == []


@pytest.mark.parametrize("digest", ["", "sha256:../../etc/passwd", "sha256:" + "A" * 64, "absent"])
def test_a_digest_that_is_none_names_no_file(cache: Cache, digest: str) -> None:
    assert cache.load_artifact(digest) is None


def test_artifacts_that_nothing_names_are_removed(cache: Cache) -> None:
    other = Artifact(bundle="other")
    for item in (ARTIFACT, other):
        cache.save_artifact(item.digest(), item.to_bytes())
    cache.keep_only([other.digest(), "absent"])
    assert cache.load_artifact(ARTIFACT.digest()) is None
    assert cache.load_artifact(other.digest()) == other


def test_files_are_for_their_owner_alone(cache: Cache, tmp_path: Path) -> None:
    cache.save_target(TARGET)
    mode = (tmp_path / "state" / "target.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_a_directory_that_cannot_be_made_is_an_error_with_a_cure(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(StateError) as caught:
        Cache(blocked / "state")
    assert "--state-dir" in caught.value.fix


def test_a_directory_keeps_its_identity_and_a_copy_of_it_is_somebody_else(tmp_path: Path) -> None:
    place = tmp_path / "state"
    assert Cache(place).identity("first") == "first"
    assert Cache(place).identity("second") == "first"
    shutil.copytree(place, tmp_path / "copy")
    assert Cache(tmp_path / "copy").identity("third") == "third"
    assert Cache(tmp_path / "copy").identity("fourth") == "third"
    assert Cache(place).identity("fifth") == "first"


@pytest.mark.parametrize("left", [b"first", b"first\n"])
def test_an_identity_of_which_no_place_was_noted_stays(tmp_path: Path, left: bytes) -> None:
    """As an agent leaves it that is killed between the two, and as older ones did."""
    Cache(tmp_path)
    (tmp_path / "identity").write_bytes(left)
    assert Cache(tmp_path).identity("second") == "first"
    assert Cache(tmp_path).identity("third") == "first"
    shutil.copytree(tmp_path, tmp_path.with_name(f"{tmp_path.name}-copy"))
    assert Cache(tmp_path.with_name(f"{tmp_path.name}-copy")).identity("fourth") == "fourth"
