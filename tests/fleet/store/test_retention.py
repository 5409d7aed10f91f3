"""What something still stands on, each kind of need by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.store import Connection, open_store
from fleet.store.retention import forget_run, needed_runs, past_runs

DEPLOYED = "INSERT INTO bundle_deployment (cluster, bundle, {}) VALUES ('c', 'web', '{}')"
VETO = "INSERT INTO veto (bundle, digest, run, at, lifted_at) VALUES ('web', 'd', 'r3', '', {})"


def add_run(c: Connection, number: int, state: str = "Succeeded", lane: str = "Staged") -> None:
    """Run `r<number>` of the bundle `web`; it has ended unless it is Running."""
    ended = None if state == "Running" else "2030"
    c.execute(
        "INSERT INTO run (uid, number, rollout, lane, commit_id, created_at, ended_at, plan,"
        " plan_hash, state, intent, marks) VALUES (?, ?, 'all', ?, '', '', ?, ?, '', ?, '', '')",
        (f"r{number}", number, lane, ended, '{"bundles": ["web"]}', state),
    )
    c.execute("INSERT INTO run_bundle (bundle, run) VALUES ('web', ?)", (f"r{number}",))


@pytest.mark.parametrize(
    ("states", "sql", "needed"),
    [
        ({5: "Succeeded"}, "", {"r5"}),
        ({5: "Succeeded", 6: "Aborted", 7: "RolledBack"}, "", {"r5", "r6", "r7"}),
        ({2: "Running", 5: "Succeeded"}, "", {"r2", "r5"}),
        ({5: "Succeeded"}, DEPLOYED.format("current_run", "r3"), {"r3", "r5"}),
        ({5: "Succeeded"}, DEPLOYED.format("baked_run", "r3"), {"r3", "r5"}),
        ({5: "Succeeded"}, VETO.format("NULL"), {"r3", "r5"}),
        ({5: "Succeeded"}, VETO.format("'2030'"), {"r5"}),
    ],
)
def test_a_run_is_needed_for_each_of_these_by_itself(
    tmp_path: Path, states: dict[int, str], sql: str, needed: set[str]
) -> None:
    store = open_store(tmp_path)
    with store.write() as c:
        for number in range(1, max(states) + 1):
            add_run(c, number, states.get(number, "Succeeded"))
        if sql:
            c.execute(sql)
        assert needed_runs(c) - {""} == needed
    store.close()


def test_the_newest_run_stays_for_its_number_whatever_it_was(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with store.write() as c:
        add_run(c, 1)
        add_run(c, 2)
        add_run(c, 3, lane="CatchUp")
        c.execute("DELETE FROM run_bundle WHERE run = 'r3'")
        assert needed_runs(c) == {"r2", "r3"}
    store.close()


def test_a_live_run_is_not_deleted_whoever_says_so(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    with store.write() as c:
        add_run(c, 1, "Running")
        add_run(c, 2)
        forget_run(c, "r1")
        forget_run(c, "r2")
        assert [run.uid for run in past_runs(c)] == ["r1"]
    store.close()
