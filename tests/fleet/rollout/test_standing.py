"""Where one cluster stands, from what the hub knows of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from agents.protocol import ABSENT, Health, SyncState
from fleet.rollout.decisions import Verb
from fleet.rollout.evidence import BundleEvidence, ClusterEvidence
from fleet.rollout.gate_kinds import Soak
from fleet.rollout.rules import ConnectivityRules, Rules
from fleet.rollout.run_plan import Change
from tests.fleet.rollout.builders import (
    after,
    cluster,
    decision,
    failed,
    healthy,
    offered,
    report,
    run,
    stage,
    states,
    tick,
)

PLAN = run(stage("one", "a", failure_budget=1, min_healthy=0))
STRICT = run(stage("one", "a"))
BAD = SyncState.FAILED

ROWS: list[tuple[str, ClusterEvidence, float, str]] = [
    ("never seen", cluster(registered=False, online=False), 0, "Pending"),
    ("dark", cluster(online=False), 0, "Offline"),
    ("free", cluster(), 0, "Assigned"),
    ("offered", offered(), 1, "Assigned"),
    ("offered and gone dark", cluster(offered=0, online=False), 1, "Assigned"),
    ("withdrawn", cluster(offered=0, withdrawn=1, online=False), 1, "Offline"),
    ("started, silent", cluster(offered=0, started=0), 1, "Applying"),
    ("started, then dark", cluster(offered=0, started=0, online=False), 1, "Applying"),
    ("withdrawn too late", cluster(offered=0, started=1, withdrawn=2), 3, "Applying"),
    ("applying", cluster(report(sync=SyncState.SYNCING), offered=0, started=0), 1, "Applying"),
    (
        "out of sync",
        cluster(report(sync=SyncState.OUT_OF_SYNC), offered=0, started=0),
        1,
        "Applying",
    ),
    (
        "drifted after it was applied",
        cluster(replace(report(sync=SyncState.OUT_OF_SYNC), drifted=1), offered=0, started=0),
        1,
        "Healthy",
    ),
    ("unknown sync", cluster(report(sync=SyncState.UNKNOWN), offered=0, started=0), 1, "Applying"),
    (
        "progressing",
        cluster(report(health=Health.PROGRESSING), offered=0, started=0),
        1,
        "Verifying",
    ),
    ("missing", cluster(report(health=Health.MISSING), offered=0, started=0), 1, "Verifying"),
    (
        "unknown health",
        cluster(report(health=Health.UNKNOWN), offered=0, started=0),
        1,
        "Verifying",
    ),
    ("healthy", healthy(), 1, "Healthy"),
    ("suspended", cluster(report(health=Health.SUSPENDED), offered=0, started=0), 1, "Healthy"),
    ("healthy, then dark", replace(healthy(), online=False), 1, "Healthy"),
    ("healthy, older generation", cluster(report(0), offered=0, started=0), 1, "Applying"),
    ("healthy, newer generation", cluster(report(2), offered=0, started=0), 1, "Applying"),
    ("healthy, other digest", cluster(report(digest="v1"), offered=0, started=0), 1, "Applying"),
    ("failed", failed(), 1, "Failed"),
    ("failed, older generation", cluster(report(0, BAD), offered=0, started=0), 1, "Applying"),
    (
        "degraded 59 s",
        cluster(report(health=Health.DEGRADED), offered=0, started=0),
        59,
        "Verifying",
    ),
    ("degraded 60 s", cluster(report(health=Health.DEGRADED), offered=0, started=0), 60, "Failed"),
    ("slow", cluster(offered=0, started=0), 1799, "Applying"),
    ("too slow", cluster(offered=0, started=0), 1800, "TimedOut"),
    ("vanished", cluster(offered=0, started=0, online=False), 1800, "TimedOut"),
    ("late, but healthy", healthy(1900), 2000, "Healthy"),
]


@pytest.mark.parametrize(("_", "known", "at", "state"), ROWS, ids=[row[0] for row in ROWS])
def test_the_state_of_a_cluster(_: str, known: ClusterEvidence, at: float, state: str) -> None:
    assert states(tick(PLAN, {"a": known}, at=at)) == {"a": state}


def test_a_removal_is_well_when_it_is_synced_whatever_its_health() -> None:
    plan = replace(PLAN, changes={"a": (Change("app", ABSENT, "v1"),)})
    gone = report(digest=ABSENT, health=Health.MISSING)
    assert states(tick(plan, {"a": cluster(gone, offered=0, started=0)})) == {"a": "Healthy"}


def test_the_worst_of_several_bundles_speaks_for_the_cluster() -> None:
    changes = {"a": (Change("app", "v2", "v1"), Change("web", "w2", "w1"))}
    plan = replace(PLAN, bundles=("app", "web"), changes=changes)
    web = report(bundle="web", digest="w2", health=Health.PROGRESSING)
    assert states(tick(plan, {"a": cluster(report(), offered=0, started=0)})) == {"a": "Applying"}
    both = cluster(report(), web, offered=0, started=0)
    assert states(tick(plan, {"a": both})) == {"a": "Verifying"}
    broken = cluster(report(), replace(web, sync=SyncState.FAILED), offered=0, started=0)
    assert states(tick(plan, {"a": broken})) == {"a": "Failed"}


def test_what_was_unhealthy_before_settles_as_still_unhealthy_and_costs_no_budget() -> None:
    plan = replace(PLAN, changes={"a": (Change("app", "v2", "v1", was_unhealthy=True),)})
    ill = cluster(report(health=Health.DEGRADED), offered=0, started=0)
    assert states(tick(plan, {"a": ill}, at=600)) == {"a": "Verifying"}
    step = tick(plan, {"a": ill}, at=1800)
    assert states(step) == {"a": "StillUnhealthy"}
    assert not step.marks.ever_failed
    assert step.stages[0].healthy == 0


def test_what_was_unhealthy_before_may_still_fail_to_apply() -> None:
    plan = replace(PLAN, changes={"a": (Change("app", "v2", "v1", was_unhealthy=True),)})
    assert states(tick(plan, {"a": failed()})) == {"a": "Failed"}
    assert states(tick(plan, {"a": cluster(offered=0, started=0)}, at=1800)) == {"a": "TimedOut"}


def test_a_flapping_cluster_cannot_outrun_its_deadline() -> None:
    marks = tick(PLAN, {}).marks
    state = ""
    for minute in range(1, 70):
        known = healthy(minute * 60)
        if minute % 2:
            ill = report(health=Health.PROGRESSING, since=minute * 60)
            known = cluster(ill, offered=0, started=0)
        step = tick(
            replace(PLAN, stages=(replace(PLAN.stages[0], after=(Soak(9999),)),)),
            {"a": known},
            marks,
            minute * 60,
        )
        marks, state = step.marks, states(step)["a"]
        if state == "TimedOut":
            break
    assert state == "TimedOut"
    assert 55 <= minute <= 63


def test_the_deadline_adds_up_over_offers_while_the_cluster_is_online() -> None:
    first = tick(PLAN, {})
    assert first.offer == ("a",)
    lapsed = tick(PLAN, {"a": offered()}, first.marks, 900)
    assert lapsed.withdraw == ("a",)
    assert lapsed.offer == ()
    again = tick(PLAN, {"a": cluster(offered=0, withdrawn=900)}, lapsed.marks, 900)
    assert again.offer == ("a",)
    step = tick(PLAN, {"a": offered(900)}, again.marks, 1799)
    assert states(step) == {"a": "Assigned"}
    late = tick(PLAN, {"a": offered(900)}, step.marks, 1800)
    assert states(late) == {"a": "TimedOut"}
    assert late.withdraw == ("a",), "or it could still start"


def test_the_deadline_of_an_offer_does_not_run_while_the_cluster_is_dark() -> None:
    plan = replace(PLAN, rules=Rules(connectivity=ConnectivityRules(lease_seconds=10**6)))
    marks = tick(plan, {}).marks
    dark = cluster(offered=0, online=False)
    marks = tick(plan, {"a": dark}, marks, 60).marks
    marks = tick(plan, {"a": dark}, marks, 86400).marks
    back = tick(plan, {"a": offered()}, marks, 86460)
    assert states(back) == {"a": "Assigned"}
    assert states(tick(plan, {"a": offered()}, back.marks, 86460 + 1741)) == {"a": "TimedOut"}


def held(bundle: str = "app") -> BundleEvidence:
    """Somebody in the cluster asked to leave alone what the release would change."""
    said = report(sync=SyncState.WAITING, health=Health.HEALTHY, bundle=bundle)
    return replace(said, code="paused", message="is paused: INC-17")


def test_the_time_in_which_somebody_there_holds_it_by_a_pause_does_not_count() -> None:
    paused = cluster(held(), offered=0, started=0)
    marks = tick(PLAN, {}).marks
    marks = tick(PLAN, {"a": cluster(offered=0, started=0)}, marks, 600).marks
    marks = tick(PLAN, {"a": paused}, marks, 601).marks
    later = tick(PLAN, {"a": paused}, marks, 10**6)
    assert states(later) == {"a": "Applying"}
    goes_on = cluster(report(sync=SyncState.SYNCING), offered=0, started=0)
    again = tick(PLAN, {"a": goes_on}, later.marks, 10**6)
    assert states(tick(PLAN, {"a": goes_on}, again.marks, 10**6 + 1198)) == {"a": "Applying"}
    late = tick(PLAN, {"a": goes_on}, again.marks, 10**6 + 1199)
    assert states(late) == {"a": "TimedOut"}, "what it took before counts"


@pytest.mark.parametrize(
    "known",
    [
        cluster(held(), offered=0, started=0, online=False),
        cluster(replace(held(), code="dependency"), offered=0, started=0),
        cluster(replace(held(), sync=SyncState.SYNCING), offered=0, started=0),
        cluster(replace(held(), generation=7), offered=0, started=0),
    ],
    ids=["gone since", "waits for another bundle", "goes on", "an older release"],
)
def test_only_a_pause_that_an_agent_tells_of_now_stops_the_clock(known: ClusterEvidence) -> None:
    marks = tick(PLAN, {}).marks
    marks = tick(PLAN, {"a": known}, marks, 1).marks
    assert states(tick(PLAN, {"a": known}, marks, 1800)) == {"a": "TimedOut"}


@pytest.mark.parametrize("first", [True, False])
def test_a_pause_of_one_bundle_does_not_stop_the_clock_of_another(first: bool) -> None:
    plan = replace(PLAN, changes={"a": (Change("app", "v2"), Change("db", "v2"))})
    goes_on = report(sync=SyncState.SYNCING, bundle="db" if first else "app")
    known = cluster(held("app" if first else "db"), goes_on, offered=0, started=0)
    marks = tick(plan, {"a": known}, tick(plan, {}).marks, 1).marks
    assert states(tick(plan, {"a": known}, marks, 1800)) == {"a": "TimedOut"}
    both = cluster(held("app"), held("db"), offered=0, started=0)
    assert states(tick(plan, {"a": both}, marks, 10**6)) == {"a": "Applying"}


def test_a_failure_stands_until_a_retry_and_then_old_reports_say_nothing() -> None:
    step = tick(STRICT, {"a": failed()}, tick(STRICT, {}).marks, 5)
    recovered = tick(STRICT, {"a": healthy(10)}, step.marks, 20)
    assert states(recovered) == {"a": "Failed"}
    asked = decision(1, Verb.RETRY)
    again = tick(STRICT, {"a": healthy(10)}, recovered.marks, 30, decisions=(asked,))
    assert again.offer == ("a",)
    assert again.marks.ever_failed == {("one", "a")}, "a retry gives nothing back"
    stale = cluster(report(1), offered=30, started=31, generation=2)
    assert states(tick(STRICT, {"a": stale}, again.marks, 40, decisions=(asked,))) == {
        "a": "Applying"
    }


def test_a_retry_is_carried_out_once() -> None:
    asked = (decision(1, Verb.RETRY),)
    first = tick(STRICT, {"a": failed()}, tick(STRICT, {}).marks, 5)
    again = tick(STRICT, {"a": failed()}, first.marks, 6, decisions=asked)
    assert again.offer == ("a",)
    worse = cluster(report(2, BAD), offered=6, started=7, generation=2)
    failed_again = tick(STRICT, {"a": worse}, again.marks, 8, decisions=asked)
    assert states(failed_again) == {"a": "Failed"}
    assert tick(STRICT, {"a": worse}, failed_again.marks, 9, decisions=asked).offer == ()


def test_wake_at_is_when_time_alone_could_change_the_answer() -> None:
    assert tick(PLAN, {}).wake_at == after(900), "the lease"
    assert tick(PLAN, {"a": cluster(offered=0, started=0)}, at=1).wake_at == after(1800)
    ill = cluster(report(health=Health.DEGRADED, since=5), offered=0, started=0)
    assert tick(PLAN, {"a": ill}, at=6).wake_at == after(65)
