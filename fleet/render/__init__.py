"""Requests → artifacts, by the real tools: Kustomize's program, Helm's own engine, plain YAML.

    request    what is asked for (made by `fleet.plan`)
    reach      which files a render may read: its cache key and its sandbox
    workspace  those files on disk
    raw, kustomize, charts (over helm), groups     one form each
    manifests  text → objects → artifact
    apis       what a Kubernetes release serves
    cache, pool, worker, renderer                  done once, in parallel, contained

Promise: a pure function of files, values, declared Kubernetes version and tool versions. Never
contacts a cluster or the network, never runs a plug-in, never lets one bad bundle stop the others.
"""

from __future__ import annotations

from fleet.render.reach import Limits
from fleet.render.renderer import Renderer
from fleet.render.request import GroupRequest, RenderRequest

__all__ = ["GroupRequest", "Limits", "RenderRequest", "Renderer"]
