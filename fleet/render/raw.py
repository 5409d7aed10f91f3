"""Raw manifests: files of YAML or JSON, with overlays laid over them.

An overlay's file takes the place of the file of the same name under the source, or is added.
Kustomize's kind of change is not done here: a file named `…_patch.yaml` is refused.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path

from fleet.model import Rendered
from fleet.render.failure import failed
from fleet.render.job import Job
from fleet.render.manifests import check_unique, finish, read_documents
from fleet.render.request import RenderRequest

MANIFEST = re.compile(r"\.(?:ya?ml|json)\Z", re.IGNORECASE)
_PATCH = re.compile(r"_patch\.(?:ya?ml|json)\Z", re.IGNORECASE)


def build_raw(job: Job, request: RenderRequest) -> Rendered:
    """The manifests' objects, by file name. Errors: `RenderFailed`."""
    folder = Path(job.folder)
    documents = [
        document
        for path in files_of(request, folder)
        for document in read_documents((folder / path).read_bytes(), path, request.bundle)
    ]
    check_unique(documents, request.bundle)
    return finish(request.bundle, [d.object for d in documents], job.limits, at=job.at)


def files_of(request: RenderRequest, folder: Path) -> list[str]:
    """The files to read, sorted by their place in the source; overlays win by that place."""
    found = {posixpath.relpath(path, request.path or "."): path for path in request.files}
    for overlay in request.overlays:
        for place, path in _overlay_files(folder, overlay):
            if _PATCH.search(place):
                raise failed(
                    "overlay-patch",
                    f"the overlay file {path} is a patch; only whole files are laid over",
                    at=path,
                    fix="use a kustomization.yaml with patches instead",
                    bundle=request.bundle,
                )
            found[place] = path
    return [found[place] for place in sorted(found)]


def _overlay_files(folder: Path, overlay: str) -> Iterator[tuple[str, str]]:
    for path in sorted((folder / overlay).rglob("*")):
        if path.is_file() and MANIFEST.search(path.name):
            yield str(path.relative_to(folder / overlay)), str(path.relative_to(folder))
