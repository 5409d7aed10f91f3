"""What goes to a worker process and what comes back. All of it can be pickled."""

from __future__ import annotations

from dataclasses import dataclass, field

from fleet.model import Rendered
from fleet.render.reach import Limits
from fleet.render.request import GroupRequest, RenderRequest


@dataclass(frozen=True, slots=True)
class Tools:
    """Which programs render."""

    kustomize: tuple[str, ...]
    """The program and the words before the directory: `("/…/kubectl", "kustomize")`."""
    kustomize_version: str
    helm: str = ""
    """A `helm` program; empty: Helm's engine in process."""
    helm_version: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """One render: a request, or the build of a group."""

    request: RenderRequest | GroupRequest
    folder: str
    """Where the files that it may read lie."""
    tools: Tools
    limits: Limits = field(default_factory=Limits)
    dropped: tuple[str, ...] = ()
    """A group's: listed directories that are not to be read; they are known to be at fault."""

    @property
    def at(self) -> str:
        """What a failure of the job as a whole points at."""
        if isinstance(self.request, GroupRequest):
            return self.request.directory
        return self.request.at or self.request.path

    @property
    def bundles(self) -> tuple[str, ...]:
        """Whose results it gives."""
        if isinstance(self.request, GroupRequest):
            listed = (bundle for _, bundle in self.request.listed)
            return (*listed, cluster_bundle(self.request.group))
        return (self.request.bundle,)

    @property
    def patience_seconds(self) -> float:
        """When a worker that has not answered is given up: every step may take its limit."""
        steps = 4 + len(self.bundles) if isinstance(self.request, GroupRequest) else 2
        return steps * self.limits.seconds + 5


Results = dict[str, Rendered]
"""By bundle; one for a request, one for each bundle of a group that got objects."""


def cluster_bundle(group: str) -> str:
    """The reserved name of the bundle for what a group's file itself brings."""
    return f"{group}-cluster"
