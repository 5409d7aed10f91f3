"""Moving to a new bundle deployment: order, namespaces, failures, recreation, dependencies."""

from __future__ import annotations

import pytest

from agents.inventory import NAMESPACE, PART_OF, applyset_id, read_parent
from agents.protocol import BundleDeployment, Health, Options, SyncState
from tests.agents.lab import Lab
from tests.agents.samples import (
    config_map,
    crd,
    deployment,
    hook,
    job,
    key,
    namespace,
    secret,
    widget,
)


async def test_a_missing_default_namespace_is_made_and_never_owned(lab: Lab) -> None:
    lab.release("web", config_map())
    await lab.settled("web")
    made = lab.there("Namespace", "shop", "")
    assert PART_OF not in (made["metadata"].get("labels") or {})
    parent = lab.there("ConfigMap", "bundle-web", NAMESPACE)
    assert [str(item) for item in read_parent(parent).objects] == ["ConfigMap shop/settings"]


async def test_intent_is_in_the_inventory_before_the_first_write(lab: Lab) -> None:
    unowned: list[str] = []

    def watch(what: str, obj: dict[str, object] | None) -> None:
        labels = ((obj or {}).get("metadata") or {}).get("labels") or {}  # type: ignore[attr-defined]
        if labels.get(PART_OF):
            parent = lab.there("ConfigMap", "bundle-web", NAMESPACE)
            name = obj["metadata"]["name"]  # type: ignore[index]
            if name not in parent["data"]["objects"]:
                unowned.append(name)

    lab.recorder.before_write = watch
    lab.release("web", deployment(), config_map())
    await lab.settled("web")
    lab.release("web", deployment(), config_map(), config_map("more"), run="second")
    await lab.settled("web")
    assert unowned == []


async def test_custom_resources_follow_their_definition_in_one_bundle(lab: Lab) -> None:
    lab.release("web", widget(), crd(), namespace("shop"))
    await lab.settled("web")
    assert lab.there("Widget", "one", group="example.com")["spec"] == {"size": 1}
    kinds = [line.split()[1] for line in lab.recorder.writes]
    assert kinds.index("Namespace") < kinds.index("CustomResourceDefinition")
    assert kinds.index("CustomResourceDefinition") < kinds.index("Widget")


async def test_a_kind_that_another_bundle_brings_is_waited_for_without_failing(lab: Lab) -> None:
    lab.release("app", widget())
    await lab.until(lambda: "app" in lab.agent.reports)
    assert lab.report("app").sync is SyncState.SYNCING
    assert lab.report("app").code == "kind-not-found"
    lab.release("operator", crd(), run="second")
    await lab.settled("app", "operator")


async def test_a_kind_that_nobody_brings_fails_in_the_end(lab: Lab) -> None:
    lab.release("app", widget(), config_map())
    await lab.until(lambda: lab.agent.reports.get("app") is not None)
    await lab.until(lambda: lab.report("app").sync is SyncState.FAILED, seconds=200)
    assert lab.report("app").code == "kind-not-found"
    assert "example.com/v1 Widget" in lab.report("app").message
    assert lab.live("ConfigMap", "settings") is not None, "the others are applied"


async def test_an_invalid_object_keeps_its_whole_stage_from_being_written(lab: Lab) -> None:
    bad = deployment("bad")
    bad["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    lab.release("web", deployment(), bad, config_map())
    await lab.until(lambda: lab.agent.reports.get("web") is not None)
    report = lab.report("web")
    assert report.sync is SyncState.FAILED
    assert report.code == "invalid"
    assert [item.object for item in report.objects if item.code] == ["Deployment.apps shop/bad"]
    assert lab.live("Deployment", "web", group="apps") is None
    assert lab.live("ConfigMap", "settings") is None


async def test_every_failing_object_is_reported(lab: Lab) -> None:
    first, second = deployment("first"), deployment("second")
    first["spec"]["selector"] = second["spec"]["selector"] = {"matchLabels": {"app": "x"}}
    lab.release("web", first, second)
    await lab.until(lambda: lab.agent.reports.get("web") is not None)
    failed = [item.object for item in lab.report("web").objects if item.code == "invalid"]
    assert failed == ["Deployment.apps shop/first", "Deployment.apps shop/second"]
    assert "and 1 more" in lab.report("web").message


async def test_a_failing_bundle_does_not_stop_another_one(lab: Lab) -> None:
    bad = deployment("bad")
    bad["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    lab.release("bad", bad)
    lab.release("good", config_map(), run="second")
    await lab.settled("good")
    assert lab.report("bad").sync is SyncState.FAILED


async def test_a_corrected_release_replaces_a_failed_one_at_once(lab: Lab) -> None:
    bad = deployment()
    bad["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    lab.release("web", bad)
    await lab.run_for(60)
    before = lab.clock.now()
    lab.release("web", deployment(), run="second")
    await lab.settled("web")
    assert (lab.clock.now() - before).total_seconds() < 10, "the back-off was forgotten"


async def test_a_new_release_has_the_full_patience_again(lab: Lab) -> None:
    lab.release("web", widget())
    await lab.until(lambda: "web" in lab.agent.reports)
    await lab.until(lambda: lab.report("web").sync is SyncState.FAILED, seconds=200)
    wanted = lab.release("web", widget(size=2), run="second")
    await lab.until(lambda: lab.report("web").digest == wanted.digest)
    assert lab.report("web").sync is SyncState.SYNCING


async def test_failures_are_tried_again_later_and_later(lab: Lab) -> None:
    bad = deployment()
    bad["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    lab.release("web", bad)
    await lab.run_for(60)
    first = lab.recorder.dry_runs
    await lab.run_for(600)
    assert 4 <= first <= 8
    assert 3 <= lab.recorder.dry_runs - first <= 8


async def test_an_immutable_field_fails_without_force(lab: Lab) -> None:
    lab.release("web", job())
    await lab.settled("web")
    uid = lab.there("Job", "migrate", group="batch")["metadata"]["uid"]
    lab.release("web", job(image="example/migrate:2"), run="second")
    await lab.until(lambda: lab.report("web").sync is SyncState.FAILED)
    assert lab.report("web").code == "immutable"
    assert "force: true" in lab.report("web").message
    assert lab.there("Job", "migrate", group="batch")["metadata"]["uid"] == uid


async def test_an_immutable_field_recreates_the_object_with_force(lab: Lab) -> None:
    options = Options(namespace="shop", force=True)
    lab.release("web", job(), options=options)
    await lab.settled("web")
    uid = lab.there("Job", "migrate", group="batch")["metadata"]["uid"]
    lab.release("web", job(image="example/migrate:2"), options=options, run="second")
    await lab.settled("web")
    assert lab.there("Job", "migrate", group="batch")["metadata"]["uid"] != uid


async def test_a_merely_invalid_object_is_never_recreated_by_force(lab: Lab) -> None:
    options = Options(namespace="shop", force=True)
    lab.release("web", deployment(), options=options)
    await lab.settled("web")
    bad = deployment()
    bad["spec"]["template"]["spec"]["containers"] = []
    lab.release("web", bad, options=options, run="second")
    await lab.until(lambda: lab.report("web").sync is SyncState.FAILED)
    assert lab.report("web").code == "invalid"
    assert not any(line.startswith("delete") for line in lab.recorder.writes)


async def test_only_what_changed_is_written(lab: Lab) -> None:
    settings = [config_map(f"settings-{number}") for number in range(10)]
    lab.release("web", *settings)
    await lab.settled("web")
    lab.recorder.writes.clear()
    lab.recorder.dry_runs = 0
    lab.release("web", *settings[1:], config_map("settings-0", colour="red"), run="second")
    await lab.settled("web")
    written = [line for line in lab.recorder.writes if "bundle-web" not in line]
    assert written == ["apply ConfigMap settings-0"]
    assert lab.recorder.dry_runs == 1


async def test_variables_are_filled_in_and_undeclared_ones_stay(lab: Lab) -> None:
    wanted = config_map(a="${region}-${HOME}")
    lab.release("web", wanted, variables={"region": "eu"})
    await lab.settled("web")
    assert lab.there("ConfigMap", "settings")["data"] == {"a": "eu-${HOME}"}


async def test_force_namespace_moves_everything_and_refuses_cluster_scoped_objects(
    lab: Lab,
) -> None:
    elsewhere = config_map()
    elsewhere["metadata"]["namespace"] = "elsewhere"
    options = Options(namespace="shop", force_namespace=True)
    lab.release("web", elsewhere, options=options)
    await lab.settled("web")
    assert lab.there("ConfigMap", "settings", "shop")
    lab.release("web", elsewhere, namespace("extra"), options=options, run="second")
    await lab.until(lambda: lab.report("web").sync is SyncState.FAILED)
    assert lab.report("web").code == "cluster-scoped"
    assert lab.live("Namespace", "extra", "") is None


async def test_an_empty_render_never_wipes_a_bundle(lab: Lab) -> None:
    lab.release("web", config_map())
    await lab.settled("web")
    lab.release("web", run="second")
    await lab.until(lambda: lab.report("web").sync is SyncState.FAILED)
    assert lab.report("web").code == "wipe-guard"
    assert lab.live("ConfigMap", "settings") is not None


async def test_a_dependency_is_waited_for_until_it_is_healthy(lab: Lab) -> None:
    lab.release("database", deployment("db", image="example/db:slow"))
    lab.release(
        "app", config_map(), options=Options(namespace="shop", depends_on=("database",)), run="b"
    )
    await lab.until(lambda: "app" in lab.agent.reports)
    assert lab.report("app").sync is SyncState.WAITING
    assert "database is" in lab.report("app").message
    assert lab.live("ConfigMap", "settings") is None
    await lab.settled("database", "app")


async def test_a_broken_dependency_does_not_stop_the_healing_of_what_is_applied(lab: Lab) -> None:
    options = Options(namespace="shop", depends_on=("database",))
    lab.release("database", deployment("db"))
    lab.release("app", config_map(), options=options, run="b")
    await lab.settled("database", "app")
    lab.release("database", deployment("db", image="example/db:crashloop"), run="c")
    await lab.until(lambda: lab.report("database").health is Health.DEGRADED)
    lab.edit(key("ConfigMap", "settings"), {"data": {"colour": "red"}})
    await lab.until(lambda: lab.report("app").healed == 1)


async def test_a_crash_loop_is_degraded_long_before_the_progress_deadline(lab: Lab) -> None:
    lab.release("web", deployment())
    await lab.settled("web")
    lab.release("web", deployment(image="example/web:crashloop"), run="second")
    await lab.until(lambda: lab.report("web").health is Health.DEGRADED, seconds=30)
    assert "CrashLoopBackOff" in lab.report("web").message
    lab.release("web", deployment(), run="third")
    await lab.settled("web")


async def test_a_secret_that_the_server_refuses_does_not_show_its_value(lab: Lab) -> None:
    bad = secret(word="canary-value")
    bad["type"] = "kubernetes.io/tls"
    bad["stringData"]["bad key!"] = "canary-value"
    lab.release("web", bad)
    await lab.until(lambda: lab.agent.reports.get("web") is not None)
    assert lab.report("web").sync is SyncState.FAILED
    assert "canary" not in lab.report("web").model_dump_json()


async def test_an_object_without_a_name_fails_its_bundle_and_no_other(lab: Lab) -> None:
    broken = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}
    lab.release("bad", broken, config_map())
    lab.release("good", config_map("others"), run="second")
    await lab.settled("good")
    assert lab.report("bad").code == "malformed"
    assert lab.live("ConfigMap", "settings") is None


async def test_two_objects_of_one_identity_fail_before_any_is_written(lab: Lab) -> None:
    lab.release("web", config_map(), config_map(colour="red"))
    await lab.until(lambda: lab.agent.reports.get("web") is not None)
    assert lab.report("web").code == "duplicate"
    assert lab.live("ConfigMap", "settings") is None


async def test_an_unreachable_cluster_is_no_failure_of_the_bundle(lab: Lab) -> None:
    lab.release("web", config_map())
    await lab.settled("web")
    lab.cluster.faults.partitioned = True
    lab.release("web", config_map(colour="green"), run="second")
    await lab.run_for(120)
    assert lab.report("web").sync is SyncState.SYNCING
    lab.cluster.faults.partitioned = False
    await lab.settled("web")


async def test_a_newer_target_takes_over_a_hook_that_waits(lab: Lab) -> None:
    lab.release("web", config_map(), hooks=(hook(job(image="example/m:slow"), "pre-install"),))
    await lab.until(lambda: lab.live("Job", "migrate", group="batch") is not None)
    assert lab.report("web").sync is SyncState.SYNCING
    before = lab.clock.now()
    lab.release("web", config_map(colour="green"), run="second")
    await lab.settled("web")
    assert (lab.clock.now() - before).total_seconds() < 5
    assert lab.there("ConfigMap", "settings")["data"] == {"colour": "green"}


async def test_a_new_generation_of_the_same_digest_writes_no_object(lab: Lab) -> None:
    lab.release("web", config_map())
    await lab.settled("web")
    lab.recorder.writes.clear()
    lab.release("web", config_map(), run="again")
    await lab.until(lambda: lab.report("web").generation == 2)
    await lab.settled("web")
    assert set(lab.recorder.writes) == {"apply ConfigMap bundle-web"}
    parent = lab.there("ConfigMap", "bundle-web", NAMESPACE)
    assert read_parent(parent).generation == 2


async def test_owned_objects_carry_the_label_of_their_applyset(lab: Lab) -> None:
    lab.release("web", deployment())
    await lab.settled("web")
    labels = lab.there("Deployment", "web", group="apps")["metadata"]["labels"]
    assert labels[PART_OF] == applyset_id("web")
    managers = lab.there("Deployment", "web", group="apps")["metadata"]["managedFields"]
    assert "fleet/web" in {entry["manager"] for entry in managers}


@pytest.mark.parametrize("order", [("app", "operator"), ("operator", "app")])
async def test_one_assignment_of_several_bundles_converges_in_any_order(
    lab: Lab, order: tuple[str, str]
) -> None:
    made: dict[str, BundleDeployment] = {
        "app": lab.deployment("app", widget()),
        "operator": lab.deployment("operator", crd()),
    }
    lab.hub.offer("run", *(made[name] for name in order))
    await lab.settled("app", "operator")
