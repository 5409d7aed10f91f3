"""A sandbox's kubeconfig comes and goes with it, and takes nothing else along."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusters.objects import dump_yaml, read_yaml
from fleet.errors import FleetError
from fleet.world.kubeconfig import reserved

URLS = {"lab-1": "http://127.0.0.1:1/clusters/lab-1"}


def test_without_a_name_it_is_a_private_temporary_file(tmp_path: Path) -> None:
    with reserved(None) as kubeconfig:
        kubeconfig.write(URLS)
        folder = kubeconfig.path.parent
        assert kubeconfig.path.stat().st_mode & 0o777 == 0o600
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "other").write_text("made by kubectl")
    assert not folder.exists()
    assert not kubeconfig.stays


def test_a_named_file_goes_with_the_clusters(tmp_path: Path) -> None:
    with reserved(tmp_path / "config") as kubeconfig:
        kubeconfig.write(URLS)
        switched = read_yaml(kubeconfig.path.read_bytes()) | {"current-context": ""}
        kubeconfig.path.write_text(dump_yaml([switched]))
    assert list(tmp_path.iterdir()) == []
    assert not kubeconfig.stays


@pytest.mark.parametrize(
    ("part", "entry"),
    [
        ("clusters", {"name": "real", "cluster": {"server": "https://real.example.com"}}),
        ("users", {"name": "me", "user": {"token": "precious"}}),
    ],
)
def test_a_named_file_that_somebody_added_to_stays(
    tmp_path: Path, part: str, entry: dict[str, object]
) -> None:
    with reserved(tmp_path / "config") as kubeconfig:
        kubeconfig.write(URLS)
        config = read_yaml(kubeconfig.path.read_bytes())
        config[part].append(entry)
        kubeconfig.path.write_text(dump_yaml([config]))
    assert kubeconfig.stays
    assert entry in read_yaml(kubeconfig.path.read_bytes())[part]


def test_a_file_that_is_no_kubeconfig_any_more_stays(tmp_path: Path) -> None:
    with reserved(tmp_path / "config") as kubeconfig:
        kubeconfig.path.write_text("- notes\n")
    assert kubeconfig.path.read_text() == "- notes\n"


def test_a_file_that_is_gone_already_is_no_trouble(tmp_path: Path) -> None:
    with reserved(tmp_path / "config") as kubeconfig:
        kubeconfig.path.unlink()
    assert not kubeconfig.stays


def test_a_failure_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(KeyError), reserved(tmp_path / "config"):
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "config"
    path.write_text("precious")
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "nowhere")
    for taken in (path, link):
        with pytest.raises(FleetError) as caught, reserved(taken):
            pytest.fail("it was taken over")
        assert caught.value.code == "kubeconfig-exists"
        assert f"KUBECONFIG={taken}:" in caught.value.fix
    assert path.read_text() == "precious"
    assert link.is_symlink()


def test_a_folder_that_is_missing_is_named(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "config"
    with pytest.raises(FleetError) as caught, reserved(path):
        pytest.fail("there is no such folder")
    assert (caught.value.code, caught.value.at) == ("kubeconfig-unwritable", str(path))
