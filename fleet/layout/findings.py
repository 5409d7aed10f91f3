"""What is wrong in a repository, collected while it is read; and the line where it is.

Reading never stops at a problem: it is noted here with file, line and cure, and reading goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from clusters.objects import YamlError
from fleet.model import Problem, Severity


@dataclass(slots=True)
class Findings:
    """The problems so far."""

    problems: list[Problem] = field(default_factory=list)

    def error(
        self, code: str, what: str, *, at: str, fix: str, bundle: str = "", cluster: str = ""
    ) -> None:
        """Something that keeps what it names from being planned."""
        self.problems.append(Problem(code, Severity.ERROR, what, at, fix, bundle, cluster))

    def warning(
        self, code: str, what: str, *, at: str, fix: str, bundle: str = "", cluster: str = ""
    ) -> None:
        """Something that is only shown."""
        self.problems.append(Problem(code, Severity.WARNING, what, at, fix, bundle, cluster))

    def sorted(self) -> tuple[Problem, ...]:
        """Each problem once, in an order that does not depend on the order of reading."""
        return tuple(sorted(set(self.problems)))


@dataclass(slots=True)
class Lines:
    """Finds the line of a field; parses a second time, and only when it is asked."""

    text: bytes
    first_line: int = 1
    """Line of the file at which `text` begins."""
    nodes: list[yaml.Node] | None = None

    def line(self, document: int, path: tuple[str | int, ...]) -> int:
        """The line (from 1) of the field at `path`, or of its nearest parent; 0 if unknown."""
        nodes = self._nodes()
        if document >= len(nodes):
            return 0
        node, line = nodes[document], nodes[document].start_mark.line
        for part in path:
            found = _child(node, part)
            if found is None:
                break
            node, line = found
        return line + self.first_line

    def _nodes(self) -> list[yaml.Node]:
        if self.nodes is None:
            try:
                composed = list(yaml.compose_all(self.text, Loader=yaml.CSafeLoader))
            except (yaml.YAMLError, UnicodeDecodeError, RecursionError):
                composed = []
            self.nodes = [node for node in composed if node.value != ""]
        return self.nodes


def _child(node: yaml.Node, part: str | int) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == part:
                return value, key.start_mark.line
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part].start_mark.line
    return None


def place(file: str, line: int) -> str:
    """`file:line`, or the file alone if the line is not known."""
    return f"{file}:{line}" if line else file


@dataclass(slots=True)
class Page:
    """One YAML document that is being read: where it is, and whom its errors hold."""

    file: str
    lines: Lines
    findings: Findings
    document: int = 0
    bundle: str = ""
    cluster: str = ""
    broken: bool = False
    """An error was found: what the document declares must not be taken for what was meant."""

    def at(self, path: tuple[str | int, ...] = ()) -> str:
        """`file:line` of a field."""
        return place(self.file, self.lines.line(self.document, path))

    def error(self, code: str, what: str, path: tuple[str | int, ...], fix: str) -> None:
        """An error at a field; the document counts as broken."""
        self.broken = True
        self.findings.error(
            code, what, at=self.at(path), fix=fix, bundle=self.bundle, cluster=self.cluster
        )

    def warning(self, code: str, what: str, path: tuple[str | int, ...], fix: str) -> None:
        """A warning at a field."""
        self.findings.warning(
            code, what, at=self.at(path), fix=fix, bundle=self.bundle, cluster=self.cluster
        )


def yaml_invalid(error: YamlError, file: str, first_line: int = 1) -> dict[str, Any]:
    """The arguments of the problem for text that is not YAML as Kubernetes reads it."""
    line = error.line + first_line - 1 if error.line else 0
    return {
        "code": "yaml-invalid",
        "what": f"{file} cannot be read as YAML: {error}",
        "at": place(file, line),
        "fix": "correct the YAML; what it declares keeps its last state until then",
    }
