"""Where the programs of a control plane are: in a folder somebody named, or built and cached.

`KUBEBUILDER_ASSETS` is the variable that other projects use for a folder with kube-apiserver and
etcd. It may lack kube-controller-manager: then the API server stands alone, and what waits for
controllers is not tried. The cache has a folder for each content of go.mod and go.sum, so that a
new version never runs as the old one.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).resolve().parent
ASSETS_VARIABLE = "KUBEBUILDER_ASSETS"
BUILD_COMMAND = "python -m tests.controlplane"


@dataclass(frozen=True, slots=True)
class Programs:
    """The paths of the programs; `controllers` is `None` where there is no such program."""

    apiserver: Path
    etcd: Path
    controllers: Path | None


def find(environment: Mapping[str, str] = os.environ) -> Programs | None:
    """The programs that can be run now; `None` if they have to be built first.

    Errors: `FileNotFoundError` when a folder is named that does not hold them.
    """
    assets = environment.get(ASSETS_VARIABLE)
    if assets:
        return _of_assets(Path(assets))
    folder = cache_folder(environment)
    if not (folder / "kube-apiserver").is_file():
        return None
    # The Go tool names a program by its package: etcd's is called "server".
    return Programs(
        folder / "kube-apiserver", folder / "server", folder / "kube-controller-manager"
    )


def cache_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """Where the programs of this go.mod and go.sum belong; there or not."""
    digest = hashlib.sha256()
    for name in ("go.mod", "go.sum"):
        digest.update((SOURCE / name).read_bytes())
    root = environment.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "fleet" / "controlplane" / digest.hexdigest()[:16]


def kubernetes_version() -> str:
    """The version that go.mod asks for, such as `v1.37.2`."""
    text = (SOURCE / "go.mod").read_text("utf-8")
    found = re.search(r"^\s+k8s\.io/kubernetes (v\S+)", text, re.MULTILINE)
    assert found, "go.mod does not require k8s.io/kubernetes"
    return found.group(1)


def _of_assets(folder: Path) -> Programs:
    apiserver, etcd = folder / "kube-apiserver", folder / "etcd"
    for program in (apiserver, etcd):
        if not program.is_file():
            raise FileNotFoundError(
                f"{ASSETS_VARIABLE} names a folder without {program.name}\n"
                f"  at:  {folder}\n"
                f"  fix: unset it, and build the programs with `{BUILD_COMMAND}`"
            )
    controllers = folder / "kube-controller-manager"
    return Programs(apiserver, etcd, controllers if controllers.is_file() else None)
