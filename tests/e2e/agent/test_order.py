"""What comes before what: waves, hooks of every kind, dependencies; on both implementations."""

from __future__ import annotations

from agents.inventory import NAMESPACE
from agents.protocol import Hook, Options, Readiness, SyncState
from clusters.objects import Object, ObjectKey
from tests.agents.samples import config_map, deployment, hook, job
from tests.e2e.agent.real_lab import SPACE, RealLab

JOB = ObjectKey("batch", "Job", SPACE, "migrate")


def _in_wave(obj: Object, wave: int) -> Object:
    annotations = {"argocd.argoproj.io/sync-wave": str(wave)}
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}


def _written(lab: RealLab) -> list[str]:
    """What was written, without the agent's own."""
    own = ("bundle-", "fleet-system", f"Namespace {SPACE}")
    return [line for line in lab.recorder.writes if not any(part in line for part in own)]


def _hook(name: str, *events: str, image: str = "example/migrate:1", weight: int = 0) -> Hook:
    return hook(job(name, image), *events, weight=weight)


async def test_a_wave_begins_when_the_one_before_is_healthy(either: RealLab) -> None:
    first = _in_wave(deployment("first"), -1)
    either.release("web", _in_wave(config_map("last"), 7), config_map("middle"), first)
    await either.until(lambda: "apply Deployment first" in either.recorder.writes)
    await either.until(lambda: "web" in either.agent.reports)
    assert _written(either) == ["apply Deployment first"]
    assert "what follows wave -1 waits for Deployment" in either.report("web").message
    assert either.report("web").sync is SyncState.SYNCING
    await either.synced("web")
    assert _written(either) == [
        "apply Deployment first",
        "apply ConfigMap middle",
        "apply ConfigMap last",
    ]


async def test_a_newer_version_pre_empts_a_wave_that_would_never_be_healthy(
    either: RealLab,
) -> None:
    stuck = _in_wave(deployment("first", image="m:neverready"), -1)
    either.release("web", stuck, config_map())
    await either.until(lambda: "apply Deployment first" in either.recorder.writes)
    await either.run_for(2)
    assert await either.live("ConfigMap", "settings") is None
    either.release("web", _in_wave(deployment("first", image="m:2"), -1), config_map())
    await either.synced("web")
    assert await either.live("ConfigMap", "settings") is not None


async def test_a_wave_that_breaks_ends_the_attempt_and_no_other_bundle(either: RealLab) -> None:
    broken = _in_wave(deployment("first", image="m:pullerror"), -1)
    either.release("web", broken, config_map("never"))
    either.release("other", config_map("other"))
    report = await either.code("web", "wave-unhealthy")
    assert report.sync is SyncState.FAILED
    assert "Deployment.apps" in report.message
    await either.synced("other")
    assert await either.live("ConfigMap", "never") is None


async def test_hooks_of_a_sync_run_before_with_and_after_the_objects(either: RealLab) -> None:
    hooks = (
        _hook("after", "post-sync"),
        _hook("with", "sync", weight=1),
        _hook("before", "pre-sync"),
        _hook("never", "sync-fail"),
    )
    objects = (_in_wave(deployment("web"), 0), _in_wave(config_map("late"), 2))
    either.release("web", *objects, hooks=hooks)
    await either.synced("web")
    assert _written(either) == [
        "apply Job before",
        "apply Deployment web",
        "apply Job with",
        "apply ConfigMap late",
        "apply Job after",
    ]


async def test_a_failure_runs_the_hooks_for_it_once(either: RealLab) -> None:
    hooks = (_hook("migrate", "pre-sync", image="m:exit1"), _hook("cry", "sync-fail"))
    either.release("web", config_map(), hooks=hooks)
    report = await either.code("web", "hook-failed")
    assert "migrate" in report.message
    await either.until(lambda: either.recorder.writes.count("apply Job migrate") >= 3)
    assert either.recorder.writes.count("apply Job cry") == 1
    assert await either.live("ConfigMap", "settings") is None


async def test_a_hook_for_failures_that_fails_itself_is_not_tried_again(either: RealLab) -> None:
    hooks = (
        _hook("migrate", "pre-sync", image="m:exit1"),
        _hook("cry", "sync-fail", image="m:exit1"),
    )
    either.release("web", config_map(), hooks=hooks)
    await either.code("web", "hook-failed")
    await either.until(lambda: either.recorder.writes.count("apply Job migrate") >= 4)
    assert either.recorder.writes.count("apply Job cry") == 1


async def test_install_upgrade_and_rollback_have_their_own_hooks(either: RealLab) -> None:
    hooks = (
        _hook("installs", "pre-install"),
        _hook("upgrades", "pre-upgrade"),
        _hook("goes-back", "pre-rollback", "post-rollback"),
    )
    for colour in ("blue", "red", "blue", "red"):
        either.release(
            "web", config_map(colour=colour), hooks=hooks, run=str(len(either.recorder.writes))
        )
        await either.synced("web")
    jobs = [line for line in _written(either) if " Job " in line]
    assert jobs == [
        "apply Job installs",
        "apply Job upgrades",
        "apply Job goes-back",
        "delete Job goes-back",
        "apply Job goes-back",
        "delete Job upgrades",
        "apply Job upgrades",
    ], "the way back is a rollback, the way forward again an upgrade"


async def test_a_removal_runs_its_hooks_even_for_an_agent_that_starts_anew(
    either: RealLab,
) -> None:
    hooks = (_hook("farewell", "pre-delete"), _hook("gone", "post-delete"))
    either.release("web", config_map(), hooks=hooks)
    await either.synced("web")
    assert " Job " not in "".join(_written(either))
    assert await either.there("Secret", "bundle-web", NAMESPACE)
    either.recorder.writes.clear()
    either.new_agent()
    await either.removed("web")
    assert _written(either) == [
        "apply Job farewell",
        "delete ConfigMap settings",
        "apply Job gone",
    ]
    assert await either.live("Secret", "bundle-web", NAMESPACE) is None


async def test_objects_that_stay_when_their_bundle_goes_run_no_hooks(either: RealLab) -> None:
    options = Options(namespace=SPACE, keep_resources=True)
    either.release("web", config_map(), hooks=(_hook("farewell", "pre-delete"),), options=options)
    await either.synced("web")
    await either.removed("web")
    assert "apply Job farewell" not in either.recorder.writes
    assert await either.live("ConfigMap", "settings") is not None


async def test_a_removal_without_its_secret_goes_without_hooks(either: RealLab) -> None:
    either.release("web", config_map(), hooks=(_hook("f", "pre-delete", image="m:exit1"),))
    await either.synced("web")
    await either.cluster.delete(ObjectKey("", "Secret", NAMESPACE, "bundle-web"))
    await either.removed("web")
    assert await either.live("ConfigMap", "settings") is None


async def test_a_hook_that_somebody_deletes_while_it_runs_has_failed(either: RealLab) -> None:
    either.release("web", config_map(), hooks=(_hook("migrate", "pre-sync", image="m:neverready"),))
    await either.until(lambda: "web" in either.agent.reports)
    await either.until(lambda: "is running" in either.report("web").message)
    await either.cluster.delete(JOB)
    report = await either.code("web", "hook-failed")
    assert "somebody deleted it" in report.message
    await either.until(lambda: either.recorder.writes.count("apply Job migrate") == 2)


async def test_a_suspended_hook_is_waited_for_until_it_is_resumed(either: RealLab) -> None:
    held = job()
    held["spec"]["suspend"] = True
    options = Options(namespace=SPACE, timeout_seconds=1)
    either.release("web", config_map(), hooks=(hook(held, "pre-sync"),), options=options)
    await either.until(lambda: "web" in either.agent.reports)
    await either.until(lambda: "is suspended" in either.report("web").message)
    await either.run_for(3)
    assert "is suspended" in either.report("web").message, "no time passes for it"
    longer = Options(namespace=SPACE)
    either.release("web", config_map(), hooks=(hook(held, "pre-sync"),), options=longer, run="2")
    await either.until(lambda: either.recorder.writes.count("apply Job migrate") == 2)
    await either.edit(JOB, {"spec": {"suspend": False}})
    await either.synced("web")


async def test_a_job_that_removed_itself_is_done_for_good(either: RealLab) -> None:
    vanishing = job()
    vanishing["spec"]["ttlSecondsAfterFinished"] = 1
    either.release("web", vanishing, config_map())
    await either.synced("web")
    await either.until(lambda: either.report("web").objects_ready == 2)
    await either.cluster.delete(JOB)
    await either.run_for(3)
    assert either.recorder.writes.count("apply Job migrate") == 1
    assert either.report("web").objects_ready == 2


async def test_a_dependency_is_enough_in_a_state_that_is_accepted(either: RealLab) -> None:
    either.release("dns", deployment("dns", image="m:neverready"))
    either.release("strict", config_map("strict"), options=_after_dns())
    either.release("lax", config_map("lax"), options=_after_dns(Readiness.NOT_READY))
    await either.synced("lax")
    await either.until(lambda: "strict" in either.agent.reports)
    assert either.report("strict").sync is SyncState.WAITING
    assert "waits for dns is Synced, Progressing" in either.report("strict").message
    either.release("dns", deployment("dns"))
    await either.synced("strict")


def _after_dns(*accepted: Readiness) -> Options:
    states = (("dns", accepted),) if accepted else ()
    return Options(namespace=SPACE, depends_on=("dns",), accepted_states=states)
