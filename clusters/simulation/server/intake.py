"""From what a client sends to a request that the server can work on.

Finds the kind, completes the namespace, reads the object against its schema and converts it to
the version it is stored in. Nothing of the caller's is kept: the result is a copy.

Errors: `KindNotFoundError`, `BadRequestError`, `TypedPatchError`, `RejectedError`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from clusters.errors import InvalidError, KindNotFoundError
from clusters.objects import Kind, Object, ObjectKey, split_api_version
from clusters.simulation.server.builtin import KindTraits
from clusters.simulation.server.catalog import Catalog
from clusters.simulation.server.conversion import convert
from clusters.simulation.server.copies import clone
from clusters.simulation.server.custom_values import type_causes
from clusters.simulation.server.decoding import Problems, decode
from clusters.simulation.server.rejections import (
    BadRequestError,
    Cause,
    TypedPatchError,
    forbidden,
    hidden,
    rejected,
    wrong,
)
from clusters.simulation.server.schema import Node

STRICT = "Strict"


@dataclass(frozen=True, slots=True)
class Request:
    """One object to write, in its storage version, and what is known of its kind."""

    traits: KindTraits
    version: str
    """The version in which the client speaks."""
    key: ObjectKey
    obj: Object
    schema: Node
    wrong: tuple[Cause, ...] = ()
    """Values of the wrong type in an object of a custom kind, which is refused for all at once."""
    unreadable: InvalidError | None = None
    """What is applied is merged first, so that a conflict is told before this."""


def copy_of(obj: Any) -> Object:
    """The caller's object as the server's own. Errors: `BadRequestError` for what is no JSON."""
    try:
        copied = clone(obj)
    except TypeError as error:
        raise BadRequestError(f"the object cannot be written as JSON: {error}") from error
    if not isinstance(copied, dict):
        raise BadRequestError(f"the object is a {type(obj).__name__}, not a mapping")
    if not isinstance(copied.get("apiVersion"), str) or not isinstance(copied.get("kind"), str):
        raise BadRequestError("Object 'Kind' is missing: apiVersion and kind must be text")
    if not isinstance(copied.get("metadata"), dict):
        raise BadRequestError("the object has no metadata")
    return copied


def read_patched(
    catalog: Catalog, patched: Any, key: ObjectKey, version: str, *, validation: str
) -> Request:
    """Read what a patch made of an object. Errors: a patch is to blame for all that is wrong."""
    if catalog.find(key.kind_key).custom and isinstance(patched, dict):
        _check_same(patched, key, version)
    try:
        return read_request(catalog, patched, applied=False, validation=validation)
    except (BadRequestError, KindNotFoundError) as error:
        cause = hidden("patch", str(error))
        raise rejected(Kind("", ""), "", (cause,)) from error


def _check_same(patched: Object, key: ObjectKey, version: str) -> None:
    """A custom object says itself what it is, and cannot become something else."""
    kind, spoken = patched.get("kind"), patched.get("apiVersion")
    if not isinstance(kind, str) or not isinstance(spoken, str):
        return
    wanted = f"{key.group}/{version}"
    group = split_api_version(spoken)[0]
    if kind != key.kind:
        cause = wrong("kind", kind, f"must be {key.kind}")
        raise rejected(Kind(group, kind), key.name, (cause,))
    if spoken != wanted:
        cause = wrong("apiVersion", spoken, f"must be {wanted}")
        raise rejected(Kind(group, kind), key.name, (cause,))


def read_request(catalog: Catalog, obj: Any, *, applied: bool, validation: str = "Warn") -> Request:
    """Read what a client wants to write.

    `applied` is server-side apply, which refuses unknown fields always; other writes refuse them
    when `validation` is `Strict` and drop them with a warning otherwise.
    """
    copied = copy_of(obj)
    group, version = split_api_version(copied["apiVersion"])
    traits = catalog.find_version(Kind(group, copied["kind"]), version)
    problems = Problems()
    decoded = decode(copied, catalog.schema(traits, version), problems)
    key = _key(traits, decoded)
    if applied:
        _refuse_untyped(key, decoded, problems)
    unreadable = _unreadable(traits, version, key, problems, applied=applied)
    if unreadable is not None and not applied:
        raise unreadable
    if problems.unknown and validation == STRICT:
        raise BadRequestError("strict decoding error: " + ", ".join(_unknown(problems)))
    if not traits.resource.namespaced and decoded["metadata"].get("namespace"):
        cause = forbidden("metadata.namespace", "not allowed on this type")
        raise rejected(traits.kind, key.name, (cause,))
    stored = convert(decoded, traits.storage_version)
    if key.namespace:
        stored["metadata"]["namespace"] = key.namespace
    schema = catalog.schema(traits, traits.storage_version)
    return Request(traits, version, key, stored, schema, type_causes(problems.wrong), unreadable)


def _key(traits: KindTraits, obj: Object) -> ObjectKey:
    metadata = obj["metadata"] if isinstance(obj.get("metadata"), dict) else {}
    namespace = metadata.get("namespace") or "default" if traits.resource.namespaced else ""
    name = metadata.get("name") or ""
    return ObjectKey(traits.kind.group, traits.kind.kind, str(namespace), str(name))


def _unreadable(
    traits: KindTraits, version: str, key: ObjectKey, problems: Problems, *, applied: bool
) -> InvalidError | None:
    """The refusal of an object that cannot be read, or `None`."""
    group = traits.kind.group
    api_version = f"{group}/{version}" if group else version
    if problems.undecodable:
        return _undecodable(key, api_version, problems, applied=applied)
    paths = [path for path, _, _ in problems.wrong]
    if not paths or (traits.custom and not any(path.startswith("metadata.") for path in paths)):
        return None
    if applied:
        return _unconverted(key, api_version, problems)
    return _wrong_type(traits, version, problems)


def _unknown(problems: Problems) -> list[str]:
    return [f'unknown field "{path}"' for path in problems.unknown]


_NUMBERS = ("integer", "number")
"""To an apply, one is as good as the other; what it makes is then read by its type."""


def _refuse_untyped(key: ObjectKey, obj: Object, problems: Problems) -> None:
    errors = [f".{path}: field not declared in schema" for path in problems.unknown]
    errors += [
        f".{path}: expected {wanted}, got {_go_type(value)}"
        for path, wanted, value in problems.wrong
        if not (wanted in _NUMBERS and type(value) in (int, float))
    ]
    if errors:
        raise typed_patch_error(key, obj["apiVersion"], errors, tuple(_paths(problems)))


def _undecodable(
    key: ObjectKey, api_version: str, problems: Problems, *, applied: bool
) -> InvalidError:
    """Text that is no base64, quantity or time; bytes, which may be secret, are not shown."""
    path, words = problems.undecodable[0]
    if not applied:
        return BadRequestError(f"{key.kind}: {words} at {path}", (path,))
    gvk = f"{_group_version(api_version)}, Kind={key.kind}"
    return TypedPatchError(
        f"failed to convert new object ({key.namespace}/{key.name}; {gvk}) to proper version: "
        f"{words} at {path}",
        (path,),
    )


def _unconverted(key: ObjectKey, api_version: str, problems: Problems) -> TypedPatchError:
    path, wanted, value = problems.wrong[0]
    gvk = f"{_group_version(api_version)}, Kind={key.kind}"
    return TypedPatchError(
        f"failed to convert new object ({key.namespace}/{key.name}; {gvk}) to proper version: "
        f"cannot restore {_go_type(value)} into {wanted} at {path}",
        (path,),
    )


def _paths(problems: Problems) -> list[str]:
    return [*problems.unknown, *(path for path, _, _ in problems.wrong)]


def with_generated_name(obj: Object, next_uid: Callable[[], str]) -> Object:
    """The object with a name made of its `generateName`, if it has that and no name."""
    metadata = obj.get("metadata")
    if not isinstance(metadata, dict) or metadata.get("name"):
        return obj
    prefix = metadata.get("generateName")
    if not isinstance(prefix, str) or not prefix:
        return obj
    name = prefix + next_uid().replace("-", "")[:5]
    return {**obj, "metadata": {**metadata, "name": name}}


def refuse_managed_fields(obj: Any) -> None:
    """Refuse an applied object that says who owns what. Errors: `BadRequestError`."""
    metadata = obj.get("metadata") if isinstance(obj, dict) else None
    if isinstance(metadata, dict) and metadata.get("managedFields") is not None:
        raise BadRequestError("metadata.managedFields must be nil")


def typed_patch_error(
    key: ObjectKey, api_version: str, errors: list[str], fields: tuple[str, ...]
) -> TypedPatchError:
    """The error of an apply whose configuration does not fit the schema."""
    what = f"{key.namespace}/{key.name}" if key.namespace else f"/{key.name}"
    text = errors[0] if len(errors) == 1 else "errors:\n" + "\n".join(f"  {e}" for e in errors)
    gvk = f"{_group_version(api_version)}, Kind={key.kind}"
    return TypedPatchError(
        f"failed to create typed patch object ({what}; {gvk}): {text}",
        fields,
    )


def _group_version(api_version: str) -> str:
    """As Go prints it: the core group has an empty name before its slash."""
    return api_version if "/" in api_version else f"/{api_version}"


def _wrong_type(traits: KindTraits, version: str, problems: Problems) -> InvalidError:
    path, wanted, value = problems.wrong[0]
    kind = traits.kind.kind
    return BadRequestError(
        f'{kind} in version "{version}" cannot be handled as a {kind}: json: cannot unmarshal '
        f"{_go_type(value)} into Go struct field {kind}.{path} of type {wanted}",
        (path,),
    )


def _go_type(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    names: dict[type, str] = {str: "string", int: "number", float: "number", list: "array"}
    return names.get(type(value), "object")


def addressed(key: ObjectKey, obj: Any, version: str) -> Object:
    """An applied body, held to the name, namespace, kind and `version` (if any) of its address.

    Errors: `BadRequestError`.
    """
    group, spoken = split_api_version(str(obj.get("apiVersion") or ""))
    kind = Kind(group, str(obj.get("kind") or ""))
    if kind != key.kind_key or (version and version != spoken):
        raise BadRequestError(f"invalid object type: {group}/{spoken}, Kind={kind.kind}")
    copied = copy_of(obj)
    metadata = copied["metadata"]
    if metadata.setdefault("name", key.name) != key.name:
        raise BadRequestError("the name of the object does not match the name on the request")
    if key.namespace and metadata.setdefault("namespace", key.namespace) != key.namespace:
        raise BadRequestError(
            "the namespace of the provided object does not match the namespace sent on the request"
        )
    return copied
