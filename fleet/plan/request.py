"""What a render is asked for. Equal requests at equal content are rendered once.

A request holds everything that the result may depend on beside the tree and the tools, so `key`
names the wish and the renderer adds what the files are (Git's object ids) and its versions. It
holds no cluster name: what differs by cluster is in `values` or is not there at all.

`fleet.plan` makes requests, `fleet.render` answers each with a `fleet.model.Rendered` under its
`key`. A GROUP request is answered from the build of its group, which a `GroupRequest` describes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from clusters.objects import Digest, digest_of
from fleet.model import Form


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """One variant of one bundle."""

    bundle: str
    form: Form
    path: str
    """What to render: the directory with the kustomization file (KUSTOMIZE), the chart (HELM),
    the source (RAW), the listed directory or the group's own (GROUP)."""
    files: tuple[str, ...] = ()
    """RAW: the manifests, links already followed."""
    values: Mapping[str, Any] = field(default_factory=dict)
    """HELM: merged and templated values (on top of the chart's own defaults); null deletes."""
    release_name: str = ""
    namespace: str = ""
    """HELM: the release namespace; KUSTOMIZE and RAW leave namespaces to the agent."""
    kubernetes_version: str = ""
    """HELM: as the cluster declares it; empty is the newest that Fleet knows."""
    api_versions: tuple[str, ...] = ()
    overlays: tuple[str, ...] = ()
    """RAW: directories (`apps/x/overlays/eu`) laid over the files, in order."""
    group: str = ""
    """GROUP: whose build this bundle is a part of."""
    at: str = ""
    """What an error should point at (the fleet.yaml or directory); no part of the key."""

    @property
    def key(self) -> Digest:
        """Equal keys are equal wishes; the mapping of results is keyed by it."""
        said = {name: getattr(self, name) for name in self.__slots__ if name != "at"}
        return digest_of(said)


@dataclass(frozen=True, slots=True)
class GroupRequest:
    """One group's file: `directory` is built, and each of `listed` becomes one bundle.

    Objects of no listed directory belong to the bundle `<group>-cluster`.
    """

    group: str
    directory: str
    listed: tuple[tuple[str, str], ...]
    """(directory, bundle name) in the file's order; a listed directory may be missing."""
