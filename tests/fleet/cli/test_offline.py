"""`fleet plan` and `fleet render` on a real repository: no hub, no cluster, no network."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from clusters.objects import read_yaml, read_yaml_documents
from fleet.cli import main

CLUSTERS = """\
apiVersion: fleet.dev/v1
kind: Cluster
metadata: {name: stg-1, labels: {env: staging}}
---
apiVersion: fleet.dev/v1
kind: Cluster
metadata: {name: prd-1, labels: {env: production}}
"""
CONFIG = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: web, namespace: web}
data: {greeting: hello}
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two clusters and one app in both groups, committed; renders are cached in the test's home."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    root = tmp_path / "fleet"
    write(root, {
        "clusters/clusters.yaml": CLUSTERS,
        "apps/staging/web/config.yaml": CONFIG,
        "apps/production/web/config.yaml": CONFIG.replace("hello", "good day"),
    })  # fmt: skip
    subprocess.run(["git", "init", "-q", "-b", "main", str(root)], check=True)
    commit(root)
    return root


def write(root: Path, files: dict[str, str]) -> None:
    """Files of the repository."""
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")


def commit(root: Path) -> None:
    """Everything."""
    for words in (["add", "--all"], ["commit", "-q", "-m", "change"]):
        subprocess.run(["git", "-C", str(root), *words], check=True)


def run(*words: str) -> Result:
    """The command with these words."""
    return CliRunner().invoke(main, list(words), prog_name="fleet")


def test_a_plan_for_people_names_cluster_bundle_and_why(repository: Path) -> None:
    done = run("plan", "--repo", str(repository))
    assert done.exit_code == 0, done.output
    head, *rows = done.stdout.splitlines()
    assert head.split() == ["CLUSTER", "BUNDLE", "DIGEST", "OBJECTS", "SOURCE", "WHY"]
    assert [row.split()[:2] for row in rows] == [["prd-1", "web"], ["stg-1", "web"]]
    assert "apps/production/web" in rows[0]


def test_a_plan_for_programs_has_commit_deployments_and_problems(repository: Path) -> None:
    done = run("plan", "--repo", str(repository), "-o", "json")
    document = json.loads(done.stdout)
    assert list(document) == ["commit", "bundleDeployments", "problems"]
    assert len(document["commit"]) == 40
    assert document["problems"] == []
    production, staging = document["bundleDeployments"]
    assert set(production) == {
        "cluster", "bundle", "digest", "artifact", "variables", "options", "objects", "source",
        "customization", "reason", "images", "charts",
    }  # fmt: skip
    assert (production["cluster"], production["objects"]) == ("prd-1", 1)
    assert production["digest"] != staging["digest"]
    again = run("plan", "--repo", str(repository), "-o", "yaml")
    assert read_yaml(again.stdout) == document


def test_a_plan_names_variables_and_a_render_fills_them_in(repository: Path) -> None:
    said = "variables: {password: c4n4ry}\ndefaultNamespace: web\n"
    text = CONFIG.replace("hello", "'${password}'")
    where = "apps/staging/web"
    write(repository, {f"{where}/fleet.yaml": said, f"{where}/config.yaml": text})
    commit(repository)
    done = run("plan", "--repo", str(repository), "--cluster", "stg-1", "-o", "json")
    (row,) = json.loads(done.stdout)["bundleDeployments"]
    assert row["variables"] == ["password"]
    assert "c4n4ry" not in done.output
    assert "c4n4ry" in run("render", "stg-1", "--repo", str(repository)).stdout


def test_a_plan_of_some_clusters_leaves_the_others_out(repository: Path) -> None:
    done = run("plan", "--repo", str(repository), "--cluster", "stg-1", "-o", "json")
    assert [row["cluster"] for row in json.loads(done.stdout)["bundleDeployments"]] == ["stg-1"]


def test_a_warning_is_shown_and_does_not_fail_and_an_error_does(repository: Path) -> None:
    write(repository, {"apps/staging/web/fleet.yaml": "colour: red\n"})
    commit(repository)
    warned = run("plan", "--repo", str(repository))
    assert warned.exit_code == 0, warned.output
    assert "[unknown-field]" in warned.stderr
    assert "  at:  apps/staging/web/fleet.yaml:1" in warned.stderr
    write(repository, {"apps/staging/web/config.yaml": "kind: [\n"})
    commit(repository)
    failed = run("plan", "--repo", str(repository))
    assert failed.exit_code == 1
    assert "error: " in failed.stderr
    assert "stg-1" in failed.stdout, "what is held is in the plan all the same"


def test_a_render_is_a_stream_of_what_the_cluster_gets(repository: Path) -> None:
    done = run("render", "prd-1", "--repo", str(repository))
    assert done.exit_code == 0, done.output
    (config,) = read_yaml_documents(done.stdout)
    assert config["data"] == {"greeting": "good day"}


def test_a_commit_that_is_none_is_an_error_of_one_form(repository: Path) -> None:
    done = run("plan", "--repo", str(repository), "--rev", "nowhere")
    assert done.exit_code == 1
    assert done.stdout == ""
    what, at, fix = done.stderr.splitlines()
    assert what == "fleet: 'nowhere' names no commit"
    assert at.startswith("  at:  ")
    assert fix.startswith("  fix: ")


def test_a_cluster_that_is_none_is_told_with_those_that_are(repository: Path) -> None:
    done = run("render", "prd-9", "--repo", str(repository))
    assert done.exit_code == 1
    assert "there is no cluster 'prd-9'" in done.stderr
    assert "prd-1, stg-1" in done.stderr


def test_the_runs_that_a_commit_would_make_are_shown_with_stages_and_prices(
    repository: Path,
) -> None:
    write(repository, {"apps/production/web/config.yaml": CONFIG.replace("hello", "moin")})
    commit(repository)
    done = run("rollout", "plan", "--repo", str(repository))
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == "web: rollout default, 1 clusters"
    assert [line.split()[0] for line in lines[1:5]] == ["STAGE", "staging", "production", "rest"]
    assert "one more failure than 0 of 1 stops it" in lines[3]
    assert lines[3].endswith("prd-1")
    assert "skips-staging" in done.stderr


def test_the_runs_of_any_commit_are_a_document_with_the_whole_spec(repository: Path) -> None:
    write(repository, {
        "apps/staging/web/config.yaml": CONFIG.replace("hello", "moin"),
        "clusters/rollout.yaml": "apiVersion: fleet.dev/v1\nkind: Rollout\nmetadata: {name: web}\n"
        "spec: {strategy: {preset: fast}}\n",
    })  # fmt: skip
    commit(repository)
    write(repository, {"README.md": "nothing that any cluster runs\n"})
    commit(repository)
    nothing = json.loads(run("rollout", "plan", "--repo", str(repository), "-o", "json").stdout)
    assert nothing["runs"] == []
    words = ("rollout", "plan", "--repo", str(repository), "HEAD~1", "-o")
    document = json.loads(run(*words, "json").stdout)
    assert [r["bundles"] for r in document["runs"]] == [["web"]]
    assert [s["clusters"] for s in document["runs"][0]["stages"]] == [["stg-1"], [], []]
    (rollout,) = document["rollouts"]
    assert rollout["rollout"] == "web"
    assert rollout["spec"]["stages"][0]["parallelism"]["ramp"] == ["50%"]
    assert read_yaml(run(*words, "yaml").stdout) == document
    wide = run(*words, "wide").stdout
    assert read_yaml(wide.partition("# the whole spec of rollout web\n")[2]) == rollout["spec"]


def test_the_first_commit_makes_runs_for_everything(repository: Path) -> None:
    document = json.loads(run("rollout", "plan", "--repo", str(repository), "-o", "json").stdout)
    assert [r["clusters"] for r in document["runs"]] == [2]


def test_the_schema_of_rollouts_is_printed(repository: Path) -> None:
    schema = json.loads(run("rollout", "schema").stdout)
    assert {"Rollout", "RolloutBudget"} <= set(schema["$defs"])
