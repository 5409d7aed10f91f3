"""Artifacts by digest: whole or not there, and never trusted blindly."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusters.objects import digest_of
from fleet.errors import StoreError
from fleet.store import Artifacts


def test_what_was_put_is_read_back_under_its_digest(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path)
    digest = artifacts.put(b"{}")
    assert digest == digest_of(b"{}")
    assert artifacts.get(digest) == b"{}"
    assert artifacts.has(digest)


def test_a_damaged_file_is_an_error_and_never_an_artifact(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path)
    digest = artifacts.put(b"{}")
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    file.write_bytes(b"{ }")
    with pytest.raises(StoreError) as refused:
        artifacts.get(digest)
    assert refused.value.code == "artifact-damaged"


def test_a_damaged_file_is_mended_when_its_artifact_is_put_again(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path)
    digest = artifacts.put(b"{}")
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    file.write_bytes(b"")
    artifacts.put(b"{}")
    assert artifacts.get(digest) == b"{}"


@pytest.mark.parametrize(
    "name", ["", "sha256:", "../../etc/passwd", "sha256:../../x", "sha256:" + "A" * 64]
)
def test_what_is_no_digest_is_not_there(tmp_path: Path, name: str) -> None:
    artifacts = Artifacts(tmp_path / "artifacts")
    assert not artifacts.has(name)
    with pytest.raises(KeyError):
        artifacts.get(name)


def test_nothing_half_written_is_left_behind(tmp_path: Path) -> None:
    artifacts = Artifacts(tmp_path)
    for _ in range(3):
        artifacts.put(b"same bytes")
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == 1
