"""`staleAfter` through a real store: who is silent for a moment is not offline yet."""

from __future__ import annotations

from pathlib import Path

from fleet.model import PolicyDocument
from tests.fleet.hub.rig import Rig, deployment_of, fleet


def test_a_short_silence_is_not_offline_where_the_policy_says_so(tmp_path: Path) -> None:
    stages = [{"name": "all", "select": {"catchAll": True}}]
    spec = {"stages": stages, "connectivity": {"staleAfter": "2m", "offline": "Wait"}}
    policies = (PolicyDocument("Rollout", "default", spec, "clusters/rollout.yaml"),)
    rig = Rig(tmp_path)
    rig.push(fleet(2, 0, web="v1"), policies=policies)
    rig.look()
    rig.join("staging-1", "staging-2")
    rig.converge()
    silent = rig.agents.pop("staging-1")
    for _ in range(4):
        rig.turn(seconds=10)
    rig.push(fleet(2, 0, web="v2"), policies=policies)
    rig.look()
    rig.release()
    assert silent.target().offers, "silent for 50 s, which is no offline cluster yet"
    for _ in range(9):
        rig.turn(seconds=10)
    with rig.store.read() as c:
        rows = {r["cluster"]: r["state"] for r in c.execute("SELECT * FROM run_cluster")}
    assert rows["staging-1"] in ("Assigned", "Offline")
    rig.agents["staging-1"] = silent
    rig.converge()
    assert set(rig.runs_what("web").values()) == {deployment_of("web", "v2").digest}
