"""Helm's hooks: chosen by the inventory, run by weight, waited for, cleaned up, retried."""

from __future__ import annotations

from agents.protocol import BundleDeployment, Options, SyncState
from tests.agents.lab import Lab
from tests.agents.samples import SETTINGS, config_map, deployment, hook, job, key

JOB = key("Job", "migrate", group="batch")


def _applied(lab: Lab) -> list[str]:
    """What was written, without the agent's own."""
    own = ("bundle-", "fleet-system", "Namespace shop")
    return [line for line in lab.recorder.writes if not any(part in line for part in own)]


async def test_install_hooks_run_around_the_objects_in_order_of_weight(lab: Lab) -> None:
    hooks = (
        hook(job("late"), "pre-install", weight=5),
        hook(job("early"), "pre-install", weight=-5),
        hook(job("after"), "post-install"),
        hook(job("never"), "pre-upgrade"),
    )
    lab.release("web", config_map(), hooks=hooks)
    await lab.settled("web")
    assert _applied(lab) == [
        "apply Job early",
        "apply Job late",
        "apply ConfigMap settings",
        "apply Job after",
    ]


async def test_a_later_release_runs_the_upgrade_hooks_only(lab: Lab) -> None:
    hooks = (
        hook(job("first"), "pre-install"),
        hook(job("second"), "pre-upgrade"),
    )
    lab.release("web", config_map(), hooks=hooks)
    await lab.settled("web")
    lab.recorder.writes.clear()
    lab.release("web", config_map(colour="red"), hooks=hooks, run="second")
    await lab.settled("web")
    assert _applied(lab) == ["apply Job second", "apply ConfigMap settings"]


async def test_an_adopted_release_counts_as_an_upgrade(lab: Lab) -> None:
    foreign = config_map()
    foreign["metadata"]["namespace"] = "default"
    lab.cluster.server.apply(foreign, manager="helm")
    hooks = (hook(job("first"), "pre-install"), hook(job("second"), "pre-upgrade"))
    lab.release("web", config_map(), hooks=hooks, options=Options(namespace="default"))
    await lab.settled("web")
    assert lab.live("Job", "first", "default", "batch") is None
    assert lab.live("Job", "second", "default", "batch") is not None


async def test_healing_runs_no_hook(lab: Lab) -> None:
    lab.release("web", config_map(), hooks=(hook(job(), "pre-install", "pre-upgrade"),))
    await lab.settled("web")
    lab.recorder.writes.clear()
    lab.cluster.server.delete(SETTINGS)
    await lab.until(lambda: lab.report("web").healed == 1)
    assert _applied(lab) == ["apply ConfigMap settings"]


async def test_objects_wait_for_a_pre_hook_to_complete(lab: Lab) -> None:
    lab.release("web", config_map(), hooks=(hook(job(), "pre-install"),))
    await lab.until(lambda: lab.live("Job", "migrate", group="batch") is not None)
    assert lab.live("ConfigMap", "settings") is None
    assert lab.report("web").sync is SyncState.SYNCING
    assert "hook Job.batch shop/migrate is running" in lab.report("web").message
    await lab.settled("web")
    assert lab.live("ConfigMap", "settings") is not None


async def test_a_failed_hook_fails_the_bundle_and_writes_nothing_after_it(lab: Lab) -> None:
    lab.release("web", config_map(), hooks=(hook(job(image="m:exit1"), "pre-install"),))
    await lab.until(lambda: lab.agent.reports.get("web") is not None)
    await lab.until(lambda: lab.report("web").sync is SyncState.FAILED)
    assert lab.report("web").code == "hook-failed"
    assert lab.live("ConfigMap", "settings") is None


async def test_a_failed_hook_is_tried_again_with_a_fresh_object(lab: Lab) -> None:
    lab.release("web", config_map(), hooks=(hook(job(image="m:exit1"), "pre-install"),))
    await lab.until(
        lambda: "web" in lab.agent.reports and lab.report("web").sync is SyncState.FAILED
    )
    uid = lab.there("Job", "migrate", group="batch")["metadata"]["uid"]
    await lab.until(lambda: _uid(lab) not in (uid, ""))


async def test_a_hook_that_runs_too_long_fails(lab: Lab) -> None:
    options = Options(namespace="shop", timeout_seconds=20)
    slow = hook(job(image="m:neverready"), "pre-install")
    stuck = job(image="m:pullerror")
    lab.release("web", config_map(), hooks=(slow, hook(stuck, "pre-install")), options=options)
    await lab.until(
        lambda: "web" in lab.agent.reports and lab.report("web").sync is SyncState.FAILED
    )
    assert "within 20 s" in lab.report("web").message


async def test_delete_policies_are_kept(lab: Lab) -> None:
    hooks = (
        hook(job("gone"), "pre-install", policies=("hook-succeeded",)),
        hook(job("stays"), "pre-install"),
        hook(job("after"), "post-install"),
    )
    lab.release("web", config_map(), hooks=hooks)
    await lab.settled("web")
    assert lab.live("Job", "gone", group="batch") is None
    assert lab.live("Job", "stays", group="batch") is not None
    assert lab.recorder.writes.count("apply Job gone") == 1, "what is done is not run again"


async def test_hook_failed_deletes_the_failed_hook(lab: Lab) -> None:
    failing = hook(job(image="m:exit1"), "pre-install", policies=("hook-failed",))
    lab.release("web", config_map(), hooks=(failing,))
    await lab.until(
        lambda: "web" in lab.agent.reports and lab.report("web").sync is SyncState.FAILED
    )
    assert lab.live("Job", "migrate", group="batch") is None


async def test_a_hook_of_another_kind_is_applied_and_not_waited_for(lab: Lab) -> None:
    hooks = (hook(config_map("prepared"), "pre-install"),)
    lab.release("web", config_map(), hooks=hooks)
    await lab.settled("web")
    assert lab.live("ConfigMap", "prepared") is not None
    parent = lab.there("ConfigMap", "bundle-web", "fleet-system")
    assert "prepared" not in parent["data"]["objects"]


async def test_a_restarted_agent_finds_its_running_hook_again(lab: Lab) -> None:
    lab.release("web", config_map(), hooks=(hook(job(), "pre-install"),))
    await lab.until(lambda: lab.live("Job", "migrate", group="batch") is not None)
    uid = _uid(lab)
    lab.new_agent()
    await lab.settled("web")
    assert _uid(lab) == uid


async def test_a_failed_first_install_is_still_an_install_when_corrected(lab: Lab) -> None:
    hooks = (hook(job(image="m:exit1"), "pre-install"), hook(job("no"), "pre-upgrade"))
    lab.release("web", config_map(), hooks=hooks)
    await lab.until(
        lambda: "web" in lab.agent.reports and lab.report("web").sync is SyncState.FAILED
    )
    hooks = (hook(job(), "pre-install"), hook(job("no"), "pre-upgrade"))
    lab.release("web", config_map(), hooks=hooks, run="second")
    await lab.settled("web")
    assert lab.live("Job", "no", group="batch") is None


async def test_a_hook_of_a_former_release_is_replaced_and_runs_again(lab: Lab) -> None:
    hooks = (hook(job(), "pre-install", "pre-upgrade"),)
    lab.release("web", config_map(), hooks=hooks)
    await lab.settled("web")
    uid = _uid(lab)
    lab.release("web", config_map(colour="red"), hooks=hooks, run="second")
    await lab.settled("web")
    assert _uid(lab) not in (uid, "")


async def test_a_hook_that_removes_itself_when_finished_is_seen_to_complete(lab: Lab) -> None:
    """As the admission jobs of ingress-nginx do; each look would find it gone and run it again."""
    vanishing = job("vanishing")
    vanishing["spec"]["ttlSecondsAfterFinished"] = 0
    lab.release("web", config_map(), hooks=(hook(vanishing, "pre-install"),))
    await lab.settled("web")
    assert _applied(lab) == ["apply Job vanishing", "apply ConfigMap settings"]


async def test_a_hook_that_removes_itself_when_failed_is_seen_to_fail(lab: Lab) -> None:
    vanishing = job(image="m:exit1")
    vanishing["spec"]["ttlSecondsAfterFinished"] = 0
    lab.release("web", config_map(), hooks=(hook(vanishing, "pre-install"),))
    await lab.until(lambda: "web" in lab.agent.reports)
    await lab.until(lambda: lab.report("web").sync is SyncState.FAILED)
    assert lab.report("web").code == "hook-failed"


async def test_a_longer_life_after_the_end_is_left_to_a_hook(lab: Lab) -> None:
    lasting = job()
    lasting["spec"]["ttlSecondsAfterFinished"] = 86_400
    lab.release("web", config_map(), hooks=(hook(lasting, "pre-install"),))
    await lab.until(lambda: lab.live("Job", "migrate", group="batch") is not None)
    live = lab.there("Job", "migrate", group="batch")
    assert live["spec"]["ttlSecondsAfterFinished"] == 86_400


def _uid(lab: Lab) -> str:
    live = lab.live("Job", "migrate", group="batch")
    return str(live["metadata"]["uid"]) if live else ""


async def test_time_in_suspension_does_not_count(lab: Lab) -> None:
    options = Options(namespace="shop", timeout_seconds=20)
    slow = job(image="m:neverready")
    slow["spec"]["backoffLimit"] = 6
    lab.release("web", config_map(), hooks=(hook(slow, "pre-install"),), options=options)
    await lab.until(lambda: _uid(lab) != "")
    started = _uid(lab)
    await lab.run_for(10)
    lab.edit(JOB, {"spec": {"suspend": True}})
    await lab.run_for(30)
    assert "is suspended" in lab.report("web").message
    lab.edit(JOB, {"spec": {"suspend": False}})
    await lab.run_for(12)
    assert lab.report("web").sync is SyncState.SYNCING
    assert _uid(lab) == started, "it is still the first one that runs, not one after a failure"
    await lab.until(lambda: lab.report("web").sync is SyncState.FAILED)


async def test_a_hook_of_a_sync_is_waited_for_whatever_its_kind(lab: Lab) -> None:
    lab.release("web", config_map(), hooks=(hook(deployment(image="m:neverready"), "pre-sync"),))
    await lab.run_for(30)
    assert lab.live("ConfigMap", "settings") is None
    lab.release("web", config_map(), hooks=(hook(deployment(), "pre-sync"),), run="second")
    await lab.settled("web")


async def test_hooks_after_a_sync_wait_until_all_is_healthy_and_helms_do_not(lab: Lab) -> None:
    hooks = (hook(job("late"), "post-sync"),)
    lab.release("web", deployment(image="m:neverready"), hooks=hooks)
    lab.release("helm", deployment("helm", image="m:neverready"),
                hooks=(hook(job("soon"), "post-install"),), run="other")  # fmt: skip
    await lab.run_for(30)
    assert lab.live("Job", "late", group="batch") is None
    assert "post-sync hooks waits for Deployment" in lab.report("web").message
    assert lab.live("Job", "soon", group="batch") is not None


async def test_a_bundle_that_owns_nothing_runs_its_hooks_of_removal_too(lab: Lab) -> None:
    lab.release("web", hooks=(hook(job(), "post-delete"),))
    await lab.settled("web")
    lab.hub.offer("removal", BundleDeployment.absent("web"))
    await lab.until(lambda: "web" not in lab.agent.reports)
    assert lab.recorder.writes.count("apply Job migrate") == 1
