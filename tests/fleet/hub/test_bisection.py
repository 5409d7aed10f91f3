"""The report on what failed, from a real store to people."""

from __future__ import annotations

from pathlib import Path

from clusters.clock import FakeClock
from fleet.api.prospects import Prospects
from fleet.cli.following_text import explanations_text, progress_text
from fleet.model import PolicyDocument
from fleet.status import run_document
from fleet.store.questions import run_rows
from tests.fleet.hub.rig import Rig, deployment_of, fleet

V2 = deployment_of("web", "v2").digest


def broken(folder: Path) -> tuple[Rig, str]:
    """Side by side, staging gets well and production does not."""
    stages = [
        {"name": group, "group": group, "dependsOn": [], "parallelism": 9, "failureBudget": budget}
        for group, budget in (("staging", 0), ("production", 4))
    ]
    failure = {"scope": "Cluster", "bisect": {"labels": ["env"], "revisions": True}}
    document = PolicyDocument(
        "Rollout", "web", {"stages": stages, "onFailure": failure}, "clusters/rollout.yaml"
    )
    rig = Rig(folder)
    content = fleet(6, 5, web="v1")
    rig.push(content, policies=(document,))
    rig.look()
    rig.join(*content)
    rig.converge()
    for name, agent in rig.agents.items():
        agent.refuses = {V2} if name.startswith("production") else set()
    rig.push(fleet(6, 5, web="v2"), policies=(document,))
    rig.look()
    rig.release()
    (uid,) = rig.live()
    for _ in range(3):
        rig.turn(5)
    return rig, uid


def test_what_failed_in_common_stands_in_status_explain_and_history(tmp_path: Path) -> None:
    rig, uid = broken(tmp_path)
    rig.reopen()
    said = "failures go with env=production: 5 of 5 that failed, 0 of 6 Healthy (p = 0.0043)"
    ask = Prospects(rig.store, FakeClock())
    progress, why = ask.progress(uid), ask.explain("production-1", uid)
    text = progress_text(progress)
    assert f"Why?  {said}" in text
    assert f"web: {rig.repository.commits[-1][:7]} Commit 2" in text
    assert f"in this run {said}" in explanations_text(why)
    kinds = {event["kind"]: event["message"] for event in ask.history(uid)["items"]}
    assert kinds["bisected"] == said
    with rig.store.read() as c:
        (row,) = run_rows(c, uid)
    report = run_document(row, row["stages"], row["clusters"])["bisection"]
    assert report["traits"][0] == {
        "name": "env", "value": "production", "failed": 5, "healthy": 0, "found": True,
        "p": report["traits"][0]["p"],
    }  # fmt: skip


def test_only_commits_after_the_last_success_are_suspects(tmp_path: Path) -> None:
    rig, uid = broken(tmp_path)
    with rig.store.read() as c:
        (row,) = run_rows(c, uid)
    assert row["bisection"] is not None
    assert [one.split()[-1] for one in row["bisection"].suspects] == ["2"], "commit 1 succeeded"
