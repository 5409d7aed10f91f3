"""An artifact is its bytes, and its bytes are what their digest says."""

from __future__ import annotations

import pytest

from agents.protocol import Artifact, ArtifactError, Hook, HookEvent, read_artifact
from clusters.objects import digest_of
from tests.agents.samples import config_map, job

ARTIFACT = Artifact(
    bundle="web",
    objects=(config_map(),),
    hooks=(Hook(events=(HookEvent.PRE_INSTALL,), deletePolicies=("hook-failed",), object=job()),),
)


def test_it_reads_back_equal_from_its_own_bytes() -> None:
    read = read_artifact(ARTIFACT.to_bytes(), ARTIFACT.digest())
    assert read == ARTIFACT
    assert read.to_bytes() == ARTIFACT.to_bytes()


def test_bytes_of_another_digest_are_refused() -> None:
    spoiled = ARTIFACT.to_bytes().replace(b"blue", b"evil")
    with pytest.raises(ArtifactError, match="not used"):
        read_artifact(spoiled, ARTIFACT.digest())


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"bundle": 1}', b"\xff"])
def test_bytes_that_are_no_artifact_are_refused_even_with_the_right_digest(data: bytes) -> None:
    with pytest.raises(ArtifactError):
        read_artifact(data, digest_of(data))


def test_all_objects_are_those_of_hooks_too() -> None:
    assert [item["kind"] for item in ARTIFACT.all_objects()] == ["ConfigMap", "Job"]


def test_hooks_travel_under_the_name_that_the_wire_has() -> None:
    assert b'"deletePolicies":["hook-failed"]' in ARTIFACT.to_bytes()
