"""Bad input through `fleet plan`, as a person sees it: one clear error each, and the others go on.

All mistakes lie in one repository, each in a bundle of its own: every one of them is named once,
with file and cure, and `other`, which has nothing to do with any of them, is planned.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.fleet_processes import Output, git_repository, run_fleet

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("bad input")]

CLUSTER = """\
apiVersion: fleet.dev/v1
kind: Cluster
metadata: {name: stg-1, labels: {env: staging}}
"""
CONFIG_MAP = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data:
  colour: green
"""
CHART = "apiVersion: v2\nname: web\nversion: 1.0.0\n"
WORKS = {
    "clusters/staging/clusters.yaml": CLUSTER,
    "apps/staging/other/settings.yaml": CONFIG_MAP,
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What is in the repository, and what `fleet plan` says of it."""

    files: Mapping[str, str]
    code: str
    at: str
    said: str


def raw(name: str, fleet: str) -> dict[str, str]:
    """A bundle of one manifest with this fleet.yaml."""
    where = f"apps/staging/{name}"
    return {f"{where}/settings.yaml": CONFIG_MAP, f"{where}/fleet.yaml": fleet}


def chart(name: str, line: str) -> dict[str, str]:
    """A bundle of a chart with one template, of which this is the last line."""
    where = f"apps/staging/{name}"
    return {
        f"{where}/fleet.yaml": "helm: {chart: ./chart}\n",
        f"{where}/chart/Chart.yaml": CHART,
        f"{where}/chart/templates/settings.yaml": f"{CONFIG_MAP}  {line}\n",
    }


ERRORS = {
    "broken YAML": Finding(
        raw("broken", "name: broken\nhelm: [\n"),
        "yaml-invalid",
        "apps/staging/broken/fleet.yaml:3",
        "cannot be read as YAML",
    ),
    "an unknown bundle in dependsOn": Finding(
        raw("lost", "dependsOn:\n  - name: dtabase\n"),
        "unknown-dependency",
        "apps/staging/lost/fleet.yaml:2",
        "'dtabase'",
    ),
    "a cycle": Finding(
        raw("hen", "dependsOn: [{name: egg}]\n") | raw("egg", "dependsOn: [{name: hen}]\n"),
        "dependency-cycle",
        "apps/staging/egg/fleet.yaml:1, apps/staging/hen/fleet.yaml:1",
        "egg → hen → egg",
    ),
    "a Kustomize error": Finding(
        {"apps/staging/built/kustomization.yaml": "resources: [missing.yaml]\n"},
        "kustomize-failed",
        "apps/staging/built",
        "apps/staging/built/missing.yaml",
    ),
    "a Helm template error": Finding(
        chart("demanding", 'x: {{ required "give x" .Values.x }}'),
        "helm-failed",
        "apps/staging/demanding/chart/templates/settings.yaml:6",
        "give x",
    ),
    "a chart that renders differently twice": Finding(
        chart("fickle", "x: {{ randAlphaNum 20 | quote }}"),
        "nondeterministic-template",
        "apps/staging/fickle/chart/templates/settings.yaml",
        "renders differently every time",
    ),
    "two sources of one bundle for a cluster": Finding(
        raw("site", "") | raw("twin", "name: site\n"),
        "two-sources",
        "apps/staging/site, apps/staging/twin",
        "'site' reach cluster stg-1",
    ),
}
WARNINGS = {
    "a cluster in no group": Finding(
        {"clusters/lonely.yaml": CLUSTER.replace("stg-1", "lonely").replace("staging", "nowhere")},
        "cluster-ungrouped",
        "clusters/lonely.yaml:1",
        "cluster lonely is in no cluster group",
    ),
    "a directory that nothing brings anywhere": Finding(
        {"apps/idle/settings.yaml": CONFIG_MAP}, "idle-directory", "apps/idle", "apps/idle"
    ),
}


def plan(root: Path, findings: Mapping[str, Finding]) -> Output:
    """`fleet plan` of a repository that works, with all of these in it."""
    files = dict(WORKS)
    for finding in findings.values():
        files |= finding.files
    where = str(git_repository(root / "repository", files).root)
    return run_fleet("plan", "--repo", where, "-o", "json", env={"HOME": str(root / "home")})


@pytest.fixture(scope="module")
def mistaken(tmp_path_factory: pytest.TempPathFactory) -> Output:
    """What is printed of the repository with all the mistakes."""
    return plan(tmp_path_factory.mktemp("mistaken"), ERRORS)


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> Output:
    """What is printed of the repository that is only odd."""
    return plan(tmp_path_factory.mktemp("odd"), WARNINGS)


def planned(done: Output) -> set[str]:
    """The bundles that the clusters are to run."""
    return {row["bundle"] for row in json.loads(done.out)["bundleDeployments"] if row["digest"]}


def told(done: Output, severity: str, finding: Finding) -> bool:
    """Is the finding printed as what / at / fix, in just these three lines?"""
    lines = done.err.splitlines()
    for what, at, fix in zip(lines, lines[1:], lines[2:], strict=False):
        if what.startswith(f"{severity}: ") and what.endswith(f" [{finding.code}]"):
            said = finding.said in what and at == f"  at:  {finding.at}"
            if said and len(fix.removeprefix("  fix: ")) > 10:
                return True
    return False


@pytest.mark.parametrize("name", ERRORS)
def test_a_mistake_is_an_error_that_names_file_and_cure(name: str, mistaken: Output) -> None:
    assert told(mistaken, "error", ERRORS[name]), mistaken.err


def test_each_mistake_is_told_once_and_the_others_go_on(mistaken: Output) -> None:
    assert mistaken.code == 1
    problems = json.loads(mistaken.out)["problems"]
    assert sorted(p["code"] for p in problems) == sorted(e.code for e in ERRORS.values())
    assert mistaken.err.count("error: ") == len(ERRORS)
    assert "Traceback" not in mistaken.err
    assert planned(mistaken) == {"other"}


@pytest.mark.parametrize("name", WARNINGS)
def test_what_is_only_odd_is_a_warning(name: str, odd: Output) -> None:
    assert told(odd, "warning", WARNINGS[name]), odd.err


def test_warnings_hold_nothing_and_are_no_failure(odd: Output) -> None:
    assert odd.code == 0
    problems = json.loads(odd.out)["problems"]
    assert sorted(p["code"] for p in problems) == sorted(w.code for w in WARNINGS.values())
    assert planned(odd) == {"other"}
