"""What is wrong in a repository, collected while it is read; and the line where it is.

Reading never stops at a problem: it is noted here with file, line and cure, and reading goes on.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from clusters.objects import YamlError
from clusters.objects.lines import FieldLines, FieldPath
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


def place(file: str, line: int) -> str:
    """`file:line`, or the file alone if the line is not known."""
    return f"{file}:{line}" if line else file


@dataclass(slots=True)
class Page:
    """One YAML document that is being read: where it is, and whom its errors hold."""

    file: str
    lines: FieldLines
    findings: Findings
    document: int = 0
    first_line: int = 0
    """The line at which the document starts, 0 if it must be looked for."""
    bundle: str = ""
    cluster: str = ""
    broken: bool = False
    """An error was found: what the document declares must not be taken for what was meant."""

    def at(self, path: FieldPath = ()) -> str:
        """`file:line` of a field, of the document itself without a path."""
        if self.first_line and not path:
            return place(self.file, self.first_line)
        return place(self.file, self.lines.line(self.document, path))

    def error(self, code: str, what: str, path: FieldPath, fix: str) -> None:
        """An error at a field; the document counts as broken."""
        self.broken = True
        self.findings.error(
            code, what, at=self.at(path), fix=fix, bundle=self.bundle, cluster=self.cluster
        )

    def warning(self, code: str, what: str, path: FieldPath, fix: str) -> None:
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
