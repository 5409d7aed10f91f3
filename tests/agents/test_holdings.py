"""Passes over bundles: time-outs, rules of health, retries, and nobody who waits for another."""

from __future__ import annotations

import pytest

from agents.protocol import Health, HealthCheck, Options, Readiness, Retry, SyncState
from clusters.errors import InvalidError, UnreachableError
from tests.agents.lab import Lab
from tests.agents.samples import config_map, crd, deployment, key, widget


def _refuse_dry_runs(lab: Lab) -> None:
    """The API server never takes the object."""
    lab.recorder.refuse = lambda call, _: InvalidError("no") if call == "dry-run" else None


async def test_what_progresses_past_the_time_out_is_degraded_and_recovers(lab: Lab) -> None:
    options = Options(namespace="shop", timeout_seconds=30)
    lab.release("web", deployment(image="m:neverready"), options=options)
    await lab.until(lambda: "web" in lab.agent.reports)
    await lab.until(lambda: lab.report("web").health is Health.PROGRESSING)
    began = lab.clock.now()
    await lab.until(lambda: lab.report("web").health is Health.DEGRADED)
    assert (lab.clock.now() - began).total_seconds() >= 29
    assert "for more than 30 s" in lab.report("web").message
    assert lab.report("web").sync is SyncState.SYNCED, "it is applied all the same"
    lab.release("web", deployment(image="m:2"), options=options, run="second")
    await lab.settled("web")


async def test_a_new_version_has_its_time_out_from_its_own_start(lab: Lab) -> None:
    options = Options(namespace="shop", timeout_seconds=30)
    lab.release("web", deployment(image="m:neverready"), options=options)
    await lab.run_for(25)
    lab.release("web", deployment(image="n:neverready"), options=options, run="second")
    await lab.run_for(20)
    assert lab.report("web").health is Health.PROGRESSING
    await lab.until(lambda: lab.report("web").health is Health.DEGRADED)


async def test_a_declared_rule_decides_the_health_of_its_kind(lab: Lab) -> None:
    check = HealthCheck(
        api_version="example.com/v1",
        kind="Widget",
        current="metadata.annotations['up'] == 'yes'",
        failed="has(metadata.annotations) && metadata.annotations.?up.orValue('') == 'broken'",
    )
    options = Options(namespace="shop", health_checks=(check,))
    lab.release("web", crd(), widget(), options=options)
    await lab.until(lambda: "web" in lab.agent.reports)
    await lab.until(lambda: lab.report("web").sync is SyncState.SYNCED)
    assert lab.report("web").health is Health.PROGRESSING
    assert "no answer yet" in lab.report("web").message
    _annotate(lab, "broken")
    await lab.until(lambda: lab.report("web").health is Health.DEGRADED)
    _annotate(lab, "yes")
    await lab.settled("web")


def _annotate(lab: Lab, value: str) -> None:
    one = key("Widget", "one", group="example.com")
    lab.edit(one, {"metadata": {"annotations": {"up": value}}})


async def test_a_bundle_that_waits_holds_back_no_other(lab: Lab) -> None:
    lab.release("slow", deployment("slow", image="m:neverready"))
    lab.release("web", config_map(), run="other")
    await lab.settled("web")
    assert lab.report("slow").health is Health.PROGRESSING


async def test_retries_end_at_the_limit_and_begin_anew_with_a_new_order(lab: Lab) -> None:
    options = Options(namespace="shop", retry=Retry(limit=2, duration_seconds=1, factor=1))
    _refuse_dry_runs(lab)
    lab.release("web", config_map(), options=options)
    await lab.until(lambda: "web" in lab.agent.reports)
    await lab.until(lambda: "given up after 2 retries" in lab.report("web").message)
    assert lab.report("web").sync is SyncState.FAILED
    tries = lab.recorder.dry_runs
    await lab.run_for(600)
    assert lab.recorder.dry_runs == tries == 3
    lab.recorder.refuse = lambda call, name: None
    lab.release("web", config_map(colour="red"), options=options, run="second")
    await lab.settled("web")


async def test_no_retry_at_all_is_a_limit_too(lab: Lab) -> None:
    _refuse_dry_runs(lab)
    lab.release("web", config_map(), options=Options(namespace="shop", retry=Retry(limit=0)))
    await lab.until(lambda: "web" in lab.agent.reports)
    await lab.until(lambda: "given up after 0 retries" in lab.report("web").message)


async def test_the_clusters_own_trouble_uses_up_no_retry(lab: Lab) -> None:
    lab.recorder.refuse = lambda call, _: UnreachableError("no") if call == "dry-run" else None
    options = Options(namespace="shop", retry=Retry(limit=0, max_duration_seconds=2))
    lab.release("web", config_map(), options=options)
    await lab.run_for(60)
    assert lab.recorder.dry_runs > 10
    lab.recorder.refuse = lambda call, name: None
    await lab.settled("web")


@pytest.mark.parametrize("accepts", [False, True])
async def test_a_dependency_may_be_accepted_before_it_is_healthy(lab: Lab, accepts: bool) -> None:
    lab.release("dns", deployment("dns", image="m:neverready"))
    accepted = (("dns", (Readiness.READY, Readiness.NOT_READY)),) if accepts else ()
    options = Options(namespace="shop", depends_on=("dns",), accepted_states=accepted)
    lab.release("web", config_map(), options=options, run="other")
    await lab.run_for(20)
    assert lab.report("web").sync is (SyncState.SYNCED if accepts else SyncState.WAITING)
