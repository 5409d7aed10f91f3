"""Newer runs and live ones through the real store, with a hub that is killed in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.model import PolicyDocument
from tests.fleet.hub.rig import Rig, deployment_of, fleet

V3 = deployment_of("web", "v3").digest


def policy(name: str) -> tuple[PolicyDocument, ...]:
    stages = [{"name": group, "group": group} for group in ("staging", "production")]
    spec = {"stages": stages, "supersede": {"policy": name}}
    return (PolicyDocument("Rollout", "default", spec, "clusters/rollout.yaml"),)


@pytest.mark.parametrize(
    ("name", "state", "touched"),
    [
        ("Queue", "Succeeded", 5),
        ("CoalesceLatest", "Succeeded", 5),
        ("FinishStage", "Superseded", 2),
        ("Immediate", "Superseded", 1),
    ],
)
def test_a_newer_run_does_to_the_live_one_what_the_policy_says(
    tmp_path: Path, name: str, state: str, touched: int
) -> None:
    rig = Rig(tmp_path)
    rig.push(fleet(2, 3, web="v1"), policies=policy(name))
    rig.look()
    rig.join(*fleet(2, 3))
    rig.converge()
    rig.push(fleet(2, 3, web="v2"), policies=policy(name))
    rig.look()
    rig.release()
    rig.turn()
    (first,) = rig.live()
    rig.push(fleet(2, 3, web="v3"), policies=policy(name))
    rig.look()
    rig.release()
    rig.reopen()
    rig.converge()
    assert rig.states()[first] == state
    assert rig.runs_what("web") == dict.fromkeys(fleet(2, 3), V3)
    with rig.store.read() as c:
        asked = "SELECT count(DISTINCT cluster) FROM assignment WHERE run = ? AND started_at <> ''"
        assert tuple(c.execute(asked, (first,)).fetchone()) == (touched,)


def test_with_queue_every_run_brings_the_content_of_its_own_commit_in_its_order(
    tmp_path: Path,
) -> None:
    rig = Rig(tmp_path)
    rig.push(fleet(1, 2, web="v1"), policies=policy("Queue"))
    rig.look()
    rig.join(*fleet(1, 2))
    rig.converge()
    for number in (2, 3, 4):
        rig.push(fleet(1, 2, web=f"v{number}"), policies=policy("Queue"))
        rig.look()
        rig.release()
    runs = rig.live()
    rig.converge()
    assert [rig.states()[run] for run in runs] == ["Succeeded"] * 3
    with rig.store.read() as c:
        asked = (
            "SELECT DISTINCT ab.digest FROM assignment a JOIN assignment_bundle ab"
            " USING (cluster, generation) WHERE a.run = ?"
        )
        brought = [[row["digest"] for row in c.execute(asked, (run,))] for run in runs]
    assert brought == [[deployment_of("web", f"v{n}").digest] for n in (2, 3, 4)]
