"""House style, held by tests: sizes, names, docstrings, one door for each outside library.

What a linter can say lives in pyproject.toml (ruff, mypy, import-linter); this holds the rest.
Only files that Git knows or would take are judged: a virtual environment or a cache never counts.
"""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("fleet", "agents", "clusters")

TOP_LEVEL = {
    "CHANGELOG.md",
    "LICENSE",
    "README.md",
    "agents",
    "clusters",
    "deploy",
    "docs",
    "fleet",
    "pyproject.toml",
    "tests",
}

LINES_OF_A_MODULE = 400
LINES_OF_A_TEST_MODULE = 500  # a table of cases is read by looking things up in it
LINES_OF_A_FUNCTION = 50

# A name like these says that the concept has not been found yet.
EMPTY_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager"}

# Each outside library has one door: the modules under these paths, and nobody else, import it.
# A door that nobody goes through yet is no error; a library without a line here is not watched.
DOORS: dict[str, tuple[str, ...]] = {
    "aiohttp": ("agents/hub_client", "agents/probes.py", "clusters/"),
    "git": ("fleet/source/", "fleet/world/example.py"),
    "helm_python": ("fleet/render/",),
    "httpx": ("fleet/api/client.py", "fleet/hub/outgoing.py"),
    "kubernetes": ("clusters/kubernetes/",),
    "prometheus_client": ("agents/metrics.py", "fleet/api/metrics.py"),
    "ray": ("fleet/world/actors.py",),
    "requests": (),
    "scipy": ("fleet/rollout/comparison.py",),
    "sqlite3": ("fleet/store/",),
    "sqlite_utils": ("fleet/store/",),
    "starlette": ("fleet/api/", "fleet/web/"),
    "urllib3": (),
    "uvicorn": ("fleet/api/", "fleet/web/"),
    "yaml": ("clusters/objects/",),
}

# Decisions are functions from values to values: no clock, no dice, no disk, no network.
# import-linter follows what they import; these are the ways to the disk that need no import.
PURE = (
    "agents/diff",
    "agents/health",
    "agents/protocol",
    "fleet/layout",
    "fleet/model",
    "fleet/placement",
    "fleet/plan",
    "fleet/rollout",
    "fleet/status",
)
IMPURE_CALLS = {"open", "input", "print", "exec", "eval", "__import__"}


@dataclass(frozen=True)
class Source:
    """One Python file of the repository: its path from the root, its text and its syntax tree."""

    path: str
    text: str
    tree: ast.Module

    def under(self, *places: str) -> bool:
        """Whether the file is one of these: a module, a package, or a path that begins so."""
        return any(
            self.path.startswith(place) if place.endswith("/") else self._is(place)
            for place in places
        )

    def _is(self, place: str) -> bool:
        return self.path in (place, f"{place}.py") or self.path.startswith(f"{place}/")


@cache
def repository() -> tuple[str, ...]:
    """The paths that Git knows, and those that it would take, without those just deleted."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return tuple(sorted(path for path in listed.split("\0") if path and (ROOT / path).is_file()))


@cache
def sources(*tops: str) -> tuple[Source, ...]:
    """The Python files under these top-level folders."""
    paths = [p for p in repository() if p.endswith(".py") and p.split("/")[0] in tops]
    texts = {path: (ROOT / path).read_text("utf-8") for path in paths}
    return tuple(Source(path, text, ast.parse(text, path)) for path, text in texts.items())


def imports_of(tree: ast.Module) -> Iterator[tuple[int, str, tuple[str, ...]]]:
    """Every import at any depth: line, module, and the names taken from it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, ()
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.lineno, node.module, tuple(alias.name for alias in node.names)


def functions_of(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function and method at any depth."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def told(faults: list[str]) -> str:
    """The faults, one a line, for the message of an assertion."""
    return "\n" + "\n".join(faults)


@pytest.mark.parametrize(
    ("tops", "most"), [(PACKAGES, LINES_OF_A_MODULE), (("tests",), LINES_OF_A_TEST_MODULE)]
)
def test_no_module_is_longer_than_it_can_be_read(tops: tuple[str, ...], most: int) -> None:
    faults = [
        f"{source.path}: {lines} lines, at most {most}"
        for source in sources(*tops)
        if (lines := len(source.text.splitlines())) > most
    ]
    assert not faults, told(faults)


def test_no_function_is_longer_than_a_screen() -> None:
    faults = [
        f"{source.path}:{function.lineno}: {function.name} has {lines} lines"
        for source in sources(*PACKAGES, "tests")
        for function in functions_of(source.tree)
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > LINES_OF_A_FUNCTION
    ]
    assert not faults, f"at most {LINES_OF_A_FUNCTION} lines: {told(faults)}"


def test_every_module_says_what_it_is() -> None:
    faults = [
        f"{source.path}: has no docstring"
        for source in sources(*PACKAGES, "tests")
        if source.text.strip() and not ast.get_docstring(source.tree)
    ]
    faults += [
        f"{source.path}: is empty; say what the package is"
        for source in sources(*PACKAGES)
        if not source.text.strip()
    ]
    assert not faults, told(faults)


def test_every_folder_of_code_is_a_package() -> None:
    paths = {source.path for source in sources(*PACKAGES)}
    folders = {str(PurePosixPath(path).parent) for path in paths}
    faults = sorted(folder for folder in folders if f"{folder}/__init__.py" not in paths)
    assert not faults, f"these have no __init__.py: {told(faults)}"


def test_every_module_is_named_by_a_concept() -> None:
    faults = [
        f"{source.path}: name it by what it is"
        for source in sources(*PACKAGES, "tests")
        if any(EMPTY_NAMES & set(part.split("_")) for part in re.split(r"[/.]", source.path))
    ]
    assert not faults, told(faults)


def test_the_top_level_holds_only_what_belongs_there() -> None:
    found = {path.split("/")[0] for path in repository()}
    strangers = {name for name in found - TOP_LEVEL if not name.startswith(".")}
    assert not strangers, f"move these into a folder that they belong to: {sorted(strangers)}"
    assert found >= TOP_LEVEL, f"missing: {sorted(TOP_LEVEL - found)}"


@pytest.mark.parametrize("library", sorted(DOORS))
def test_each_outside_library_has_one_door(library: str) -> None:
    faults = [
        f"{source.path}:{line}: imports {module}; its door is {DOORS[library] or 'closed'}"
        for source in sources(*PACKAGES)
        for line, module, _ in imports_of(source.tree)
        if module.split(".")[0] == library and not source.under(*DOORS[library])
    ]
    assert not faults, told(faults)


def test_decisions_do_not_touch_the_disk() -> None:
    faults = [
        f"{source.path}:{line}: a decision has no business with {deed}"
        for source in sources(*PACKAGES)
        if source.under(*PURE)
        for line, deed in deeds_of(source.tree)
    ]
    assert not faults, told(faults)


def deeds_of(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """What reaches for the disk or the terminal without an import that import-linter would see."""
    for line, module, names in imports_of(tree):
        if module == "pathlib" and set(names) != {"PurePosixPath"}:
            yield line, "pathlib (but PurePosixPath is only a name)"
    for node in ast.walk(tree):
        called = node.func if isinstance(node, ast.Call) else None
        if isinstance(called, ast.Name) and called.id in IMPURE_CALLS:
            yield called.lineno, f"{called.id}()"


def test_a_log_line_names_a_fact_and_its_parts_are_fields() -> None:
    """`log.info("offer refused", extra={"run": …})`: a program finds lines by their event."""
    faults = [
        f"{source.path}:{line}: logs {event!r}; name the fact, and give its parts as `extra`"
        for source in sources(*PACKAGES)
        for line, event in logged(source.tree)
        if event is None or not EVENT.fullmatch(event)
    ]
    assert not faults, told(faults)


EVENT = re.compile(r"[a-z]+( [a-z]+){0,4}")


def logged(tree: ast.Module) -> Iterator[tuple[int, str | None]]:
    """Every call of a logger: its line, and the event if it is a text that stands there."""
    levels = {"debug", "info", "warning", "error", "exception", "critical", "log"}
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        owner = node.func.value
        if not (isinstance(owner, ast.Name) and owner.id in ("log", "_log", "LOG", "logger")):
            continue
        if node.func.attr in levels:
            said = node.args[1 if node.func.attr == "log" else 0]
            text = said.value if isinstance(said, ast.Constant) and len(node.args) < 3 else None
            yield node.lineno, text if isinstance(text, str) else None
