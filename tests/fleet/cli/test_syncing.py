"""`fleet sync`: what is asked, what is printed, and how it ends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from clusters.objects import read_yaml
from fleet.cli import main
from tests.fleet.cli.hubs import TOKEN, CannedHub, canned

CONFLICT = {
    "object": "ConfigMap shop/settings", "deed": "Failed", "code": "conflict",
    "message": "data.mode owned by other-tool, wanted by bundle web (fix: …)", "health": "Unknown",
    "changes": [],
}  # fmt: skip
CHANGED = {
    "object": "Deployment.apps shop/web\x1b[2J", "deed": "Applied", "code": "", "message": "",
    "health": "Progressing",
    "changes": [
        {"path": "spec.replicas", "live": "5", "wanted": "2", "manager": "kubectl-edit"},
        {"path": "data.old", "live": "x", "wanted": None, "manager": ""},
    ],
}  # fmt: skip
SAME = {**CHANGED, "object": "Service shop/web", "deed": "Unchanged", "changes": []}


def item(state: str = "Done", sync: str = "Synced", *objects: Any, **more: Any) -> dict[str, Any]:
    return {
        "cluster": "stg-1", "bundle": "web", "state": state, "sync": sync, "health": "Healthy",
        "code": "", "message": "", "counts": {"Unchanged": 1}, "objects": list(objects), **more,
    }  # fmt: skip


def document(*items: Any, done: bool = True, **more: Any) -> dict[str, Any]:
    return {"sync": "1-7", "done": done, "dryRun": False, "items": list(items), **more}


def run(hub: CannedHub, *words: str) -> Result:
    environment = {"FLEET_HUB": hub.url, "FLEET_TOKEN": TOKEN}
    return CliRunner().invoke(main, ["sync", *words], env=environment, prog_name="fleet")


def synced(*documents: Any, words: tuple[str, ...] = ()) -> tuple[CannedHub, Result]:
    """Ask a hub that answers one document after another."""
    asked = [(201, documents[0])]
    with canned(syncs=asked, **{"syncs__1-7": [(200, d) for d in documents]}) as hub:
        return hub, run(hub, *words)


def test_what_is_asked_for_is_what_was_said() -> None:
    words = ("web", "-l", "env=staging", "--force", "--dry-run", "-m", "stuck", "--as", "ana")
    hub, done = synced(document(item()), words=(*words, "--timeout", "60"))
    assert done.exit_code == 0, done.output
    assert hub.asked[0] == (
        "POST",
        "/v1/syncs",
        {
            "actor": "ana", "reason": "stuck", "bundle": "web", "selector": "env=staging",
            "force": True, "dryRun": True, "limitSeconds": 60.0,
        },
    )  # fmt: skip


def test_a_sync_is_followed_until_the_hub_says_that_it_is_over() -> None:
    waiting = document(item("Asked", "Waiting"), done=False)
    hub, done = synced(waiting, waiting, document(item("Done", "Synced", SAME)))
    assert done.exit_code == 0, done.output
    paths = [path for _, path, _ in hub.asked[1:]]
    assert paths[-1] == "/v1/syncs/1-7"
    assert set(paths[:-1]) == {"/v1/syncs/1-7?brief=1"}
    assert done.stdout.splitlines()[-1] == "sync 1-7: 1 of 1 in sync"


def test_a_failure_names_object_code_field_manager_and_cure() -> None:
    _, done = synced(document(item("Done", "Failed", CONFLICT, SAME, code="conflict")))
    assert done.exit_code == 1
    lines = done.stdout.splitlines()
    (line,) = [line for line in lines if "settings" in line]
    assert line.split()[0] == "Failed"
    for word in ("[conflict]", "data.mode", "other-tool", "fix:"):
        assert word in line
    assert not any("Service shop/web" in line for line in lines), "what is unchanged is counted"
    assert lines[-1] == "sync 1-7: 0 of 1 in sync"


def test_fields_are_shown_as_they_are_and_as_they_would_be() -> None:
    _, done = synced(
        document(item("Done", "OutOfSync", CHANGED), dryRun=True), words=("--dry-run",)
    )
    assert done.exit_code == 0, "differences are what a dry run is for"
    assert "spec.replicas: 5 → 2 (set by kubectl-edit)" in done.stdout
    assert "data.old: x → nothing" in done.stdout
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("state", "words"),
    [("Offline", "offline, not asked to the end: stg-1"), ("TimedOut", "not done in time: stg-1")],
)
def test_who_is_away_or_late_is_named_and_ends_with_1(state: str, words: str) -> None:
    _, done = synced(document(item(state, "Synced")))
    assert done.exit_code == 1
    assert words in done.stdout.splitlines()[-1]
    assert state in done.stdout.splitlines()[1]


def test_drift_that_stays_is_no_success_outside_of_a_dry_run() -> None:
    _, done = synced(document(item("Done", "OutOfSync")))
    assert done.exit_code == 1


def test_json_and_yaml_are_what_the_hub_answers() -> None:
    said = document(item("Done", "Synced", CHANGED))
    assert json.loads(synced(said, words=("-o", "json"))[1].stdout) == said
    assert read_yaml(synced(said, words=("-o", "yaml"))[1].stdout) == said
