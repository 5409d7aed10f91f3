"""What people type: sessions of kubectl against a served cluster, line by line.

A session is a file in `sessions/`: after `$` comes a command line, `[1]` before it is the exit code
if that is not 0, and each line below is to be found in what kubectl prints, spaces folded. Words in
braces are files that the test writes.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from clusters.objects import Object
from tests.clusters.simulation.http.kubectl import Kubectl
from tests.clusters.simulation.samples import deployment, service

SESSIONS = sorted(Path(__file__).with_name("sessions").glob("*.txt"))


class Line(NamedTuple):
    """One command and what is to come of it."""

    command: str
    code: int
    expected: tuple[str, ...]


def lines_of(text: str) -> Iterator[Line]:
    """The commands of a session."""
    for part in re.split(r"^\$ ", text, flags=re.M)[1:]:
        command, *expected = part.splitlines()
        marked = re.match(r"\[(\d+)\] (.*)", command)
        yield Line(
            marked[2] if marked else command, int(marked[1]) if marked else 0, tuple(expected)
        )


def folded(text: str) -> str:
    """The text with single spaces."""
    return " ".join(text.split())


def words_of(command: str, files: dict[str, str]) -> list[str]:
    """The arguments; JSON and templates are left as they are."""
    words = [files.get(word, word) for word in command.split(" ")]
    return words if any('"' in word for word in words) else shlex.split(" ".join(words))


def workload(kind: str, name: str, **spec: Any) -> Object:
    """A workload of the group apps with the template of `deployment`."""
    plain = deployment(replicas=None, name=name)
    return {**plain, "kind": kind, "spec": {**plain["spec"], **spec}}


@pytest.mark.slow
@pytest.mark.parametrize("path", SESSIONS, ids=lambda path: path.stem)
async def test_a_session_goes_as_it_does_with_a_real_server(kubectl: Kubectl, path: Path) -> None:
    wrong = deployment()
    wrong["spec"]["replicsa"] = 1
    files = {
        "{web}": kubectl.file(deployment(), service()),
        "{web3}": kubectl.file(deployment(replicas=3), service()),
        "{wrong}": kubectl.file(wrong),
        "{sets}": kubectl.file(
            workload("StatefulSet", "db", replicas=2, serviceName="db"),
            workload("DaemonSet", "log"),
        ),
    }
    for line in lines_of(path.read_text("utf-8")):
        code, out, err = await kubectl.run(*words_of(line.command, files))
        printed = folded(out + err)
        assert code == line.code, f"kubectl {line.command}: {code}: {printed}"
        missing = [text for text in line.expected if folded(text) not in printed]
        assert not missing, f"kubectl {line.command}: {missing} not in {printed}"


def test_every_session_has_commands() -> None:
    counts = {path.stem: len(list(lines_of(path.read_text("utf-8")))) for path in SESSIONS}
    assert len(counts) > 5
    assert min(counts.values()) > 5
