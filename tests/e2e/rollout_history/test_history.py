"""A part of the shop's history through `safe`, judged by what its clusters ran in truth."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from agents.protocol import ABSENT
from fleet.render import Renderer
from fleet.rollout.run_plan import RunPlan
from tests.e2e.rollout_history.history import JOIN_MINUTES, REMOVALS_MINUTES, History, history
from tests.e2e.rollout_history.shop_commits import PUSHES, WEDNESDAY, Push, chosen
from tests.e2e.rollout_history.tables import plans_of, table
from tests.e2e.rollout_history.timed_agent import Ran
from tests.e2e.shop import needs_shop

pytestmark = [needs_shop, pytest.mark.timeout(600)]

TOLD = (
    *("readme", "bad", "ingress", "un-bad", "prod-bad", "un-prod-bad"),
    *("cluster", "exporter", "moved", "no-webapp"),
    *("under-way", "freeze", "in-freeze", "un-under-way", "thaw"),
)
END = WEDNESDAY + timedelta(hours=14)
SOAK = timedelta(minutes=30)
STAGING = {"stg-eu-1", "stg-eu-2"}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """Fifteen of the commits, two and a half days."""
    folder = tmp_path_factory.mktemp("history")
    with Renderer(folder / "renders") as renderer, history("safe", folder / "safe", renderer) as it:
        it.go(chosen(TOLD), END)
        yield it


def _runs(told: History, key: str) -> dict[str, RunPlan]:
    """The runs of a push, by their bundles."""
    return {
        "+".join(plan.bundles): plan for plan in plans_of(told) if plan.commit == told.tree.ids[key]
    }


def _at(key: str) -> datetime:
    [push] = [push for push in PUSHES if push.key == key]
    return push.at


def _ran(told: History, **which: str) -> list[Ran]:
    return [
        one
        for one in told.fleet.truth
        if all(getattr(one, name) == value for name, value in which.items())
    ]


def test_in_the_end_every_cluster_runs_what_git_wants(told: History) -> None:
    rows = told.fleet.rows("SELECT cluster, bundle, wanted FROM bundle_deployment WHERE gone = 0")
    wanted = {(row["cluster"], row["bundle"]): row["wanted"] for row in rows}
    holds = {
        (cluster, bundle): held.digest
        for cluster, agent in told.fleet.agents.items()
        for bundle, held in agent.holds.items()
    }
    assert holds == wanted
    assert len(told.fleet.agents) == 13
    assert told.fleet.rows("SELECT uid FROM run WHERE ended_at IS NULL") == []


def test_production_starts_nothing_before_staging_has_soaked_with_it(told: History) -> None:
    looked_at = 0
    for plan in plans_of(told):
        starts = {stage.name: _starts(told, plan, stage.clusters) for stage in plan.stages}
        if starts.get("staging") and starts.get("production"):
            looked_at += 1
            assert max(starts["staging"]) + SOAK <= min(starts["production"]), plan.uid
    assert looked_at >= 8


def _starts(told: History, plan: RunPlan, clusters: tuple[str, ...]) -> list[datetime]:
    return [one.at for one in _ran(told, run=plan.uid) if one.cluster in clusters]


def test_a_bad_image_reaches_one_cluster_and_is_taken_back(told: History) -> None:
    bad = [one for one in told.fleet.truth if one.missing]
    assert [(one.cluster, one.bundle) for one in bad] == [("stg-eu-1", "online-boutique")]
    [went, back] = _ran(told, cluster="stg-eu-1", bundle="online-boutique")[1:3]
    assert went == bad[0]
    assert back.run == went.run
    assert back.at - went.at < timedelta(minutes=2)


def test_production_never_gets_what_staging_never_ran(told: History) -> None:
    run = _runs(told, "prod-bad")["webapp"]
    assert not _ran(told, run=run.uid)
    assert any("not yet Healthy in staging" in line for line in table(told))


def test_a_bad_bundle_holds_no_other(told: History) -> None:
    run = _runs(told, "ingress")["ingress-nginx"]
    starts = sorted(one.at for one in _ran(told, run=run.uid))
    assert starts[0] - _at("ingress") <= timedelta(seconds=10), "while the veto held"
    assert len(starts) == 12


def test_a_commit_that_changes_nothing_deployed_makes_no_run(told: History) -> None:
    assert not _runs(told, "readme")


def test_a_new_cluster_gets_everything_when_its_agent_comes(told: History) -> None:
    [run] = _runs(told, "cluster").values()
    mine = [one for one in _ran(told, cluster="prd-ap-4") if one.run == run.uid]
    assert {one.at for one in mine} == {_at("cluster") + timedelta(minutes=JOIN_MINUTES)}
    assert {one.bundle for one in mine} == {
        *("cert-manager", "ingress-nginx", "metrics-server", "monitoring", "online-boutique"),
        *("podinfo", "production-cluster", "webapp"),
    }


def test_a_cluster_that_changes_its_group_is_in_one_stage_of_every_run(told: History) -> None:
    where: dict[str, set[str]] = {}
    for key in ("exporter", "moved"):
        for bundles, plan in _runs(told, key).items():
            stages = [stage.name for stage in plan.stages if "prd-us-3" in stage.clusters]
            assert len(stages) == 1, plan.uid
            where.setdefault(stages[0], set()).add(bundles)
    assert where == {
        "production": {"monitoring"},  # it keeps its stage in the run that was live
        "staging": {
            *("metrics-server", "online-boutique", "podinfo", "production-cluster", "webapp"),
        },
    }


def test_a_removed_app_waits_for_a_person_and_goes_by_the_stages(told: History) -> None:
    assert told.said == ["approve-removals: recorded of webapp from 12 clusters, by sam"]
    gone = {one.cluster: one.at for one in _ran(told, bundle="webapp", digest=ABSENT)}
    staging = STAGING | {"prd-us-3"}
    approved = _at("no-webapp") + timedelta(minutes=REMOVALS_MINUTES)
    assert min(gone.values()) == min(gone[name] for name in staging) == approved
    assert len(gone) == 12
    assert max(gone[name] for name in staging) + SOAK <= min(
        at for name, at in gone.items() if name not in staging
    )


def test_in_a_freeze_only_a_revert_of_what_was_under_way_starts(told: History) -> None:
    started = [one for one in told.fleet.truth if _at("freeze") < one.at < _at("thaw")]
    [back] = _runs(told, "un-under-way").values()
    assert {one.run for one in started} == {back.uid}
    before = {one.cluster for one in _ran(told, run=_runs(told, "under-way")["cert-manager"].uid)}
    assert {one.cluster for one in started} == before == STAGING | {"prd-us-3"}
    [held] = _runs(told, "in-freeze").values()
    assert min(one.at for one in _ran(told, run=held.uid)) == _at("thaw")


def test_the_table_has_a_line_for_every_push_and_every_run(told: History) -> None:
    lines = table(told)
    pushes: list[Push] = list(told.pushed.values())
    for push in pushes:
        assert sum(line.startswith(f"{push.at:%a %H:%M} {push.key} ") for line in lines) == 1
    [of_chart] = [line for line in lines if "production[10]" in line]
    assert " monitoring: staging[2] stg-eu-1,stg-eu-2 +10s…+38s, soaks 30m; " in of_chart
    assert "production[10] waits for approval 5m, all +36m…+41m, soaks 30m" in of_chart
    assert of_chart.endswith("→ Succeeded +1h43")
