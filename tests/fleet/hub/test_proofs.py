"""What the hub tells `proven` and `dependency` gates, over a real store."""

from __future__ import annotations

from pathlib import Path

from fleet.model import PolicyDocument
from fleet.rollout.evidence import Evidence, Proof
from fleet.store.evidence import read_evidence, read_surroundings
from fleet.store.proofs import SPANS_KEPT, keep_material
from fleet.store.runs import active_runs, read_plan
from tests.fleet.hub.rig import Rig, deployment_of, fleet

NAME = "production/before/0"
KNOWN: dict[str, tuple[list[str], list[str]]] = {}
"""What every content that was pushed holds."""


def rig_with(folder: Path, gate: dict[str, object], *more: PolicyDocument) -> Rig:
    rig = Rig(folder)
    stages = [
        {"name": "staging", "group": "staging"},
        {
            "name": "production",
            "group": "production",
            "dependsOn": [],
            "parallelism": 9,
            "gates": {"before": [gate]},
        },
    ]
    rig.policies = (PolicyDocument("Rollout", "web", {"stages": stages}, "rollout.yaml"), *more)
    return rig


def push(rig: Rig, **bundles: str) -> None:
    """One staging and one production cluster; `trial` is the content of `web` in staging."""
    trial = bundles.pop("trial", "")
    content = fleet(1, 1, **bundles)
    if trial:
        content["staging-1"]["web"] = trial
    rig.push(content, policies=rig.policies)
    rig.look()
    if not rig.agents:
        rig.join(*content)
    knows(rig, *bundles.values(), *([trial] if trial else []))
    rig.release()


def knows(rig: Rig, *contents: str) -> None:
    """Content `v1` runs the image `web:v1` and the chart `web@v1`."""
    material = {
        deployment_of("web", one).artifact: ([f"web:{one}"], [f"web@{one}"]) for one in contents
    }
    with rig.store.write() as c:
        c.execute("DELETE FROM artifact_material")
        keep_material(c, {**material, **KNOWN})
    KNOWN.update(material)


def settle(rig: Rig) -> None:
    """Ten minutes pass in which everybody does their work."""
    for _ in range(60):
        rig.turn(10)
    assert rig.live() == []


def evidence(rig: Rig) -> Evidence:
    with rig.store.read() as c:
        (run,) = active_runs(c)
        plan, shared = read_plan(c, run.uid), read_surroundings(c)
        return read_evidence(c, run, plan, shared, rig.clock.now())


def test_production_waits_until_staging_ran_it_healthy_for_the_time_asked(tmp_path: Path) -> None:
    rig = rig_with(tmp_path, {"proven": {"in": "staging", "min": "5m"}})
    push(rig, web="v1")
    missing = (Proof("chart:web@v1"), Proof("image:web:v1"))
    assert evidence(rig).proofs == {NAME: missing}
    rig.turn()
    assert rig.offered() == set()
    rig.turn()
    healthy = {proof.healthy_since for proof in evidence(rig).proofs[NAME]}
    assert len(healthy) == 1
    assert None not in healthy
    for _ in range(30):
        rig.turn(10)
        if rig.offered():
            break
    assert rig.offered() == {"production-1"}
    (since,) = healthy
    assert since is not None
    assert 300 <= (rig.clock.now() - since).total_seconds() <= 311


def test_what_staging_ran_before_something_newer_came_is_proven_still(tmp_path: Path) -> None:
    rig = rig_with(tmp_path, {"proven": {"in": "staging", "what": ["images"], "min": "5m"}})
    push(rig, web="v0")
    settle(rig)
    push(rig, web="v0", trial="v1")
    settle(rig)
    push(rig, web="v0", trial="v2")
    settle(rig)
    push(rig, web="v1", trial="v2")
    assert rig.offered() == {"production-1"}
    settle(rig)
    push(rig, web="v9", trial="v2")
    assert rig.offered() == set()
    assert evidence(rig).proofs[NAME] == (Proof("image:web:v9"),)


def test_what_nobody_knows_the_images_of_and_what_an_offline_cluster_runs_is_not_proven(
    tmp_path: Path,
) -> None:
    rig = rig_with(tmp_path, {"proven": {"in": "staging", "what": ["images"], "min": "5m"}})
    push(rig, web="v1")
    rig.turn()
    rig.turn()
    (known,) = evidence(rig).proofs[NAME]
    assert known.healthy_since is not None
    del rig.agents["staging-1"]
    rig.turn(40)
    assert evidence(rig).proofs[NAME] == (Proof("image:web:v1"),)
    with rig.store.write() as c:
        c.execute("DELETE FROM artifact_material")
    (unknown,) = evidence(rig).proofs[NAME]
    assert (unknown.material, unknown.healthy_since) == ("what web holds is not known", None)


def test_variables_are_filled_into_the_images(tmp_path: Path) -> None:
    rig = rig_with(tmp_path, {"proven": {"in": "staging", "what": ["images"]}})
    push(rig, web="v1")
    with rig.store.write() as c:
        c.execute("UPDATE artifact_material SET images = '[\"web:${password}\"]'")
    (proof,) = evidence(rig).proofs[NAME]
    assert proof.material == "image:web:" + deployment_of("web", "v1").variables["password"]


def test_only_so_many_spans_are_kept(tmp_path: Path) -> None:
    rig = rig_with(tmp_path, {"proven": "staging"})
    rig.policies = ()
    for number in range(SPANS_KEPT + 3):
        push(rig, web=f"v{number}")
        rig.converge()
    with rig.store.read() as c:
        rows = c.execute("SELECT cluster, count(*) AS n FROM healthy_span GROUP BY cluster")
        assert {row["cluster"]: row["n"] for row in rows} == {
            "production-1": SPANS_KEPT,
            "staging-1": SPANS_KEPT,
        }


def test_a_dependency_holds_where_all_of_the_other_rollout_is_baked(tmp_path: Path) -> None:
    base = {
        "source": {"bundles": {"matchLabels": {"team": "base"}}},
        "stages": [{"name": "all", "select": {"catchAll": True}}],
    }
    other = PolicyDocument("Rollout", "base", base, "base.yaml")
    rig = rig_with(tmp_path, {"dependency": "base"}, other)
    push(rig, web="v1", base="b1")
    for _ in range(12):
        rig.turn()
        with rig.store.read() as c:
            rows = c.execute("SELECT state FROM run WHERE rollout = 'base'").fetchall()
        done = [row["state"] for row in rows] == ["Succeeded"]
        target = rig.agents["production-1"].target()
        names = {d.bundle for offer in target.offers for d in offer.deployments}
        assert done or "web" not in names | {d.bundle for d in target.current}
    for _ in range(40):
        rig.turn(5)
    assert set(rig.states().values()) == {"Succeeded"}
