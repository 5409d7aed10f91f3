"""Whose object it is: conflicts, claims of several bundles, and handing over."""

from __future__ import annotations

from agents.apply.ownership import Claimant, Claims, judge_conflict
from agents.inventory import PART_OF, applyset_id, manager_of
from agents.protocol import BundleDeployment, Options, SyncState
from clusters.errors import ConflictError
from clusters.objects import Object
from tests.agents.lab import Lab
from tests.agents.samples import SETTINGS, WEB, config_map, deployment


async def test_a_field_that_another_manager_owns_fails_and_names_it(lab: Lab) -> None:
    foreign = config_map(colour="red")
    foreign["metadata"]["namespace"] = "default"
    lab.cluster.server.apply(foreign, manager="helm")
    lab.release("web", config_map(), options=Options(namespace="default"))
    await lab.until(lambda: "web" in lab.hub.known)
    await lab.until(lambda: lab.report("web").sync is SyncState.FAILED)
    report = lab.report("web")
    assert report.code == "conflict"
    assert "helm" in report.message
    assert "data.colour" in report.message
    assert lab.there("ConfigMap", "settings", "default")["data"] == {"colour": "red"}


async def test_a_retry_after_a_conflict_does_not_take_the_field_either(lab: Lab) -> None:
    foreign = config_map(colour="red")
    foreign["metadata"]["namespace"] = "default"
    lab.cluster.server.create(foreign, manager="kubectl-create")
    lab.release("web", config_map(), options=Options(namespace="default"))
    await lab.run_for(60)
    assert lab.report("web").code == "conflict"
    assert lab.there("ConfigMap", "settings", "default")["data"] == {"colour": "red"}


async def test_take_ownership_takes_the_field(lab: Lab) -> None:
    foreign = config_map(colour="red")
    foreign["metadata"]["namespace"] = "default"
    lab.cluster.server.apply(foreign, manager="helm")
    options = Options(namespace="default", take_ownership=True)
    lab.release("web", config_map(), options=options)
    await lab.settled("web")
    assert lab.there("ConfigMap", "settings", "default")["data"] == {"colour": "blue"}


async def test_an_object_with_equal_fields_is_adopted_without_a_conflict(lab: Lab) -> None:
    foreign = config_map()
    foreign["metadata"]["namespace"] = "default"
    uid = lab.cluster.server.apply(foreign, manager="helm")["metadata"]["uid"]
    lab.release("web", config_map(), options=Options(namespace="default"))
    await lab.settled("web")
    assert lab.there("ConfigMap", "settings", "default")["metadata"]["uid"] == uid


async def test_a_release_wins_over_a_manual_edit_of_an_owned_object(lab: Lab) -> None:
    lab.release("web", deployment())
    await lab.settled("web")
    lab.edit(WEB, {"spec": {"replicas": 7}})
    lab.release("web", deployment(image="example/web:2", replicas=3), run="second")
    await lab.settled("web")
    assert lab.there("Deployment", "web", group="apps")["spec"]["replicas"] == 3


async def test_two_bundles_that_want_one_object_fail_naming_both(lab: Lab) -> None:
    lab.release("first", config_map())
    await lab.settled("first")
    lab.release("second", config_map(colour="red"), run="second")
    await lab.until(
        lambda: "second" in lab.agent.reports and lab.report("second").sync is SyncState.FAILED
    )
    report = lab.report("second")
    assert report.code == "owned-elsewhere"
    assert "bundle first" in report.message
    assert "bundle second" in report.message
    assert lab.there("ConfigMap", "settings")["data"] == {"colour": "blue"}


async def test_an_object_that_moves_to_another_bundle_is_never_deleted(lab: Lab) -> None:
    lab.release("old", config_map(), config_map("stays"))
    await lab.settled("old")
    uid = lab.there("ConfigMap", "settings")["metadata"]["uid"]
    lab.hub.offer(
        "move",
        lab.deployment("old", config_map("stays")),
        lab.deployment("new", config_map(colour="green")),
    )
    await lab.settled("old", "new")
    await lab.run_for(5)
    live = lab.there("ConfigMap", "settings")
    assert live["metadata"]["uid"] == uid
    assert live["data"] == {"colour": "green"}
    assert live["metadata"]["labels"][PART_OF] == applyset_id("new")
    assert "delete ConfigMap settings" not in lab.recorder.writes


async def test_the_objects_of_a_renamed_bundle_are_handed_over(lab: Lab) -> None:
    lab.release("old", config_map(), config_map("gone"))
    await lab.settled("old")
    uid = lab.there("ConfigMap", "settings")["metadata"]["uid"]
    lab.hub.offer("rename", BundleDeployment.absent("old"), lab.deployment("new", config_map()))
    await lab.until(lambda: lab.is_settled("new") and "old" not in lab.agent.reports)
    assert lab.there("ConfigMap", "settings")["metadata"]["uid"] == uid
    assert lab.live("ConfigMap", "gone") is None


def test_a_manager_that_applies_is_not_overruled_even_on_an_owned_object() -> None:
    live = _live("Apply")
    error = ConflictError("conflict", managers=("argocd",), fields=(".data.colour",))
    refusal = judge_conflict(error, SETTINGS, live, Claimant("web", Claims(bundles=("web",))))
    assert refusal is not None
    assert refusal.code == "conflict"
    assert "argocd" in refusal.message


def test_a_manager_that_updates_is_overruled_on_an_owned_object_only() -> None:
    error = ConflictError("conflict", managers=("argocd",), fields=(".data.colour",))
    owned = _live("Update")
    assert judge_conflict(error, SETTINGS, owned, Claimant("web", Claims())) is None
    owned["metadata"]["labels"] = {}
    assert judge_conflict(error, SETTINGS, owned, Claimant("web", Claims())) is not None


def test_a_bundle_that_lets_go_is_overruled_and_one_that_holds_on_is_not() -> None:
    error = ConflictError("conflict", managers=(manager_of("old"),))
    bundles = ("new", "old")
    freed = Claims(by_key={SETTINGS: ("new",)}, bundles=bundles)
    assert judge_conflict(error, SETTINGS, None, Claimant("new", freed)) is None
    held = Claims(by_key={SETTINGS: ("new", "old")}, bundles=bundles)
    refusal = judge_conflict(error, SETTINGS, None, Claimant("new", held, take_ownership=True))
    assert refusal is not None
    assert refusal.code == "owned-elsewhere"


def _live(operation: str) -> Object:
    live = config_map()
    live["metadata"]["labels"] = {PART_OF: applyset_id("web")}
    live["metadata"]["managedFields"] = [{"manager": "argocd", "operation": operation}]
    return live
