"""A CustomResourceDefinition makes a kind that is served, checked and merged by its schema."""

from __future__ import annotations

import pytest

from clusters.errors import InvalidError, KindNotFoundError
from clusters.simulation.server.rejections import BadRequestError, RejectedError
from tests.clusters.simulation.samples import (
    WIDGET,
    new_server,
    widget,
    widget_definition,
)


def test_the_kind_is_unknown_before_and_served_after() -> None:
    server = new_server()
    with pytest.raises(KindNotFoundError):
        server.apply(widget(), manager="m")
    definition = server.apply(widget_definition(), manager="m")
    conditions = {item["type"]: item["status"] for item in definition["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}
    resource = server.resources().find(WIDGET.kind_key)
    assert resource is not None
    assert (resource.plural, resource.namespaced, resource.api_version) == (
        "widgets",
        True,
        "example.com/v1",
    )
    assert server.apply(widget(), manager="m")["spec"]["color"] == "blue"


def test_one_clusters_kinds_are_not_anothers() -> None:
    one, other = new_server(), new_server()
    one.apply(widget_definition(), manager="m")
    assert other.resources().find(WIDGET.kind_key) is None


def test_defaults_and_required_fields_come_from_the_schema() -> None:
    server = new_server()
    server.apply(widget_definition(), manager="m")
    assert server.apply(widget(), manager="m")["spec"]["count"] == 3
    colorless = widget()
    del colorless["spec"]["color"]
    with pytest.raises(RejectedError) as caught:
        server.create({**colorless, "metadata": {"name": "x", "namespace": "default"}})
    assert caught.value.fields == ("spec.color",)


def test_a_wrong_type_is_refused_and_an_unknown_field_pruned() -> None:
    server = new_server()
    server.apply(widget_definition(), manager="m")
    with pytest.raises(InvalidError, match=r"spec\.count in body must be of type integer"):
        server.create(widget(count="many"))
    live = server.create(widget(colour="red", free={"any": {"thing": [1]}}))
    assert "colour" not in live["spec"]
    assert live["spec"]["free"] == {"any": {"thing": [1]}}


def test_status_is_a_subresource_and_the_generation_counts_the_rest() -> None:
    server = new_server()
    server.apply(widget_definition(), manager="m")
    live = server.create({**widget(), "status": {"ready": True}})
    assert "status" not in live
    server.patch(WIDGET, {"spec": {"color": "red"}}, manager="m")
    assert server.get(WIDGET)["metadata"]["generation"] == 2


def test_without_a_status_subresource_status_is_written_with_the_rest() -> None:
    server = new_server()
    server.apply(widget_definition(subresources={}), manager="m")
    loose = widget_definition(subresources={})
    schema = loose["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    schema["properties"]["status"]["x-kubernetes-preserve-unknown-fields"] = True
    server.apply(loose, manager="m")
    assert server.create({**widget(), "status": {"ready": True}})["status"] == {"ready": True}


def test_every_served_version_shows_the_same_object() -> None:
    server = new_server()
    definition = widget_definition()
    beta = {**definition["spec"]["versions"][0], "name": "v1beta1", "storage": False}
    definition["spec"]["versions"].append(beta)
    server.apply(definition, manager="m")
    server.apply({**widget(), "apiVersion": "example.com/v1beta1"}, manager="m")
    assert server.get(WIDGET)["apiVersion"] == "example.com/v1"
    assert server.get(WIDGET, version="v1beta1")["apiVersion"] == "example.com/v1beta1"
    resource = server.resources().find(WIDGET.kind_key)
    assert resource is not None
    assert resource.versions == ("v1", "v1beta1")


def test_a_definition_must_be_named_after_what_it_defines() -> None:
    wrong = widget_definition()
    wrong["metadata"]["name"] = "widgets"
    with pytest.raises(RejectedError) as caught:
        new_server().apply(wrong, manager="m")
    assert "metadata.name" in caught.value.fields


def test_a_strategic_merge_patch_is_for_built_in_kinds_only() -> None:
    server = new_server()
    server.apply(widget_definition(), manager="m")
    server.apply(widget(), manager="m")
    with pytest.raises(BadRequestError):
        server.patch(WIDGET, {"spec": {"color": "red"}}, patch_type="strategic", manager="m")
