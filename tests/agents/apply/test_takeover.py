"""Fields that change hands, so that nothing stays which nobody sends any more."""

from __future__ import annotations

from agents.apply.takeover import has_fields_of, managers_by_hand, taken_over
from agents.inventory import PART_OF, applyset_id
from clusters.objects import Object
from tests.agents.lab import Lab
from tests.agents.samples import SETTINGS, config_map


def entry(manager: str, operation: str, fields: Object, subresource: str = "") -> Object:
    """One entry of managedFields."""
    made: Object = {"manager": manager, "operation": operation, "fieldsV1": fields}
    return {**made, "subresource": subresource} if subresource else made


def test_entries_are_united_and_those_of_subresources_stay() -> None:
    live = config_map()
    live["metadata"]["managedFields"] = [
        entry("fleet/old", "Apply", {"f:data": {"f:a": {}}}),
        entry("fleet/new", "Apply", {"f:data": {"f:b": {}}}),
        entry("fleet/old", "Update", {"f:status": {}}, "status"),
        entry("operator", "Update", {"f:data": {"f:c": {}}}),
    ]
    mine, *rest = taken_over(live, {"fleet/old"}, "fleet/new")
    assert (mine["manager"], mine["operation"], mine["apiVersion"]) == ("fleet/new", "Apply", "v1")
    assert mine["fieldsV1"] == {"f:data": {"f:a": {}, "f:b": {}}}
    assert [item["manager"] for item in rest] == ["fleet/old", "operator"]
    live["metadata"]["managedFields"] = [mine, *rest]
    assert not has_fields_of(live, {"fleet/old"})


def test_people_are_those_who_use_kubectl() -> None:
    live = config_map()
    live["metadata"]["managedFields"] = [
        entry("kubectl-edit", "Update", {}),
        entry("kubectl", "Apply", {}),
        entry("kubectl", "Update", {}, "scale"),
        entry("before-first-apply", "Update", {}),
        entry("helm", "Update", {}),
    ]
    assert managers_by_hand(live) == {"kubectl-edit", "kubectl", "before-first-apply"}


async def test_a_field_that_the_former_bundle_set_goes_when_the_object_is_handed_over(
    lab: Lab,
) -> None:
    lab.release("old", config_map(colour="red", extra="x"), config_map("stays"))
    await lab.settled("old")
    uid = lab.there("ConfigMap", "settings")["metadata"]["uid"]
    lab.hub.offer(
        "move", lab.deployment("old", config_map("stays")), lab.deployment("new", config_map())
    )
    await lab.settled("old", "new")
    await lab.run_for(5)
    live = lab.there("ConfigMap", "settings")
    assert (live["metadata"]["uid"], live["data"]) == (uid, {"colour": "blue"})
    assert live["metadata"]["labels"][PART_OF] == applyset_id("new")
    assert {item["manager"] for item in live["metadata"]["managedFields"]} == {"fleet/new"}


async def test_an_object_that_changes_while_it_is_taken_over_is_tried_again(lab: Lab) -> None:
    lab.release("old", config_map(colour="red", extra="x"), config_map("stays"))
    await lab.settled("old")
    disturbed: list[str] = []

    def disturb(what: str, obj: Object | None) -> None:
        if what == "patch" and not disturbed:
            disturbed.append(what)
            lab.edit(SETTINGS, {"metadata": {"annotations": {"seen": "now"}}}, "controller")

    lab.recorder.before_write = disturb
    lab.hub.offer(
        "move", lab.deployment("old", config_map("stays")), lab.deployment("new", config_map())
    )
    await lab.settled("old", "new")
    assert disturbed
    assert lab.there("ConfigMap", "settings")["data"] == {"colour": "blue"}
