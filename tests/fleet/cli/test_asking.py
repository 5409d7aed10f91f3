"""Questions and decisions: what is asked of the hub, and what is printed of its answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner, Result

from clusters.objects import read_yaml
from fleet.cli import asking, main
from tests.fleet.cli.hubs import TOKEN, CannedHub, canned

GROUP = {
    "group": "staging", "members": 2, "online": 1, "synced": 3, "bundleDeployments": 4,
    "health": "Degraded", "declaredAt": "clusters/staging:1",
}  # fmt: skip
RUN = {
    "run": "web-1", "state": "Paused", "reason": "stage staging failed", "bundles": ["web"],
    "commit": "ab" * 20, "title": "web 2 \x1b[2J", "stages": [], "decisions": [],
    "clusterStates": [
        {"cluster": "stg-1", "stage": "staging", "state": "Failed", "reason": "CrashLoopBackOff"},
        {"cluster": "stg-2", "stage": "staging", "state": "Healthy", "reason": ""},
    ],
    "events": [
        {"at": "2026-11-24T01:51:27.5+00:00", "kind": "cluster-failed", "cluster": "stg-1",
         "message": "CrashLoopBackOff"},
    ],
}  # fmt: skip


def run(hub: CannedHub, *words: str) -> Result:
    """A command that asks this hub."""
    environment = {"FLEET_HUB": hub.url, "FLEET_TOKEN": TOKEN}
    return CliRunner().invoke(main, list(words), env=environment, prog_name="fleet")


def items(*rows: Any) -> list[tuple[int, Any]]:
    """One answer with these rows."""
    return [(200, {"items": list(rows)})]


def test_a_table_shows_counts_and_leaves_wide_columns_out() -> None:
    with canned(groups=items(GROUP)) as hub:
        done = run(hub, "groups")
    assert done.exit_code == 0, done.output
    head, row = done.stdout.splitlines()
    assert head.split() == ["GROUP", "CLUSTERS", "ONLINE", "SYNCED", "HEALTH"]
    assert row.split() == ["staging", "2", "1", "3/4", "Degraded"]
    assert hub.tokens == {f"Bearer {TOKEN}"}
    assert TOKEN not in done.output


def test_json_and_yaml_are_what_the_hub_answers() -> None:
    with canned(groups=items(GROUP)) as hub:
        assert json.loads(run(hub, "groups", "-o", "json").stdout) == [GROUP]
        assert read_yaml(run(hub, "groups", "-o", "yaml").stdout) == [GROUP]


def test_name_and_selector_are_asked_of_the_hub() -> None:
    with canned(groups=items(GROUP)) as hub:
        run(hub, "groups", "staging", "-l", "env in (a,b)")
    ((method, path, _),) = hub.asked
    assert method == "GET"
    assert path == "/v1/groups?selector=env+in+%28a%2Cb%29&name=staging"


def test_one_run_is_told_with_its_history_and_without_control_characters() -> None:
    with canned(runs__web=[(200, RUN)]) as hub:
        done = run(hub, "runs", "web")
    assert done.stdout.startswith("Run      web-1  Paused: stage staging failed\n")
    assert "\x1b" not in done.stdout
    assert "stg-2" not in done.stdout, "a cluster that is Healthy is no news"
    last = done.stdout.splitlines()[-1].split()
    assert last == ["2026-11-24", "01:51:27", "cluster-failed", "-", "stg-1", "CrashLoopBackOff"]


def test_a_refusal_of_the_hub_is_printed_in_its_own_words_without_control_characters() -> None:
    refusal = {"code": "not-found", "what": "there is no group 'x\x1b[2J'", "fix": "list them"}
    with canned(groups=[(404, refusal)]) as hub:
        done = run(hub, "groups", "x")
    assert done.exit_code == 1
    assert done.stdout == ""
    what, at, fix = done.stderr.splitlines()
    assert what == "fleet: there is no group 'x�[2J'"
    assert at == f"  at:  {hub.url}/v1/groups"
    assert fix == "  fix: list them"


def test_a_hub_that_is_not_there_is_an_error_with_a_cure() -> None:
    with canned() as hub:
        pass
    done = run(hub, "status")
    assert done.exit_code == 1
    assert done.stderr.startswith("fleet: the hub does not answer")
    assert "  fix: start it with `fleet hub`" in done.stderr


def test_a_watch_prints_again_only_what_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "WATCH_SECONDS", 0)
    better = {**GROUP, "synced": 4}
    gone = (404, {"code": "not-found", "what": "gone"})
    answers = [*items(GROUP), *items(GROUP), *items(better), gone]
    with canned(groups=answers) as hub:
        done = run(hub, "groups", "--watch")
    assert done.exit_code == 1
    first, again = done.stdout.split("---\n")
    assert "3/4" in first
    assert "4/4" in again
    assert len(hub.asked) == 4


def test_a_query_prints_its_columns_and_says_when_rows_are_left_out() -> None:
    answer = {"columns": ["cluster", "n"], "rows": [["stg-1", 2]], "truncated": True}
    with canned(query=[(200, answer)]) as hub:
        done = run(hub, "query", "SELECT 1")
    assert done.stdout.split() == ["CLUSTER", "N", "stg-1", "2"]
    assert done.stderr == "(more rows were left out)\n"
    assert hub.asked[0][2] == {"sql": "SELECT 1"}


VERBS = ("approve", "reject", "pause", "resume", "retry", "skip", "forgive", "abort", "rollback")


@pytest.mark.parametrize("verb", VERBS)
def test_a_decision_says_who_and_why(verb: str) -> None:
    with canned(**{f"runs__web-1__{verb}": [(200, {})]}) as hub:
        done = run(hub, "rollout", verb, "web-1", "-m", "looks good", "--as", "ana")
    assert done.stdout == f"{verb}: recorded for run web-1\n"
    assert hub.asked == [
        ("POST", f"/v1/runs/web-1/{verb}", {"reason": "looks good", "actor": "ana"})
    ]


def test_a_decision_is_about_one_run_or_about_all_of_a_commit() -> None:
    with canned(commits__1a2b3c__pause=[(200, {"message": "two runs"})]) as hub:
        done = run(hub, "rollout", "pause", "--commit", "1a2b3c", "--as", "ana")
        neither = run(hub, "rollout", "pause", "--as", "ana")
    assert done.stdout == "two runs\n"
    assert neither.exit_code == 2
    assert [path for _, path, _ in hub.asked] == ["/v1/commits/1a2b3c/pause"]


def test_resume_forgives_first_if_it_is_asked_to() -> None:
    with canned(runs__w__forgive=[(200, {})], runs__w__resume=[(200, {})]) as hub:
        run(hub, "rollout", "resume", "w", "--as", "ana", "--forgive", "known")
    assert [(path, body["reason"]) for _, path, body in hub.asked] == [
        ("/v1/runs/w/forgive", "known"),
        ("/v1/runs/w/resume", "known"),
    ]


def test_a_gate_is_forced_and_a_bundle_released_by_name() -> None:
    with canned(
        runs__w__override=[(200, {})], bundles__web__unveto=[(200, {"message": "m"})]
    ) as hub:
        run(hub, "rollout", "override", "w", "--as", "a", "--gate", "eu/before/0", "-m", "r")
        run(hub, "rollout", "unveto", "web", "--as", "a", "-m", "r")
    assert hub.asked[0][2] == {"reason": "r", "actor": "a", "gate": "eu/before/0"}
    assert hub.asked[1] == ("POST", "/v1/bundles/web/unveto", {"reason": "r", "actor": "a"})


def test_the_hotfix_lane_is_opened_for_a_run_and_content_vetoed_by_name() -> None:
    with canned(
        runs__w__hotfix=[(200, {})], bundles__web__veto=[(200, {"message": "held"})]
    ) as hub:
        run(hub, "rollout", "approve", "--hotfix", "w", "--as", "a", "-m", "CVE")
        some = ("--digest", "sha256:0123456789", "--run", "w")
        done = run(hub, "rollout", "veto", "web", *some, "--as", "a", "-m", "CVE")
    assert hub.asked[0] == ("POST", "/v1/runs/w/hotfix", {"reason": "CVE", "actor": "a"})
    said = {"reason": "CVE", "actor": "a", "run": "w", "digests": ["sha256:0123456789"]}
    assert hub.asked[1] == ("POST", "/v1/bundles/web/veto", said)
    assert done.stdout == "held\n"


def test_a_retry_names_clusters_and_an_approval_its_stage() -> None:
    with canned(runs__w__retry=[(200, {})], runs__w__approve=[(200, {})]) as hub:
        run(hub, "rollout", "retry", "w", "--as", "a", "--cluster", "c1", "--cluster", "c2")
        run(hub, "rollout", "approve", "w", "--as", "a", "--stage", "production")
    assert [body for *_, body in hub.asked] == [
        {"reason": "", "actor": "a", "clusters": ["c1", "c2"]},
        {"reason": "", "actor": "a", "stage": "production"},
    ]


def test_a_new_token_is_printed_and_nothing_else() -> None:
    with canned(**{"clusters__stg-1__token": [(200, {"token": "secret-of-stg-1"})]}) as hub:
        assert run(hub, "cluster", "token", "stg-1").output == "secret-of-stg-1\n"
