"""docs/problems.md names every code that a problem can have, and no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
MAKERS = {"Problem", "error", "warning", "failed", "ChartFailed", "_lost", "replace", "SourceError"}
PLACES = (
    "layout",
    "placement",
    "plan",
    "render",
    "rollout",
    "source/tree.py",
    "hub/planning.py",
    "hub/hub.py",
    "hub/observing.py",
    "hub/releasing.py",
    "hub/situations.py",
    "hub/tracks.py",
)
ROW = re.compile(r"^\| `([a-z0-9-]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", re.M)
CODE = re.compile(r"[a-z]+(-[a-z0-9]+)*\Z")


def documented() -> list[tuple[str, ...]]:
    """The rows of the tables: code, severity, meaning, cure."""
    return ROW.findall((ROOT / "docs/problems.md").read_text())


def made() -> set[str]:
    """Codes in the source: the first or `code` argument of a maker, or a `"code"` in a dict."""
    found: set[str] = set()
    for place in PLACES:
        path = ROOT / "fleet" / place
        for file in [path] if path.is_file() else sorted(path.rglob("*.py")):
            found.update(_codes(ast.parse(file.read_text())))
    return found


def _codes(tree: ast.Module) -> Iterator[str]:
    constants = dict(_constants(tree))
    for said in _said(tree):
        for node in ast.walk(said):
            text = constants.get(node.id) if isinstance(node, ast.Name) else None
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
            if text is not None and CODE.match(text):
                yield text


def _said(tree: ast.Module) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Dict):
            pairs = zip(node.keys, node.values, strict=True)
            yield from (v for k, v in pairs if isinstance(k, ast.Constant) and k.value == "code")
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SHOWN_AS_PROBLEM":
            assert isinstance(node.value, ast.Dict)
            yield from node.value.values
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if name in MAKERS:
                first = node.args[1:2] if name == "_lost" else node.args[:1]
                yield from (*first, *(k.value for k in node.keywords if k.arg == "code"))


def _constants(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in tree.body:
        if isinstance(node, ast.Assign):
            for target in node.targets:
                names = target.elts if isinstance(target, ast.Tuple) else [target]
                values = node.value.elts if isinstance(node.value, ast.Tuple) else [node.value]
                for name, value in zip(names, values, strict=False):
                    if isinstance(name, ast.Name) and isinstance(value, ast.Constant):
                        yield name.id, str(value.value)


def test_every_code_is_documented_and_none_that_is_not_made() -> None:
    codes = {row[0] for row in documented()}
    assert made() - codes == set(), "add these to docs/problems.md"
    assert codes - made() == set(), "nothing makes these any more: remove them"


def test_every_code_has_one_row_with_severity_meaning_and_cure() -> None:
    rows = documented()
    assert len(rows) > 50
    assert len({row[0] for row in rows}) == len(rows)
    for code, severity, meaning, cure in rows:
        assert set(severity.split(", ")) <= {"error", "warning"}, code
        assert len(meaning) > 10, code
        assert len(cure) > 2, code


def test_every_line_of_the_tables_was_read() -> None:
    lines = (ROOT / "docs/problems.md").read_text().splitlines()
    assert len([line for line in lines if line.startswith("| `")]) == len(documented())
