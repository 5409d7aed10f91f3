"""Protobuf bodies become what the same client would have sent as JSON."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pytest

from clusters.objects import Object
from clusters.simulation.http.protobuf import (
    INLINE,
    json_value,
    message_class,
    message_name,
    message_names,
    read_protobuf,
)
from clusters.simulation.server.builtin import BUILT_IN
from clusters.simulation.server.rejections import BadRequestError
from clusters.simulation.server.schema import definitions
from tests.clusters.simulation.http.client import protobuf_body

CORE = "k8s.io.api.core.v1"
ZERO_IN_FIELD_4 = struct.pack("BB", 4 << 3, 0)


def read(api_version: str, kind: str, message: Any) -> Object:
    """What is understood of it."""
    return read_protobuf(protobuf_body(api_version, kind, message))


def new(kind: str, package: str = CORE, **fields: Any) -> Any:
    """A message."""
    return message_class(f"{package}.{kind}")(**fields)


def field_names(descriptor: Any) -> Iterator[str]:
    """The JSON names of a message's fields, with those of inlined ones."""
    for field in descriptor.fields:
        if field.json_name == INLINE:
            yield from field_names(field.message_type)
        else:
            yield field.json_name


def test_every_message_has_the_fields_of_the_published_schema() -> None:
    compared = 0
    for name in message_names():
        schema = definitions().get(name.replace("k8s.io.", "io.k8s.", 1).replace("_", "-"), {})
        wanted = set(schema.get("properties", ()))
        if wanted:
            found = set(field_names(message_class(name).DESCRIPTOR))
            # The envelope has these of a whole object; a reference has them as fields.
            assert wanted in (found, found | {"apiVersion", "kind"}), name
            compared += 1
    assert compared > 500


def test_every_built_in_kind_has_a_message() -> None:
    for kind, traits in BUILT_IN.items():
        for version in traits.resource.versions:
            api_version = f"{kind.group}/{version}" if kind.group else version
            assert message_name(api_version, kind.kind) in message_names()


def test_a_zero_counts_only_where_go_has_a_pointer() -> None:
    spec = message_class("k8s.io.api.apps.v1.DeploymentSpec")(replicas=0).SerializeToString()
    spec += ZERO_IN_FIELD_4  # minReadySeconds, which Go writes always
    raw = bytes([2 << 3 | 2, len(spec)]) + spec  # the Deployment with that spec
    assert read("apps/v1", "Deployment", raw)["spec"] == {"replicas": 0}


def test_what_go_inlines_stands_in_the_object_around_it() -> None:
    pod = new("Pod")
    container = pod.spec.containers.add(name="app")
    container.livenessProbe.handler.httpGet.path = "/healthz"
    container.livenessProbe.handler.httpGet.port.intVal = 8080
    container.readinessProbe.handler.httpGet.port.type = 1
    container.readinessProbe.handler.httpGet.port.strVal = "web"
    pod.spec.volumes.add(name="data").volumeSource.emptyDir.medium = "Memory"
    spec = read("v1", "Pod", pod)["spec"]
    assert spec["containers"] == [
        {
            "name": "app",
            "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080}},
            "readinessProbe": {"httpGet": {"port": "web"}},
        }
    ]
    assert spec["volumes"] == [{"name": "data", "emptyDir": {"medium": "Memory"}}]


def test_bytes_quantities_and_maps_have_their_json_form() -> None:
    secret = read("v1", "Secret", new("Secret", data={"b": b"\x00\xff", "a": b"x"}, type="Opaque"))
    assert secret["data"] == {"a": "eA==", "b": "AP8="}
    quota = new("ResourceQuota")
    quota.spec.hard["pods"].string = "10"
    assert read("v1", "ResourceQuota", quota)["spec"] == {"hard": {"pods": "10"}}


def test_times_have_their_json_form_and_a_zero_time_is_none() -> None:
    event = new("Event", package="k8s.io.api.events.v1", reason="Made")
    event.metadata.creationTimestamp.SetInParent()
    event.deprecatedFirstTimestamp.seconds = 1893553445
    event.eventTime.seconds, event.eventTime.nanos = 1893553445, 123456000
    assert read("events.k8s.io/v1", "Event", event) == {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {},
        "reason": "Made",
        "deprecatedFirstTimestamp": "2030-01-02T03:04:05Z",
        "eventTime": "2030-01-02T03:04:05.123456Z",
    }


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [(90 * 10**9, "90s"), (1_500_000_000, "1.5s"), (0, "0s"), (1, "0.000000001s")],
)
def test_a_duration_is_text_that_go_reads(nanoseconds: int, text: str) -> None:
    duration = new("Duration", "k8s.io.apimachinery.pkg.apis.meta.v1", duration=nanoseconds)
    assert json_value(duration) == text


def test_embedded_objects_may_be_json_or_protobuf_themselves() -> None:
    package = "k8s.io.api.apps.v1"
    revision = new("ControllerRevision", package, revision=3)
    revision.data.raw = b'{"spec":{"a":[1]}}'
    assert read("apps/v1", "ControllerRevision", revision)["data"] == {"spec": {"a": [1]}}
    revision.data.raw = protobuf_body("v1", "ConfigMap", new("ConfigMap", data={"a": "1"}))
    inner = read("apps/v1", "ControllerRevision", revision)["data"]
    assert (inner["kind"], inner["data"]) == ("ConfigMap", {"a": "1"})


def test_schemas_of_custom_kinds_keep_their_alternatives() -> None:
    package = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1"
    definition = new("CustomResourceDefinition", package)
    schema = definition.spec.versions.add(name="v1").schema.openAPIV3Schema
    schema.additionalProperties.allows = True
    schema.items.jSONSchemas.add(type="string")
    schema.default.raw = b'{"a":1}'
    schema.xKubernetesPreserveUnknownFields = False
    read_schema = read("apiextensions.k8s.io/v1", "CustomResourceDefinition", definition)
    assert read_schema["spec"]["versions"][0]["schema"]["openAPIV3Schema"] == {
        "additionalProperties": True,
        "items": [{"type": "string"}],
        "default": {"a": 1},
        "x-kubernetes-preserve-unknown-fields": False,
    }


def test_delete_options_are_read_for_every_group() -> None:
    options = new("DeleteOptions", "k8s.io.apimachinery.pkg.apis.meta.v1")
    options.propagationPolicy = "Foreground"
    options.preconditions.uid = "u"
    for api_version in ("v1", "apps/v1", "meta.k8s.io/v1"):
        found = read(api_version, "DeleteOptions", options)
        assert found["propagationPolicy"] == "Foreground"
        assert found["preconditions"] == {"uid": "u"}


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"{}", "does not begin"),
        (b"k8s\x00\xff\xff", "cannot be read"),
        (protobuf_body("example.com/v1", "Widget", b""), "Widget of example.com/v1 is not read"),
        (protobuf_body("v1", "ConfigMap", b"\x0a\xff"), "cannot be read"),
        (protobuf_body("v1", "Pod", b"\x0a\x06\x42\x04\x08\x80\x80\x80"), "cannot be read"),
    ],
)
def test_what_cannot_be_read_is_a_bad_request(data: bytes, what: str) -> None:
    with pytest.raises(BadRequestError, match=what):
        read_protobuf(data)


def test_a_time_beyond_all_calendars_is_a_bad_request() -> None:
    config = new("ConfigMap")
    config.metadata.creationTimestamp.seconds = 2**60
    with pytest.raises(BadRequestError, match="cannot be read"):
        read("v1", "ConfigMap", config)
