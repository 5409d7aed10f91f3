"""Server-side apply: one's own fields, shared fields, other managers' fields, and refusals."""

from __future__ import annotations

import pytest

from clusters.errors import ConflictError, ImmutableError, InvalidError, NotFoundError
from clusters.objects import Object
from tests.contracts.subject import Subject, config_map, deployment, key, labelled

A = key("ConfigMap", "a")
WEB = key("Deployment", "web", group="apps")


def managers(obj: Object) -> set[tuple[str, str]]:
    """Who owns fields of an object, and by which operation."""
    return {(entry["manager"], entry["operation"]) for entry in obj["metadata"]["managedFields"]}


async def test_an_object_that_is_not_there_is_made(subject: Subject) -> None:
    made = await subject.cluster.apply(config_map("a", x="1"), manager="fleet/shop")
    assert made["data"] == {"x": "1"}
    assert made["metadata"]["uid"]
    assert managers(made) == {("fleet/shop", "Apply")}
    assert await subject.live(A) == made


async def test_an_object_that_is_there_is_changed_and_stays_the_same_one(subject: Subject) -> None:
    made = await subject.cluster.apply(config_map("a", x="1"), manager="m")
    changed = await subject.cluster.apply(config_map("a", x="2"), manager="m")
    assert changed["data"] == {"x": "2"}
    assert changed["metadata"]["uid"] == made["metadata"]["uid"]
    assert changed["metadata"]["resourceVersion"] != made["metadata"]["resourceVersion"]


@pytest.mark.parametrize("obj", [config_map("a", x="1"), deployment()], ids=["plain", "defaulted"])
async def test_applying_the_same_again_writes_nothing(subject: Subject, obj: Object) -> None:
    made = await subject.cluster.apply(obj, manager="m")
    await subject.pass_time(2)
    before = await subject.live(A if obj["kind"] == "ConfigMap" else WEB)
    again = await subject.cluster.apply(obj, manager="m")
    assert again["metadata"]["uid"] == made["metadata"]["uid"]
    assert again == before


async def test_fields_that_nobody_sets_get_their_defaults(subject: Subject) -> None:
    made = await subject.cluster.apply(deployment(), manager="m")
    assert made["spec"]["replicas"] == 1
    assert made["spec"]["strategy"]["type"] == "RollingUpdate"
    assert made["metadata"]["generation"] == 1


async def test_a_field_of_another_manager_is_a_conflict_that_names_both(subject: Subject) -> None:
    await subject.cluster.apply(config_map("a", x="1", y="1"), manager="fleet/shop")
    with pytest.raises(ConflictError) as caught:
        await subject.cluster.apply(config_map("a", x="2"), manager="fleet/other")
    assert caught.value.managers == ("fleet/shop",)
    assert caught.value.fields == (".data.x",)
    assert (await subject.live(A))["data"] == {"x": "1", "y": "1"}


async def test_a_persons_edit_is_a_conflict_too(subject: Subject) -> None:
    await subject.cluster.apply(deployment(replicas=3), manager="fleet/shop")
    await subject.cluster.patch(WEB, {"spec": {"replicas": 5}}, manager="kubectl-edit")
    with pytest.raises(ConflictError) as caught:
        await subject.cluster.apply(deployment(replicas=3), manager="fleet/shop")
    assert caught.value.managers == ("kubectl-edit",)
    assert caught.value.fields == (".spec.replicas",)


async def test_force_takes_the_field_over(subject: Subject) -> None:
    await subject.cluster.apply(config_map("a", x="1"), manager="fleet/shop")
    taken = await subject.cluster.apply(config_map("a", x="2"), manager="fleet/other", force=True)
    assert taken["data"] == {"x": "2"}
    with pytest.raises(ConflictError) as caught:
        await subject.cluster.apply(config_map("a", x="1"), manager="fleet/shop")
    assert caught.value.managers == ("fleet/other",)


async def test_a_value_that_both_want_is_shared_and_no_conflict(subject: Subject) -> None:
    await subject.cluster.apply(config_map("a", x="1"), manager="one")
    await subject.cluster.apply(config_map("a", x="1"), manager="two")
    await subject.cluster.apply(config_map("a"), manager="one")
    assert (await subject.live(A))["data"] == {"x": "1"}  # two still wants it
    await subject.cluster.apply(config_map("a"), manager="two")
    assert not (await subject.live(A)).get("data")


async def test_a_field_that_is_left_out_is_removed_and_others_stay(subject: Subject) -> None:
    await subject.cluster.apply(config_map("a", x="1", y="1"), manager="one")
    await subject.cluster.apply(config_map("a", z="1"), manager="two")
    await subject.cluster.apply(config_map("a", x="1"), manager="one")
    assert (await subject.live(A))["data"] == {"x": "1", "z": "1"}


async def test_labels_of_a_person_survive_an_apply(subject: Subject) -> None:
    await subject.cluster.apply(labelled(config_map("a"), app="web"), manager="m")
    await subject.cluster.patch(A, {"metadata": {"labels": {"mine": "1"}}}, manager="kubectl")
    await subject.cluster.apply(labelled(config_map("a"), app="api"), manager="m")
    assert (await subject.live(A))["metadata"]["labels"] == {"app": "api", "mine": "1"}


async def test_items_of_a_list_are_owned_one_by_one(subject: Subject) -> None:
    await subject.cluster.apply(deployment(), manager="m")
    sidecar = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"template": {"spec": {"containers": [{"name": "side", "image": "side:1"}]}}},
    }
    await subject.cluster.apply(sidecar, manager="injector")
    await subject.cluster.apply(deployment("web:2"), manager="m")
    containers = (await subject.live(WEB))["spec"]["template"]["spec"]["containers"]
    assert {c["name"]: c["image"] for c in containers} == {"main": "web:2", "side": "side:1"}


async def test_a_dry_run_shows_the_result_and_writes_nothing(subject: Subject) -> None:
    shown = await subject.cluster.apply(config_map("a", x="1"), manager="m", dry_run=True)
    assert shown["data"] == {"x": "1"}
    assert await subject.cluster.get(A) is None
    before = await subject.cluster.apply(config_map("a", x="1"), manager="m")
    shown = await subject.cluster.apply(config_map("a", x="2"), manager="m", dry_run=True)
    assert shown["data"] == {"x": "2"}
    assert await subject.live(A) == before


async def test_a_dry_run_is_refused_like_the_real_thing(subject: Subject) -> None:
    await subject.cluster.apply(config_map("a", x="1"), manager="one")
    with pytest.raises(ConflictError):
        await subject.cluster.apply(config_map("a", x="2"), manager="two", dry_run=True)


async def test_generation_counts_changes_of_the_spec_alone(subject: Subject) -> None:
    await subject.cluster.apply(deployment(), manager="m")
    changed = await subject.cluster.apply(deployment("web:2"), manager="m")
    assert changed["metadata"]["generation"] == 2
    labels = labelled(deployment("web:2"), app="web")
    assert (await subject.cluster.apply(labels, manager="m"))["metadata"]["generation"] == 2


async def test_a_wrong_object_is_invalid_and_says_where(subject: Subject) -> None:
    with pytest.raises(InvalidError) as caught:
        await subject.cluster.apply(deployment(replicas=-1), manager="m")
    assert not isinstance(caught.value, ImmutableError)
    assert caught.value.fields == ("spec.replicas",)
    assert await subject.cluster.get(WEB) is None


async def test_a_field_that_the_kind_does_not_have_is_invalid(subject: Subject) -> None:
    with pytest.raises(InvalidError, match="replicaz") as caught:
        await subject.cluster.apply(deployment(replicaz=3), manager="m")
    assert caught.value.fields == ("spec.replicaz",)
    assert not caught.value.retryable


async def test_a_field_that_never_changes_is_immutable(subject: Subject) -> None:
    await subject.cluster.apply(deployment(), manager="m")
    moved = deployment()
    moved["spec"]["selector"] = {"matchLabels": {"app": "other"}}
    moved["spec"]["template"]["metadata"] = {"labels": {"app": "other"}}
    with pytest.raises(ImmutableError) as caught:
        await subject.cluster.apply(moved, manager="m", force=True)
    assert caught.value.fields == ("spec.selector",)


async def test_an_object_in_a_namespace_that_is_not_there_has_nowhere_to_go(
    subject: Subject,
) -> None:
    for dry_run in (True, False):
        with pytest.raises(NotFoundError, match="shop"):
            await subject.cluster.apply(config_map("a", "shop"), manager="m", dry_run=dry_run)


async def test_a_refused_secret_does_not_print_its_data(subject: Subject) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "db", "namespace": "default"},
        "type": "Opaque",
        "data": {"password": "aHVudGVyMg=="},
    }
    await subject.cluster.apply(secret, manager="m")
    changed = secret | {"type": "example.io/other", "data": {"password": "Y2FuYXJ5"}}
    with pytest.raises(InvalidError) as caught:
        await subject.cluster.apply(changed, manager="m")
    assert "Y2FuYXJ5" not in str(caught.value)
    assert "aHVudGVyMg==" not in str(caught.value)


async def test_a_merge_patch_changes_and_removes(subject: Subject) -> None:
    await subject.cluster.apply(config_map("a", x="1", y="1"), manager="m")
    patch = {"data": {"x": None, "y": "2"}}
    patched = await subject.cluster.patch(A, patch, manager="kubectl")
    assert patched["data"] == {"y": "2"}
    assert ("kubectl", "Update") in managers(patched)
    assert await subject.live(A) == patched


async def test_what_is_not_there_cannot_be_patched(subject: Subject) -> None:
    with pytest.raises(NotFoundError):
        await subject.cluster.patch(A, {"data": {}}, manager="m")


async def test_two_who_send_the_same_empty_map_are_in_conflict(subject: Subject) -> None:
    """Nothing of it is stored, so each of them adds it anew, to what the other one owns."""
    empty = config_map("a") | {"data": {}}
    await subject.cluster.apply(empty, manager="one")
    await subject.cluster.apply(empty, manager="one")
    with pytest.raises(ConflictError) as refused:
        await subject.cluster.apply(empty, manager="two")
    assert (refused.value.managers, refused.value.fields) == (("one",), (".data",))


async def test_an_empty_map_or_a_null_takes_nothing_away(subject: Subject) -> None:
    await subject.cluster.apply(config_map("a", k="1"), manager="one")
    nothings: tuple[object, ...] = ({}, None)
    for nothing in nothings:
        live = await subject.cluster.apply(config_map("a") | {"data": nothing}, manager="two")
        assert live["data"] == {"k": "1"}
