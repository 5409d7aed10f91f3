"""Requests of agents and people, one by one, with the refusals of each."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.protocol import (
    DeploymentReport,
    Health,
    RegisterRequest,
    Report,
    StartRequest,
    SyncState,
)
from fleet.errors import RequestError
from fleet.rollout.decisions import Actor, Verb
from fleet.store.questions import cluster_rows
from tests.fleet.hub.rig import Agent, Rig, deployment_of, fleet

V1, V2 = (deployment_of("web", f"v{n}") for n in (1, 2))


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """One staging cluster that is offered v1 of `web`, and a production cluster that is not."""
    rig = Rig(tmp_path)
    rig.push(fleet(1, 1, web="v1"))
    rig.look()
    rig.join("staging-1", "production-1")
    rig.release()
    return rig


def refused(call: object, *arguments: object, **named: object) -> RequestError:
    with pytest.raises(RequestError) as found:
        call(*arguments, **named)  # type: ignore[operator]
    return found.value


def test_a_declared_cluster_is_claimed_and_told_the_heartbeat(rig: Rig) -> None:
    answer = rig.hub.desk.register(RegisterRequest(cluster="staging-1", incarnation="x"))
    assert (answer.claimed, answer.heartbeat_seconds, answer.epoch) == (True, 10, 1)


def test_an_undeclared_cluster_registers_as_unclaimed_and_receives_nothing(rig: Rig) -> None:
    answer = rig.hub.desk.register(RegisterRequest(cluster="nobody", incarnation="x"))
    assert not answer.claimed
    assert "declares no cluster nobody" in answer.message
    rig.turn()
    target = rig.hub.desk.target("nobody")
    assert (target.current, target.offers) == ((), ())


def test_what_a_cluster_is_to_run_is_known_before_it_has_an_agent(rig: Rig) -> None:
    needs = rig.hub.desk.needs("production-1")
    assert [obj["metadata"]["name"] for obj in needs.objects] == ["web"]
    assert "data" not in needs.objects[0], "an outline is enough"
    assert rig.hub.desk.target("production-1").offers == (), "it starts nothing"
    assert refused(rig.hub.desk.needs, "nobody").code == "not-found"


def test_what_a_cluster_runs_is_told_beside_what_it_is_to_run(rig: Rig) -> None:
    rig.agents["staging-1"].turn()
    rig.push(fleet(1, 1, web="v2", api="v1") | {"staging-1": {"api": "v1", "broken": None}})
    rig.look()
    needs = rig.hub.desk.needs("staging-1")
    assert [obj["metadata"]["name"] for obj in needs.objects] == ["api", "web"]
    assert needs.unknown == ("broken",)
    rig.push(fleet(0, 1, web="v2"))
    rig.look()
    assert refused(rig.hub.desk.needs, "staging-1").code == "not-found"


def test_versions_of_the_wire_that_do_not_meet_are_refused(rig: Rig) -> None:
    asked = RegisterRequest(cluster="staging-1", incarnation="x", protocol_min=7, protocol_max=9)
    error = refused(rig.hub.desk.register, asked)
    assert (error.status, error.code) == (406, "no-common-protocol")


def test_a_start_moves_the_offer_to_current_and_raises_the_serial(rig: Rig) -> None:
    agent = rig.agents["staging-1"]
    before = agent.target()
    after = agent.start(before.offers[0])
    assert after.offers == ()
    assert [d.digest for d in after.current] == [V1.digest]
    assert after.generations == {"web": before.offers[0].generation}
    assert after.serial > before.serial


def test_nobody_starts_what_was_never_offered(rig: Rig) -> None:
    offer = rig.agents["staging-1"].target().offers[0]
    wrong_number = StartRequest(run=offer.run, generation=99, incarnation="one")
    wrong_run = StartRequest(run="another", generation=offer.generation, incarnation="one")
    own = StartRequest(run=offer.run, generation=offer.generation, incarnation="one")
    for cluster, asked in (
        ("staging-1", wrong_number),
        ("staging-1", wrong_run),
        ("production-1", own),
    ):
        error = refused(rig.hub.desk.start, cluster, asked)
        assert (error.status, error.code) == (409, "unknown-offer")


def test_an_agent_that_was_replaced_starts_nothing(rig: Rig) -> None:
    agent = rig.agents["staging-1"]
    (offer,) = agent.target().offers
    newer = Agent(rig, "staging-1", "two")
    newer.register()
    assert refused(agent.start, offer).code == "replaced"
    assert newer.start(offer).offers == ()


def test_an_earlier_generation_is_refused_once_a_later_one_was_started(rig: Rig) -> None:
    rig.converge()
    agent = rig.agents["staging-1"]
    first = StartRequest(run=agent.started[0][1], generation=agent.started[0][0], incarnation="one")
    rig.push(fleet(1, 1, web="v2"))
    rig.look()
    rig.converge()
    assert refused(rig.hub.desk.start, "staging-1", first).code == "superseded"


def test_an_artifact_is_given_only_to_clusters_whose_target_names_it(rig: Rig) -> None:
    assert rig.hub.desk.artifact("staging-1", V1.artifact).startswith(b"{")
    error = refused(rig.hub.desk.artifact, "production-1", V1.artifact)
    assert (error.status, error.code) == (404, "no-such-artifact")
    assert refused(rig.hub.desk.artifact, "staging-1", "../../fleet.db").status == 404


def test_a_withdrawn_offer_closes_its_artifact(rig: Rig) -> None:
    rig.decide(Verb.ABORT)
    rig.release()
    assert refused(rig.hub.desk.artifact, "staging-1", V1.artifact).status == 404


def test_a_token_is_bound_to_a_name_and_a_new_one_ends_the_old(rig: Rig) -> None:
    from fleet.store.access import Access, Caller

    access = Access(rig.store, "operator-" + "x" * 32)
    first, second = rig.hub.desk.token_for("staging-1"), rig.hub.desk.token_for("staging-1")
    assert access.caller_of(first) is None
    assert access.caller_of(second) == Caller("staging-1")
    assert refused(rig.hub.desk.token_for, "").code == "bad-name"
    assert refused(rig.hub.desk.token_for, "a\nb").code == "bad-name"


def test_a_decision_needs_a_name_and_a_run(rig: Rig) -> None:
    desk = rig.hub.desk
    assert refused(desk.decide, rig.live()[0], Verb.PAUSE, actor=Actor(" ")).code == "no-actor"
    assert refused(desk.decide, "nothing", Verb.PAUSE, actor=Actor("ana")).code == "no-such-run"
    assert refused(desk.decide, "", Verb.PAUSE, actor=Actor("ana")).code == "no-such-run"


def test_a_run_is_found_by_the_beginning_of_its_name_if_there_is_only_one(rig: Rig) -> None:
    assert rig.live()[0] in rig.hub.desk.decide("web-", Verb.PAUSE, actor=Actor("ana"))
    rig.hub.desk.decide("web-", Verb.RESUME, actor=Actor("ana"))
    rig.push(fleet(1, 1, web="v1", **{"web-admin": "v1"}))
    rig.look()
    rig.release()
    error = refused(rig.hub.desk.decide, "web-", Verb.PAUSE, actor=Actor("ana"))
    assert (error.status, error.code) == (409, "run-ambiguous")


def test_a_decision_that_makes_no_sense_is_refused_and_not_recorded(rig: Rig) -> None:
    error = refused(rig.hub.desk.decide, "web-", Verb.RETRY, actor=Actor("ana"))
    assert (error.status, error.code) == (409, "decision-refused")
    with rig.store.read() as c:
        assert c.execute("SELECT count(*) FROM decision").fetchone()[0] == 0


def test_decisions_are_never_changed_or_deleted(rig: Rig) -> None:
    rig.decide(Verb.PAUSE, reason="lunch")
    for sql in ("DELETE FROM decision", "UPDATE decision SET actor = 'bo'"):
        with pytest.raises(Exception, match="append-only"), rig.store.write() as c:
            c.execute(sql)


def test_a_report_on_what_was_never_given_is_no_evidence(rig: Rig) -> None:
    agent = rig.agents["staging-1"]
    (offer,) = agent.target().offers
    stray = DeploymentReport(
        bundle="web",
        digest=V1.digest,
        generation=offer.generation,
        sync=SyncState.SYNCED,
        health=Health.HEALTHY,
    )
    agent.report(stray)
    rig.release()
    assert rig.offered() == {"staging-1"}, "it was not started, so it is not Healthy"


def test_an_unknown_incarnation_is_asked_for_everything(rig: Rig) -> None:
    other = Agent(rig, "staging-1", "never-registered")
    assert other.report().resync
    assert other.report(full=True).accepted
    assert other.report().accepted


def test_two_live_agents_of_one_cluster_are_a_problem_that_ends(rig: Rig) -> None:
    old = rig.agents["staging-1"]
    Agent(rig, "staging-1", "two").register()
    rig.clock.advance(1)
    answer = old.report()
    assert (answer.accepted, answer.resync) == (False, False)
    rig.release()
    assert rig.problems() == {"two-agents"}
    rig.clock.advance(31)
    rig.release()
    assert rig.problems() == set()


def test_an_agent_that_does_not_believe_its_hub_is_a_problem_until_it_does(rig: Rig) -> None:
    agent = rig.agents["staging-1"]
    agent.register(trouble="the hub has another key than the one pinned")
    rig.release()
    assert rig.problems() == {"agent-refuses"}
    agent.report()
    rig.release()
    assert rig.problems() == set()


def test_a_cluster_is_offline_after_three_heartbeats_and_back_with_the_next(rig: Rig) -> None:
    def states() -> dict[str, bool]:
        with rig.store.read() as c:
            return {row["name"]: bool(row["online"]) for row in cluster_rows(c)}

    rig.clock.advance(20)
    rig.agents["staging-1"].report()
    rig.clock.advance(15)
    rig.release()
    assert states() == {"staging-1": True, "production-1": False}
    rig.agents["production-1"].report()
    assert states() == {"staging-1": True, "production-1": True}


def test_after_a_start_of_the_hub_nobody_is_offline_before_a_heartbeat_was_due(rig: Rig) -> None:
    rig.clock.advance(3600)
    rig.reopen()
    rig.release()
    with rig.store.read() as c:
        assert all(row["online"] for row in cluster_rows(c))
    rig.clock.advance(31)
    rig.release()
    with rig.store.read() as c:
        assert not any(row["online"] for row in cluster_rows(c))


def test_clocks_of_agents_change_nothing(rig: Rig) -> None:
    from datetime import UTC, datetime

    agent = rig.agents["staging-1"]
    agent.start(agent.target().offers[0])
    wrong = [
        s.model_copy(update={"since": datetime(1970, 1, 1, tzinfo=UTC)}) for s in agent.states()
    ]
    agent.report(*wrong)
    with rig.store.read() as c:
        (since,) = c.execute("SELECT since FROM bundle_deployment WHERE sync = 'Synced'").fetchone()
    assert since == rig.clock.now().isoformat(timespec="microseconds")


def test_a_hub_restored_from_a_backup_raises_its_epoch_and_reuses_no_generation(rig: Rig) -> None:
    agent = rig.agents["staging-1"]
    before = agent.target()
    ahead = Report(
        cluster="staging-1",
        incarnation="one",
        sequence=1,
        epoch=1,
        serial=before.serial + 5,
        deployments=(
            DeploymentReport(
                bundle="web",
                digest=V2.digest,
                generation=41,
                sync=SyncState.SYNCED,
                health=Health.HEALTHY,
            ),
        ),
    )
    rig.hub.desk.report(ahead)
    assert agent.target().order > (1, before.serial + 5)
    rig.push(fleet(1, 1, web="v3"))
    rig.look()
    rig.release()
    rig.decide(Verb.ABORT)
    rig.release()
    rig.push(fleet(1, 1, web="v4"))
    rig.look()
    rig.release()
    assert agent.target().offers[0].generation > 41
