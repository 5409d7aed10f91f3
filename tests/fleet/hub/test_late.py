"""New and late clusters while the newest run has not succeeded, through the real store."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.model import PolicyDocument
from fleet.rollout.decisions import Verb
from tests.fleet.hub.rig import Rig, deployment_of, fleet
from tests.fleet.hub.test_loop import until

V1, V2 = deployment_of("web", "v1").digest, deployment_of("web", "v2").digest


def policy(**membership: str) -> tuple[PolicyDocument, ...]:
    """Production waits for an approval."""
    stages = [
        {"name": "staging", "group": "staging"},
        {"name": "production", "group": "production", "gates": {"before": [{"approval": True}]}},
    ]
    spec = {"stages": stages, "membership": membership}
    return (PolicyDocument("Rollout", "default", spec, "clusters/rollout.yaml"),)


SAID = policy()


def content(version: str, production: int = 2) -> dict[str, dict[str, str | None]]:
    return fleet(1, production, web=version)


def settle(rig: Rig, turns: int = 7) -> None:
    """Agents and hub act for a while, and the hub looks at Git."""
    for _ in range(turns):
        rig.turn()
        rig.hub.look(rig.clock.now())


def begun(tmp_path: Path, away: str = "") -> Rig:
    """v1 runs everywhere but where `away`; v2 runs in staging and waits for an approval."""
    rig = Rig(tmp_path)
    rig.push(content("v1"), policies=SAID)
    rig.look()
    rig.join(*(name for name in content("v1") if name != away))
    settle(rig)
    rig.decide(Verb.APPROVE)
    settle(rig)
    assert rig.live() == []
    rig.push(content("v2"), policies=SAID)
    rig.look()
    settle(rig)
    assert rig.runs_what("web")["staging-1"] == V2
    return rig


@pytest.mark.parametrize("killed", [False, True])
def test_a_new_cluster_need_not_wait_for_an_approval(tmp_path: Path, killed: bool) -> None:
    rig = begun(tmp_path)
    (run,) = rig.live()
    rig.push(content("v2", 3), policies=SAID)
    rig.look()
    rig.join("production-3")
    rig.release()
    if killed:
        rig.reopen()
        rig.look()
    settle(rig)
    assert rig.runs_what("web")["production-3"] == V1
    assert rig.live() == [run]
    rig.decide(Verb.APPROVE, run)
    settle(rig, 12)
    assert set(rig.runs_what("web").values()) == {V2}


def test_older_content_is_known_for_the_clusters_of_today(tmp_path: Path) -> None:
    rig = begun(tmp_path)
    for count in (3, 4):
        rig.push(content("v2", count), policies=SAID)
        rig.look()
        rig.join(f"production-{count}")
        settle(rig)
        assert rig.runs_what("web")[f"production-{count}"] == V1


async def test_the_hub_looks_at_once_for_what_it_lacks(tmp_path: Path) -> None:
    rig = begun(tmp_path)
    rig.push(content("v2", 3), policies=SAID)
    rig.look()
    rig.join("production-3")
    await rig.hub.step(rig.clock.now())
    await until(lambda: rig.hub._looking is None)
    rig.release()
    now = rig.clock.now()
    await rig.hub.step(now)
    await until(lambda: rig.hub._looking is None)
    assert rig.clock.now() == now
    ((asked, known),) = rig.hub._observer.as_of.items()
    assert asked == (rig.repository.commits[0], "web")
    assert known["production-3"] == V1


def test_a_late_cluster_gets_what_it_missed_while_a_newer_run_waits(tmp_path: Path) -> None:
    rig = begun(tmp_path, away="production-2")
    (run,) = rig.live()
    rig.join("production-2")
    settle(rig)
    assert rig.runs_what("web")["production-2"] == V1
    rig.decide(Verb.APPROVE, run)
    settle(rig, 12)
    assert set(rig.runs_what("web").values()) == {V2}


def test_after_an_abort_a_new_cluster_gets_what_last_succeeded_and_nothing_starts_again(
    tmp_path: Path,
) -> None:
    rig = begun(tmp_path)
    rig.decide(Verb.ABORT, reason="no")
    settle(rig)
    rig.push(content("v2", 3), policies=SAID)
    rig.look()
    rig.join("production-3")
    settle(rig)
    assert rig.runs_what("web") == {
        "staging-1": V2,
        "production-1": V1,
        "production-2": V1,
        "production-3": V1,
    }
    assert sorted(rig.states().values()) == ["Aborted", "Succeeded", "Succeeded"]


def test_what_cannot_be_had_any_more_is_waited_for_as_before(tmp_path: Path) -> None:
    rig = begun(tmp_path)
    (run,) = rig.live()
    del rig.repository.given[rig.repository.commits[0]]
    rig.push(content("v2", 3), policies=SAID)
    rig.look()
    rig.join("production-3")
    settle(rig)
    assert "production-3" not in rig.runs_what("web")
    assert not rig.hub.look(rig.clock.now()), "it is asked for once"
    rig.decide(Verb.APPROVE, run)
    settle(rig, 12)
    assert set(rig.runs_what("web").values()) == {V2}


def test_a_joiner_of_a_live_run_gets_its_content_though_git_wants_newer(tmp_path: Path) -> None:
    rig = begun(tmp_path)
    (run,) = rig.live()
    rig.push(content("v3", 3), policies=SAID)
    rig.look()
    rig.join("production-3")
    settle(rig)
    with rig.store.read() as c:
        rows = c.execute("SELECT run, stage FROM run_cluster WHERE cluster = 'production-3'")
        assert (run, "production") in {tuple(row) for row in rows}
    rig.decide(Verb.APPROVE, run)
    settle(rig, 6)
    assert rig.runs_what("web")["production-3"] == V2
