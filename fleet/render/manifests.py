"""Text → Kubernetes objects → an artifact, the same for every form.

Lists are taken apart, envelopes are checked, and no two objects may have one identity. Every
problem names the file and line, or the template, that a document came from.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from agents.protocol import Artifact, Hook, Phases, sort_out
from clusters.objects import EnvelopeError, Object, ObjectKey, YamlError, check_envelope, key_of
from clusters.objects.reading import read_yaml_documents_with_lines
from fleet.model import Problem, Rendered
from fleet.render.failure import failed
from fleet.render.reach import Limits

MAX_LIST_DEPTH = 8


@dataclass(frozen=True, slots=True)
class Document:
    """One object and where it was written."""

    object: Object
    at: str


def read_documents(
    text: str | bytes, at: str, bundle: str, *, lines: bool = True
) -> list[Document]:
    """The objects of a YAML or JSON stream. `lines` adds `:line` to `at`.

    Errors: `RenderFailed` for what is not YAML or no object.
    """
    try:
        documents = read_yaml_documents_with_lines(text)
    except YamlError as error:
        raise failed(
            "yaml-invalid",
            f"{at} cannot be read as YAML: {error}",
            at=f"{at}:{error.line}" if lines and error.line else at,
            fix="correct the YAML",
            bundle=bundle,
        ) from error
    return [
        Document(obj, where)
        for value, line in documents
        for where in [f"{at}:{line}" if lines else at]
        for obj in _objects(value, where, bundle)
    ]


def check_unique(documents: Iterable[Document], bundle: str) -> None:
    """Errors: `RenderFailed` if two documents have one identity."""
    seen: dict[ObjectKey, str] = {}
    for document in documents:
        key = key_of(document.object)
        if key in seen:
            raise failed(
                "object-twice",
                f"{key} is there twice",
                at=", ".join(dict.fromkeys((seen[key], document.at))),
                fix="remove or rename one of them",
                bundle=bundle,
            )
        seen[key] = document.at


def finish(
    bundle: str,
    objects: Sequence[Object],
    limits: Limits,
    *,
    at: str,
    hooks: Sequence[Hook] = (),
    release: dict[str, str] | None = None,
    warnings: tuple[Problem, ...] = (),
) -> Rendered:
    """The artifact of these objects, hooks by annotation sorted out.

    Errors: `RenderFailed` if it is too large or no JSON, or an annotation of phases is wrong.
    """
    if len(objects) + len(hooks) > limits.objects:
        raise failed(
            "render-too-large",
            f"{len(objects) + len(hooks):,} objects are more than {limits.objects:,}",
            at=at,
            fix="split it into several bundles",
            bundle=bundle,
        )
    phases = _phases(objects, at, bundle)
    artifact = Artifact(
        bundle=bundle,
        objects=phases.objects,
        hooks=(*hooks, *phases.hooks),
        release=release or {},
    )
    data = _bytes(artifact, limits, at)
    charts = (f"{release['chart']}@{release['version']}",) if release else ()
    return Rendered(
        artifact=artifact.digest(),
        data=data,
        images=images_of(artifact.all_objects()),
        charts=charts,
        objects=len(artifact.all_objects()),
        warnings=warnings,
    )


def _phases(objects: Sequence[Object], at: str, bundle: str) -> Phases:
    try:
        return sort_out(objects)
    except ValueError as error:
        raise failed(
            "phase-invalid", str(error), at=at, fix="correct the annotation", bundle=bundle
        ) from error


def _bytes(artifact: Artifact, limits: Limits, at: str) -> bytes:
    """Canonical bytes. Errors: `RenderFailed`."""
    try:
        data = artifact.to_bytes()
    except (TypeError, ValueError) as error:  # an integer of more than 64 bits, a lone surrogate
        raise failed(
            "manifest-invalid",
            f"an object holds what JSON cannot: {error}",
            at=at,
            fix="put the value in quotes",
            bundle=artifact.bundle,
        ) from error
    if len(data) > limits.output_bytes:
        raise failed(
            "render-too-large",
            f"{len(data):,} bytes are more than {limits.output_bytes:,}",
            at=at,
            fix="split it into several bundles",
            bundle=artifact.bundle,
        )
    return data


def images_of(objects: Iterable[Object]) -> tuple[str, ...]:
    """Every container image that the objects name, in pods, templates and custom resources."""
    found: set[str] = set()
    for obj in objects:
        found.update(_images(obj))
    return tuple(sorted(found))


def _images(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for item in value:
            yield from _images(item)
    elif isinstance(value, dict):
        for field in ("containers", "initContainers", "ephemeralContainers"):
            for container in value[field] if isinstance(value.get(field), list) else ():
                if isinstance(container, dict) and isinstance(container.get("image"), str):
                    yield container["image"]
        for item in value.values():
            yield from _images(item)


def _objects(value: Any, at: str, bundle: str, depth: int = 0) -> Iterator[Object]:
    """The object itself, or the items of a `List` (also of a `ConfigMapList` and its like)."""
    if _is_list(value) and depth < MAX_LIST_DEPTH:
        for item in value["items"]:
            yield from _objects(item, at, bundle, depth + 1)
        return
    try:
        yield check_envelope(value)
    except EnvelopeError as error:
        raise failed(
            "manifest-invalid",
            f"a document of {at} {error}",
            at=at,
            fix="give it apiVersion, kind and metadata.name, or keep the file out of the bundle",
            bundle=bundle,
        ) from error


def _is_list(value: Any) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("items"), list):
        return False
    kind, metadata = value.get("kind"), value.get("metadata")
    named = isinstance(metadata, dict) and metadata.get("name")
    return isinstance(kind, str) and kind.endswith("List") and not named
