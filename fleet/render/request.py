"""What a render is asked for. Equal requests at equal content are rendered once.

A request holds everything that the result may depend on, so its `key` names the result: the bytes
of the files (by Git's object ids), final values, versions of tools and the cluster's Kubernetes
version. It holds no cluster name: what differs by cluster is in `values` or is not there at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fleet.model import Form


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """One variant of one bundle."""

    bundle: str
    form: Form
    path: str
    """The source directory; for HELM the chart's directory; for GROUP the group's directory."""
    files: tuple[str, ...] = ()
    """RAW: the manifests."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """HELM: merged and templated values (on top of the chart's own defaults)."""
    release_name: str = ""
    namespace: str = ""
    """HELM: the release namespace; KUSTOMIZE and RAW leave namespaces to the agent."""
    kubernetes_version: str = ""
    api_versions: tuple[str, ...] = ()
    overlays: tuple[str, ...] = ()
    group: str = ""
    """GROUP: whose build this bundle is a part of."""
    at: str = ""
    """What an error should point at (the fleet.yaml or directory)."""


@dataclass(frozen=True, slots=True)
class GroupRequest:
    """One group's file: `directory` is built, and each of `listed` becomes one bundle."""

    group: str
    directory: str
    listed: tuple[tuple[str, str], ...]
    """(directory, bundle name) in the file's order."""
