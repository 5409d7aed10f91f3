"""The three patches that are no apply: JSON patch, JSON merge patch, strategic merge patch.

Each is a function from a document and a patch to a new document; arguments stay as they are.
A strategic merge patch uses the merge keys of the kind's schema and its directives (`$patch`,
`$retainKeys`, `$deleteFromPrimitiveList/…`, `$setElementOrder/…`); custom kinds have none of
that, and a real server refuses it for them.
"""

from __future__ import annotations

from typing import Any

from clusters.errors import InvalidError
from clusters.objects import Object
from clusters.simulation.server.copies import clone
from clusters.simulation.server.rejections import BadRequestError, TypedPatchError
from clusters.simulation.server.schema import Node, Shape

_DELETE_ITEMS = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"


def patch_object(current: Object, patch: Any, patch_type: str, schema: Node | None) -> Any:
    """The object after a patch of one of the three types; `schema` is `None` for a custom kind.

    What a built-in object is stays what it was if the patch takes that away. Errors: those of
    the patches.
    """
    match patch_type:
        case "json":
            patched = json_patch(current, patch)
        case "merge":
            patched = merge_patch(current, patch)
        case "strategic" if schema is not None:
            patched = strategic_merge_patch(current, patch, schema)
            return {**patched, **_identity(current)}
        case _:
            raise BadRequestError(f"the patch type {patch_type!r} is not served here")
    if not isinstance(patched, dict):
        return patched
    restored = _identity(current)
    if schema is None:
        del restored["kind"]  # nothing but its own words says what a custom object is
    return {**restored, **{k: v for k, v in patched.items() if v is not None}}


def _identity(current: Object) -> Object:
    return {key: current[key] for key in ("apiVersion", "kind")}


def merge_patch(document: Any, patch: Any) -> Any:
    """RFC 7386: null deletes, objects merge, everything else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(document) if isinstance(document, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def json_patch(document: Any, operations: Any) -> Any:
    """RFC 6902. Errors: `BadRequestError` for bad form, `InvalidError` if it cannot be done."""
    if not isinstance(operations, list):
        raise BadRequestError("a JSON patch is a list of operations")
    result = clone(document)
    for operation in operations:
        if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
            raise BadRequestError("a JSON patch operation needs op and path")
        result = _operate(result, operation)
    return result


def _operate(document: Any, operation: dict[str, Any]) -> Any:
    path, verb = operation["path"], operation.get("op")
    match verb:
        case "add":
            return _put(document, path, clone(operation.get("value")), insert=True)
        case "replace":
            _find(document, path)
            return _put(document, path, clone(operation.get("value")), insert=False)
        case "remove":
            return _drop(document, path)
        case "test":
            if _find(document, path) != operation.get("value"):
                raise InvalidError(f"the JSON patch's test of {path} failed", (path,))
            return document
        case "copy" | "move":
            source = str(operation.get("from"))
            value = clone(_find(document, source))
            moved = _drop(document, source) if verb == "move" else document
            return _put(moved, path, value, insert=True)
    raise BadRequestError(f"unknown JSON patch operation {verb!r}")


def _tokens(path: str) -> list[str]:
    if path and not path.startswith("/"):
        raise BadRequestError(f"{path!r} is no JSON pointer")
    return [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]


def _index(items: list[Any], token: str, path: str, *, end: bool) -> int:
    if token == "-" and end:
        return len(items)
    index = int(token) if token.isascii() and token.isdigit() else -1
    if not 0 <= index < len(items) + (1 if end else 0):
        raise InvalidError(f"the JSON patch's path {path} is not there", (path,))
    return index


def _find(document: Any, path: str) -> Any:
    for token in _tokens(path):
        if isinstance(document, dict) and token in document:
            document = document[token]
        elif isinstance(document, list):
            document = document[_index(document, token, path, end=False)]
        else:
            raise InvalidError(f"the JSON patch's path {path} is not there", (path,))
    return document


def _parent(document: Any, path: str) -> tuple[Any, str]:
    above, _, _ = path.rpartition("/")
    return _find(document, above), _tokens(path)[-1]


def _put(document: Any, path: str, value: Any, *, insert: bool) -> Any:
    if not path:
        return value
    parent, token = _parent(document, path)
    if isinstance(parent, dict):
        parent[token] = value
    elif isinstance(parent, list):
        index = _index(parent, token, path, end=insert)
        parent[index : index if insert else index + 1] = [value]
    else:
        raise InvalidError(f"the JSON patch's path {path} is not there", (path,))
    return document


def _drop(document: Any, path: str) -> Any:
    _find(document, path)
    if not path:
        raise BadRequestError("a JSON patch cannot remove the whole object")
    parent, token = _parent(document, path)
    if isinstance(parent, dict):
        del parent[token]
    else:
        del parent[_index(parent, token, path, end=False)]
    return document


def strategic_merge_patch(document: Any, patch: Any, node: Node) -> Any:
    """kubectl's own patch, guided by the schema. Errors: `BadRequestError`."""
    if not isinstance(patch, dict):
        raise BadRequestError("a strategic merge patch is an object")
    return _strategic_object(document if isinstance(document, dict) else {}, patch, node)


def _strategic_object(document: dict[str, Any], patch: dict[str, Any], node: Node) -> Any:
    directive = patch.get("$patch")
    if directive == "delete":
        return {}
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != "$patch"}
    retained = patch.get("$retainKeys")
    result = {k: v for k, v in document.items() if retained is None or k in retained}
    for key, value in patch.items():
        if key.startswith(_DELETE_ITEMS):
            name = key.removeprefix(_DELETE_ITEMS)
            result[name] = [item for item in result.get(name, []) if item not in value]
        elif not key.startswith("$"):
            _strategic_field(result, key, value, node.child(key) or Node(Shape.ANY))
    for key, order in patch.items():
        if key.startswith(_ORDER) and isinstance(order, list):
            name = key.removeprefix(_ORDER)
            inner = node.child(name) or Node(Shape.ANY)
            if isinstance(result.get(name), list):
                before = document.get(name) or []
                result[name] = _placed(result[name], before, order, inner.merge_key)
    return result


def _strategic_field(result: dict[str, Any], key: str, value: Any, node: Node) -> None:
    if value is None:
        result.pop(key, None)
    elif isinstance(value, dict) and not node.replaced:
        old = result.get(key)
        result[key] = _strategic_object(old if isinstance(old, dict) else {}, value, node)
    elif isinstance(value, list) and node.merge_key:
        old = result.get(key)
        result[key] = _strategic_list(old, value, node) if old else _undirected(value)
    else:
        result[key] = value


def _undirected(items: list[Any]) -> list[Any]:
    """What is left of a patch's items where there is nothing to merge them with."""
    return [item for item in items if not (isinstance(item, dict) and "$patch" in item)]


def _strategic_list(document: list[Any], patch: list[Any], node: Node) -> list[Any]:
    if node.merge_key == "*":
        both = document + [item for item in patch if item not in document]
        return _placed(both, document, patch, "")
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        return [item for item in patch if item.get("$patch") != "replace"]
    result = list(document)
    for item in patch:
        name = item.get(node.merge_key) if isinstance(item, dict) else None
        if name is None:
            raise TypedPatchError(f"an item of the patch lacks its merge key {node.merge_key}")
        place = next((i for i, old in enumerate(result) if old.get(node.merge_key) == name), None)
        if item.get("$patch") == "delete":
            result = [old for old in result if old.get(node.merge_key) != name]
        elif place is None:
            result.append(_strategic_object({}, item, node.item()))
        else:
            result[place] = _strategic_object(result[place], item, node.item())
    return _placed(result, document, patch, node.merge_key)


def _placed(merged: list[Any], before: list[Any], order: list[Any], merge_key: str) -> list[Any]:
    """`merged` with what `order` names in that order: new items are in front of the others."""

    def name_of(item: Any) -> str:
        return str(item.get(merge_key) if isinstance(item, dict) else item)

    ranks = {name_of(item): rank for rank, item in enumerate(order)}
    places = {name_of(item): place for place, item in enumerate(before)}
    named = [item for item in merged if name_of(item) in ranks]
    named.sort(key=lambda item: ranks[name_of(item)])
    result = []
    for item in merged:
        if name_of(item) in ranks:
            continue
        place = places.get(name_of(item), -1)
        while named and not -1 < place < places.get(name_of(named[0]), -1):
            result.append(named.pop(0))
        result.append(item)
    return result + named
