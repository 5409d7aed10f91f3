"""What the hub is told, and when it is told again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from agents.apply import BundleState, Outcome
from agents.apply.outcome import Failure, failed
from agents.apply.state import Drift
from agents.health import Assessment
from agents.inventory import Inventory
from agents.protocol import (
    BundleDeployment,
    DeploymentReport,
    FieldDrift,
    Health,
    Options,
    ReportAnswer,
    SyncState,
)
from agents.reporting import Reporter, describe
from clusters.objects import ObjectKey
from tests.agents.samples import SETTINGS, WEB, key

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ITEM = BundleDeployment.of("web", "sha256:1", {}, Options())
SYNCED = Outcome(SyncState.SYNCED)
ACCEPTED = ReportAnswer(accepted=True)


def _state(**health: Health) -> BundleState:
    state = BundleState(Inventory("web"))
    for name, found in health.items():
        state.health[key("ConfigMap", name)] = Assessment(found, f"{name} says")
    return state


def _report(bundle: str = "web", sync: SyncState = SyncState.SYNCED) -> DeploymentReport:
    return DeploymentReport(
        bundle=bundle, digest="sha256:1", generation=1, sync=sync, health=Health.HEALTHY
    )


def test_health_is_that_of_the_worst_object_and_says_why() -> None:
    state = _state(a=Health.HEALTHY, b=Health.PROGRESSING, c=Health.DEGRADED)
    report = describe(ITEM, 3, state, SYNCED, 50)
    assert (report.health, report.generation, report.objects_ready) == (Health.DEGRADED, 3, 1)
    assert report.message == "ConfigMap shop/c: c says"
    assert [item.object for item in report.objects] == ["ConfigMap shop/c", "ConfigMap shop/b"]


def test_nothing_known_is_unknown_unless_it_is_in_sync() -> None:
    assert describe(ITEM, 1, _state(), Outcome(SyncState.SYNCING), 50).health is Health.UNKNOWN
    assert describe(ITEM, 1, _state(), SYNCED, 50).health is Health.HEALTHY


def test_failures_come_first_then_drift_then_what_is_unhealthy_then_notes() -> None:
    state = _state(sick=Health.DEGRADED)
    state.drift[SETTINGS] = Drift((FieldDrift(path="data.a"),))
    outcome = failed([Failure(WEB, "invalid", "no")])
    noted = Outcome(
        outcome.sync,
        outcome.code,
        outcome.message,
        outcome.failures,
        notes={key("ConfigMap", "old"): "kept"},
    )
    report = describe(ITEM, 1, state, noted, 50)
    said = [(item.object.split("/")[-1], item.sync.value) for item in report.objects]
    assert said == [
        ("web", "Failed"),
        ("settings", "OutOfSync"),
        ("sick", "Synced"),
        ("old", "OutOfSync"),
    ]
    assert report.drifted == 1


def test_details_are_bounded() -> None:
    state = BundleState(Inventory("web"))
    for number in range(100):
        state.health[ObjectKey("", "Pod", "a", str(number))] = Assessment(Health.DEGRADED)
    assert len(describe(ITEM, 1, state, SYNCED, 7).objects) == 7


def test_a_removed_bundle_is_healthy_and_one_being_removed_progresses() -> None:
    absent = BundleDeployment.absent("web")
    assert describe(absent, 1, _state(), SYNCED, 50).health is Health.HEALTHY
    syncing = Outcome(SyncState.SYNCING)
    assert describe(absent, 1, _state(), syncing, 50).health is Health.PROGRESSING


def test_the_first_report_is_full_and_later_ones_are_deltas() -> None:
    reporter = Reporter("a", "inc")
    reporter.note(_report("one"), NOW)
    reporter.note(_report("two"), NOW)
    first = reporter.next((1, 2), {"nodes": 3, "kubernetes_version": "v1.37"})
    assert first.full
    assert (first.epoch, first.serial, first.nodes) == (1, 2, 3)
    assert len(first.deployments) == 2
    reporter.answered(ACCEPTED)
    news = [reporter.has_news]
    reporter.note(_report("two", SyncState.FAILED), NOW)
    news.append(reporter.has_news)
    assert news == [False, True]
    second = reporter.next((1, 2), {})
    assert [item.bundle for item in second.deployments] == ["two"]
    assert (second.full, second.sequence) == (False, first.sequence + 1)


def test_a_report_without_an_answer_is_repeated_and_news_wait_for_the_next() -> None:
    reporter = Reporter("a", "inc")
    reporter.note(_report(), NOW)
    first = reporter.next((1, 1), {})
    reporter.note(_report(sync=SyncState.FAILED), NOW)
    assert reporter.next((1, 9), {}) == first
    reporter.answered(ACCEPTED)
    assert reporter.next((1, 9), {}).deployments[0].sync is SyncState.FAILED


def test_resync_is_answered_by_everything() -> None:
    reporter = Reporter("a", "inc")
    reporter.note(_report(), NOW)
    reporter.next((1, 1), {})
    reporter.answered(ACCEPTED)
    reporter.next((1, 1), {})
    reporter.answered(ReportAnswer(accepted=False, resync=True))
    again = reporter.next((1, 1), {})
    assert again.full
    assert len(again.deployments) == 1
    assert again.sequence == 3


def test_a_dropped_bundle_is_news_to_nobody() -> None:
    reporter = Reporter("a", "inc")
    reporter.note(_report(), NOW)
    reporter.next((1, 1), {})
    reporter.answered(ACCEPTED)
    reporter.drop("web")
    assert not reporter.has_news


def test_since_changes_with_sync_or_health_only() -> None:
    reporter = Reporter("a", "inc")
    later = NOW + timedelta(seconds=9)
    assert reporter.note(_report(), NOW)
    assert not reporter.note(_report(), later)
    assert reporter.note(_report().model_copy(update={"healed": 1}), later)
    assert reporter.now["web"].since == NOW
    reporter.note(_report(sync=SyncState.FAILED), later)
    assert reporter.now["web"].since == later
