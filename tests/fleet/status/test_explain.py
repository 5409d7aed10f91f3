"""Explanations in sentences: wanted, allowed, there."""

from __future__ import annotations

from typing import Any

from fleet.status import connection, deployment_document, explain

ROW: dict[str, Any] = {
    "cluster": "prd-1",
    "bundle": "web",
    "online": 1,
    "held": 0,
    "wanted": "sha256:two",
    "wanted_commit": "b" * 40,
    "reason": "listed in clusters/prd",
    "source_path": "apps/prd/web",
    "customization": "",
    "images": [],
    "charts": [],
    "current": "sha256:one",
    "current_commit": "a" * 40,
    "current_run": "web-a-1",
    "generation": 3,
    "granted_at": "2030-01-01",
    "reported": "sha256:one",
    "reported_generation": 3,
    "reported_at": "2030-01-02",
    "since": "2030-01-02",
    "sync": "Synced",
    "health": "Healthy",
    "code": "",
    "message": "",
    "objects_total": 2,
    "objects_ready": 2,
    "drifted": 0,
    "contested": 0,
    "paused": 0,
    "healed": 0,
    "stray": "",
    "stray_generation": None,
}
ONLINE = {"state": "Online"}


def explained(
    row: dict[str, Any] | None = None,
    cluster: dict[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    row = {**ROW, **(row or {})}
    arguments: dict[str, Any] = {"objects": [], "runs": [], "held": [], "problems": [], **more}
    return explain(deployment_document(row), cluster or ONLINE, stray=row, **arguments)


def test_a_change_that_waits_names_run_stage_and_reason() -> None:
    run = {
        "run": "web-b-2",
        "run_state": "Running",
        "run_reason": "",
        "stage": "production",
        "state": "Queued",
        "reason": "waits for approval",
        "code": "GatedBefore",
    }
    said = explained(runs=[run])
    assert said["sync"] == "Waiting"
    assert "run web-b-2 (Running), stage production: Queued: waits for approval" in said["because"]


def test_a_change_that_is_held_names_why() -> None:
    held = [{"code": "OutsideTargets", "reason": "the cluster is outside spec.targets"}]
    assert "the cluster is outside spec.targets" in explained(held=held)["because"]


def test_a_change_that_nobody_carries_yet_says_so() -> None:
    assert "no run carries it yet" in explained()["because"]


def test_what_runs_as_wanted_names_the_run_that_let_it_start() -> None:
    said = explained({"wanted": "sha256:one"})
    assert said["sync"] == "Synced"
    assert said["because"][-1] == "the hub let it start in run web-a-1"


def test_a_customization_is_named() -> None:
    said = explained({"customization": "eu"})
    assert "customization eu applies" in said["because"]


def test_what_did_not_render_keeps_what_it_has() -> None:
    said = explained({"held": 1, "wanted": "sha256:one"})
    assert "did not render" in said["because"][0]


def test_a_removal_is_called_so() -> None:
    assert explained({"wanted": "absent"})["because"][0].startswith("Git wants it gone")


def test_an_offline_cluster_speaks_of_the_past() -> None:
    said = explained(cluster={"state": "Offline"})
    assert "the cluster is Offline; its states are as of 2030-01-02" in said["because"]


def test_drift_names_object_field_and_manager() -> None:
    drift = {"path": ".spec.replicas", "wanted": "2", "live": "5", "manager": "kubectl"}
    obj = {
        "object": "Deployment.apps web/web",
        "sync": "OutOfSync",
        "health": "Healthy",
        "code": "drift",
        "message": "",
        "drift": [drift],
    }
    said = explained({"drifted": 1}, objects=[obj])
    assert said["drift"] == [{"object": "Deployment.apps web/web", **drift}]
    assert [trouble["code"] for trouble in said["troubles"]] == ["drift"]
    assert "objects that differ from what was applied and are left so: 1" in said["because"]


def test_a_report_that_does_not_count_is_shown_as_such() -> None:
    said = explained({"stray": "sha256:x", "stray_generation": 9})
    assert any("generation 9" in line and "not counted" in line for line in said["because"])


def test_connections_have_one_word_each() -> None:
    def row(
        declared: int, seen: str | None, online: int | None, leaving: str = "", left: str = ""
    ) -> dict[str, Any]:
        return {
            "declared": declared,
            "last_seen": seen,
            "online": online,
            "leaving": leaving,
            "left_at": left or None,
        }

    assert connection(row(1, "t", 1)) == "Online"
    assert connection(row(1, "t", 0)) == "Offline"
    assert connection(row(1, None, None)) == "Pending"
    assert connection(row(0, "t", 1)) == "Unclaimed"
    assert connection(row(0, None, None)) == "Undeclared"
    assert connection(row(0, "t", 1, "orphan")) == "Leaving"
    assert connection(row(0, "t", 0, "wait", "t")) == "Left"
