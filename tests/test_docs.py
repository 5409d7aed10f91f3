"""What is written for people is true: commands, error codes, snippets and links."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import agents.errors
import clusters.errors
import fleet.errors
from clusters.objects import read_yaml
from fleet.cli import main
from fleet.layout import MemoryTree, discover
from fleet.layout.fleet_yaml import UNSUPPORTED
from fleet.model import PolicyDocument
from fleet.placement import place
from fleet.rollout import read_policies
from fleet.rollout.gate_kinds import Approval, Soak
from fleet.rollout.states import ClusterState, RunState, StageState
from fleet.store.people import Person, read_people
from tests import docs_generation
from tests.e2e.agent.every_command import ASKED, PROCESSES, every_command

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), ROOT / "README.md", ROOT / "CHANGELOG.md"])
CODE = re.compile(r"[a-z]+(-[a-z0-9]+)*\Z")
# What these packages call `code` is a reason inside a run or a problem of a repository.
ELSEWHERE = ("layout", "placement", "plan", "rollout", "render")
UNUSED_STATES = {"Skipped", "Held"}


def page(name: str) -> str:
    """One page's text."""
    return (DOCS / name).read_text("utf-8")


def codes_in(name: str) -> list[str]:
    """The codes in the first cells of a page's tables."""
    rows = re.findall(r"^\| (`[^|]*) \|", page(name), re.M)
    return [code for row in rows for code in re.findall(r"`([^`]+)`", row)]


def codes_of_source() -> set[str]:
    """Every `code="…"` of a call or class in fleet, agents and clusters, and every known cure."""
    found = set(agents.errors._CURES)
    for package in ("fleet", "agents", "clusters"):
        for file in sorted((ROOT / package).rglob("*.py")):
            if file.relative_to(ROOT).parts[1] not in (*ELSEWHERE, "simulation"):
                found |= set(codes_of(ast.parse(file.read_text("utf-8"))))
    return found


def codes_of(tree: ast.AST) -> Iterator[str]:
    """Texts that are given as `code`, or first to a `Refused`."""
    for node in ast.walk(tree):
        values: list[ast.AST] = []
        if isinstance(node, ast.Call):
            values += [key.value for key in node.keywords if key.arg == "code"]
            if isinstance(node.func, ast.Name) and node.func.id == "Refused":
                values += node.args[:1]
        elif isinstance(node, ast.Assign):
            names = [name.id for name in node.targets if isinstance(name, ast.Name)]
            values += [node.value] if "code" in names else []
        for value in values:
            choices = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
            for part in choices:
                text = part.value if isinstance(part, ast.Constant) else None
                if isinstance(text, str) and CODE.fullmatch(text):
                    yield text


def test_the_page_of_commands_is_what_the_commands_say() -> None:
    assert page("commands.md") == docs_generation.page(), "run python -m tests.docs_generation"


def test_every_error_code_is_documented() -> None:
    known = {*codes_in("errors.md"), *codes_in("problems.md")}
    assert codes_of_source() - known == set(), "add these to docs/errors.md"


def test_every_class_of_error_has_its_code_documented() -> None:
    roots = (fleet.errors.FleetError, agents.errors.AgentError, clusters.errors.ClusterError)
    found: list[Any] = list(roots)
    for kind in found:
        found += kind.__subclasses__()
    assert len(found) > 25
    missing = {f"{k.__name__}: {k.code}" for k in found} - {
        f"{k.__name__}: {code}" for k in found for code in codes_in("errors.md")
    }
    assert missing == set()


def test_no_error_is_documented_that_nothing_raises() -> None:
    documented = codes_in("errors.md")
    documented.remove("not-found")  # of a hub and of a cluster
    assert sorted(documented) == sorted(set(documented)), "a code has two rows"
    sources = "".join(
        path.read_text("utf-8")
        for package in ("fleet", "agents", "clusters")
        for path in (ROOT / package).rglob("*.py")
    )
    assert [code for code in documented if f'"{code}"' not in sources] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_link_of_a_page_leads_somewhere(path: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)\)", path.read_text("utf-8"))
    local = [link for link in links if "://" not in link]
    assert [link for link in local if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_command_that_a_page_names_exists(path: Path) -> None:
    known = {words for words, _ in docs_generation.commands()}
    said = re.findall(
        r"(?:`|^|; )fleet ([a-z]+)(?: ([a-z][a-z-]*)\b)?", path.read_text("utf-8"), re.M
    )
    for name, sub in said:
        assert ("fleet", name) in known, name
        if sub and name in ("rollout", "cluster"):
            assert ("fleet", name, sub) in known, f"{name} {sub}"


def test_the_index_leads_to_every_page() -> None:
    index = page("index.md")
    assert [p.name for p in DOCS.glob("*.md") if p.name not in index and p.name != "index.md"] == []


def test_the_policies_that_are_shown_are_policies() -> None:
    snippets = re.findall(r"```yaml\n(.*?)```", page("rollouts.md"), re.S)
    documents = [read_yaml(snippet) for snippet in snippets]
    assert [document["kind"] for document in documents] == ["Rollout", "RolloutBudget"]
    shown = [
        PolicyDocument(document["kind"], document["metadata"]["name"], document["spec"], "docs")
        for document in documents
    ]
    book = read_policies(shown, {"staging", "production"})
    assert book.problems == ()
    assert [budget.fleet.max_starts_per_minute for budget in book.budgets] == [60]
    stages = book.policies[0].stages
    assert [stage.name for stage in stages] == ["staging", "production", "rest"]
    assert stages[0].after == (Soak(1800),)
    assert stages[1].before == (Approval(groups=("sre",)),)


def test_every_gate_that_is_shown_is_read() -> None:
    shown = re.findall(r"```yaml\n(gates:.*?)```", page("gates.md"), re.S)
    (measures,) = re.findall(r"```yaml\n(apiVersion:.*?)```", page("gates.md"), re.S)
    read = read_yaml(measures)
    measured = PolicyDocument(read["kind"], read["metadata"]["name"], read["spec"], "gates.md:2")
    assert len(shown) == 7
    for snippet in shown:
        stages = [
            {"name": "canary", "group": "staging"},
            {"name": "eu", "select": {"catchAll": True}, **read_yaml(snippet)},
        ]
        document = PolicyDocument("Rollout", "payments", {"stages": stages}, "gates.md:1")
        assert read_policies([document, measured], {"staging"}).problems == (), snippet


def test_the_file_of_people_that_is_shown_is_read(tmp_path: Path) -> None:
    (snippet,) = re.findall(r"```yaml\n(- name:.*?)```", page("gates.md"), re.S)
    path = tmp_path / "people.yaml"
    path.write_text(snippet, "utf-8")
    path.chmod(0o600)
    person = read_people(path).person_of("4T0Wm2n3Yk8sQ1vLr7xZ")
    assert person == Person("ana", ("sre",), ("Ana Lee", "ana@example.com"))


def test_the_page_of_rollouts_names_every_state() -> None:
    text = page("rollouts.md")
    for state in (*RunState, *StageState, *ClusterState):
        assert f"`{state}`" in text or state in UNUSED_STATES, state


def test_the_documents_of_the_repository_page_are_understood() -> None:
    (snippet,) = re.findall(r"```yaml\n(.*?)```", page("repository.md"), re.S)
    repo = discover(MemoryTree({"clusters/clusters.yaml": snippet}))
    assert {p.code for p in repo.problems} <= {"cluster-ungrouped", "group-empty"}
    assert [(c.name, c.kubernetes_version) for c in repo.clusters] == [("prd-eu-1", "1.33.2")]


def test_the_quickstart_brings_web_to_both_clusters() -> None:
    (snippet,) = re.findall(r"```yaml\n(.*?)```", page("quickstart.md"), re.S)
    paths = re.findall(r"^apps/\S+\.yaml$", page("quickstart.md"), re.M)
    manifest = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\n"
    repo = discover(
        MemoryTree({"clusters/clusters.yaml": snippet, **dict.fromkeys(paths, manifest)})
    )
    assert repo.problems == ()
    placement = place(repo)
    for cluster in ("stg-1", "prd-1"):
        assert [placed.bundle for placed in placement.placed_in(cluster)] == ["web"]


def test_no_field_is_praised_that_is_not_honoured() -> None:
    rows = re.findall(r"^\| (`[^|]*) \|", page("repository.md"), re.M)
    named = {name for row in rows for name in re.findall(r"`([A-Za-z]+)", row)}
    assert named & set(UNSUPPORTED) == set()
    assert {"name", "dependsOn", "targets", "variables", "correctDrift"} <= named


def test_every_variable_of_the_environment_is_documented() -> None:
    found = subprocess.run(
        ["git", "grep", "-hoE", '"FLEET_[A-Z_]+"', "--", "fleet", "agents", "clusters"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    names = {line.strip('"') for line in found.stdout.splitlines()}
    assert names >= {"FLEET_HUB", "FLEET_TOKEN"}
    assert [name for name in sorted(names) if name not in page("quickstart.md")] == []


def test_the_readme_names_commands_that_have_help() -> None:
    named = set(re.findall(r"`fleet ([a-z]+)", (ROOT / "README.md").read_text("utf-8")))
    assert named <= set(main.list_commands(None))  # type: ignore[arg-type]
    assert {"plan", "render", "status", "explain", "query"} <= named


def test_no_command_is_left_out_of_the_search_for_secrets() -> None:
    """What a new command prints is searched as well: say in `every_command` what it is asked."""
    assert {name for name, _ in every_command()} == ASKED.keys() | PROCESSES
