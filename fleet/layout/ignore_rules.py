"""What a repository says about fields that are not Fleet's business, in three dialects.

::

    Rancher   diff: {comparePatches: [{apiVersion, kind, namespace, name,
                                       jsonPointers, operations: [{op, path}]}]}
    Argo CD   ignoreDifferences: [{group, kind, namespace, name,
                                   jsonPointers, jqPathExpressions, managedFieldsManagers}]
    Flux      driftDetection: {mode, ignore: [{paths, target: {group, kind, namespace, name}}]}

All become `IgnoreRule`. What cannot be honoured is an error with file and line, which holds the
bundle: going on without the rule would overwrite what somebody else is meant to have.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable

from agents.protocol import DriftMode, IgnoreRule
from agents.protocol.expressions import check_jq, pointer_tokens
from agents.protocol.ignoring import check_pattern
from clusters.objects import split_api_version
from fleet.layout.fields import Fields

_SAME = ("remove", "replace")
"""Operations that Rancher Fleet does to both sides, so that they no longer differ there."""
_MODES = {
    "enabled": DriftMode.CORRECT,
    "warn": DriftMode.WARN,
    "disabled": DriftMode.WARN,
}


def read_ignore_rules(fields: Fields) -> tuple[IgnoreRule, ...]:
    """The rules of all three dialects, in the order of this table."""
    rules = [*_rancher(fields), *_argo(fields), *_flux(fields.part("driftDetection"))]
    return tuple(rule for rule in rules if rule is not None)


def read_drift_mode(fields: Fields) -> DriftMode | None:
    """`driftDetection.mode`, `None` if nothing is said."""
    part = fields.part("driftDetection")
    if part is None or "mode" not in part:
        return None
    said = part.text("mode")
    if said not in _MODES:
        _refuse(part, "mode", f"driftDetection.mode {said!r} is none", "say enabled or warn")
    elif said == "disabled":
        part.page.warning(
            "unsupported-field", "driftDetection.mode disabled is taken for warn",
            (*part.path, "mode"), "say warn: drift is left alone, and reported all the same",
        )  # fmt: skip
    return _MODES.get(said)


def _rancher(fields: Fields) -> list[IgnoreRule | None]:
    part = fields.part("diff")
    if part is None:
        return []
    rules = [_compare_patch(entry) for entry in part.parts("comparePatches")]
    part.done()
    return rules


def _compare_patch(entry: Fields) -> IgnoreRule | None:
    pointers = list(_checked(entry, "jsonPointers", pointer_tokens))
    everything = False
    for operation in entry.parts("operations"):
        op, path = operation.text("op"), operation.text("path")
        operation.ask("value")
        operation.done()
        if op == "ignore":
            everything = True
        elif op not in _SAME:
            _refuse(operation, "op", f"operation {op!r} is not honoured", "say remove or ignore")
        elif _holds(operation, "path", path, pointer_tokens):
            pointers.append(path)
    version = entry.text("apiVersion")
    rule = _rule(
        entry,
        group=re.escape(split_api_version(version)[0]) if version else None,
        kind=re.escape(entry.text("kind")),
        namespace=_pattern(entry, "namespace"),
        name=_pattern(entry, "name"),
        pointers=tuple(pointers),
        everything=everything,
    )
    entry.done()
    return rule


def _argo(fields: Fields) -> list[IgnoreRule | None]:
    return [_ignore_difference(entry) for entry in fields.parts("ignoreDifferences")]


def _ignore_difference(entry: Fields) -> IgnoreRule | None:
    rule = _rule(
        entry,
        group=_glob(entry.text("group")),
        kind=_glob(entry.text("kind")),
        namespace=_glob(entry.text("namespace")) if entry.value.get("namespace") else "",
        name=_glob(entry.text("name")) if entry.value.get("name") else "",
        pointers=_checked(entry, "jsonPointers", pointer_tokens),
        jq=_checked(entry, "jqPathExpressions", check_jq),
        managers=entry.texts("managedFieldsManagers"),
    )
    if not entry.text("kind"):
        _refuse(entry, "kind", "an entry of ignoreDifferences names no kind", 'name it, or "*"')
    entry.ask("namespace"), entry.ask("name")
    entry.done()
    return rule


def _glob(text: str) -> str:
    """`*` and `?` as a pattern; the empty text is the core group's name."""
    return fnmatch.translate(text).removeprefix("(?s:").removesuffix(r")\Z") if text else ""


_SELECTORS = {
    "labelSelector": "Fleet does not select by labels here: name the objects",
    "annotationSelector": "Fleet does not select by annotations here: name the objects",
}


def _flux(part: Fields | None) -> list[IgnoreRule | None]:
    if part is None:
        return []
    part.ask("mode")
    rules = [_drift_ignore(entry) for entry in part.parts("ignore")]
    part.done()
    return rules


def _drift_ignore(entry: Fields) -> IgnoreRule | None:
    target = entry.part("target") or Fields({}, entry.page, (*entry.path, "target"))
    for key, fix in _SELECTORS.items():
        if target.ask(key):
            _refuse(target, key, f"target.{key} is not honoured", fix)
    target.ask("version")
    paths = _checked(entry, "paths", pointer_tokens)
    rule = _rule(
        entry,
        group=_pattern(target, "group") or None,
        kind=_pattern(target, "kind"),
        namespace=_pattern(target, "namespace"),
        name=_pattern(target, "name"),
        pointers=tuple(path for path in paths if path),
        everything="" in paths,
    )
    target.done()
    entry.done()
    return rule


def _rule(
    entry: Fields,
    *,
    group: str | None,
    kind: str,
    namespace: str,
    name: str,
    pointers: tuple[str, ...] = (),
    jq: tuple[str, ...] = (),
    managers: tuple[str, ...] = (),
    everything: bool = False,
) -> IgnoreRule | None:
    """The rule, `None` if it says nothing to ignore."""
    whole = everything or "" in pointers
    if not (pointers or jq or managers or whole):
        entry.page.error(
            "bad-field", "an entry that names no field to ignore", entry.path,
            "name the fields by JSON pointers, such as /spec/replicas",
        )  # fmt: skip
        return None
    return IgnoreRule(
        group=group,
        kind=kind,
        namespace=namespace,
        name=name,
        pointers=() if whole else pointers,
        jq=() if whole else jq,
        managers=() if whole else managers,
        everything=whole,
    )


def _pattern(entry: Fields, key: str) -> str:
    text = entry.text(key)
    return text if _holds(entry, key, text, check_pattern) else ""


def _checked(entry: Fields, key: str, check: Callable[[str], object]) -> tuple[str, ...]:
    return tuple(
        text
        for index, text in enumerate(entry.texts(key))
        if _holds(entry, key, text, check, index)
    )


def _holds(
    entry: Fields, key: str, text: str, check: Callable[[str], object], index: int | None = None
) -> bool:
    try:
        check(text)
    except ValueError as error:
        path = (*entry.path, key) if index is None else (*entry.path, key, index)
        what = f"{key} {text[:60]!r} {error}"
        entry.page.error("bad-field", what, path, "see docs/drift.md for what may be said")
        return False
    return True


def _refuse(entry: Fields, key: str, what: str, fix: str) -> None:
    entry.page.error("bad-field", what, (*entry.path, key), fix)
