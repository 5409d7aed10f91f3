"""Bodies in Kubernetes' protobuf form, as kubectl's `create` and typed Go clients send them.

::

    k8s\\0  Unknown{typeMeta{apiVersion, kind}, raw}      raw is the message of that kind

`messages.binpb.xz` describes the messages of Kubernetes 1.37: `python -m tests.protobuf_generation`
writes it from the published sources. A message becomes the object that the same client would have
sent as JSON: fields inlined where Go inlines them, and times, quantities, durations and the like in
their JSON form. Zero values count only where Go has a pointer, as in Go's own JSON.

The one door to the `protobuf` package. Never answers in this form: clients take JSON as well.
"""

from __future__ import annotations

import base64
import lzma
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import orjson

from clusters.objects import Kind, Object, split_api_version
from clusters.simulation.server.rejections import BadRequestError
from clusters.simulation.server.schema import definition_name

MESSAGES = Path(__file__).with_name("messages.binpb.xz")
MEDIA_TYPE = "application/vnd.kubernetes.protobuf"
INLINE = "*"
"""The `json_name` of a field whose own fields stand in the message around it."""

_MAGIC = b"k8s\x00"
_MACHINERY = "k8s.io.apimachinery.pkg."
_META = f"{_MACHINERY}apis.meta.v1."
_EXTENSIONS = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1."


def read_protobuf(data: bytes) -> Object:
    """The object that a body holds. Errors: `BadRequestError`."""
    if not data.startswith(_MAGIC):
        raise BadRequestError("the body does not begin as Kubernetes' protobuf form does")
    try:
        envelope = _parsed(f"{_MACHINERY}runtime.Unknown", data[len(_MAGIC) :])
        api_version, kind = envelope.typeMeta.apiVersion, envelope.typeMeta.kind
        read = _object(_parsed(message_name(api_version, kind), envelope.raw))
    except (_decode_error(), ValueError, OverflowError) as error:
        raise BadRequestError(f"the protobuf body cannot be read: {error}") from error
    return {"apiVersion": api_version, "kind": kind, **read}


def message_name(api_version: str, kind: str) -> str:
    """The full name of a kind's message. Errors: `BadRequestError` if it is not described."""
    group, version = split_api_version(api_version)
    definition = definition_name(Kind(group, kind), version)
    if kind == "DeleteOptions":  # one message for all groups
        definition = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
    if not definition:
        raise BadRequestError(f"{kind} of {api_version} is not read as protobuf here: send JSON")
    return definition.replace("io.k8s.", "k8s.io.", 1).replace("-", "_")


@cache
def _pool() -> tuple[Any, tuple[str, ...]]:
    """The descriptors of all messages, and their full names."""
    from google.protobuf import descriptor_pb2, descriptor_pool

    files = descriptor_pb2.FileDescriptorSet.FromString(lzma.decompress(MESSAGES.read_bytes()))
    pool = descriptor_pool.DescriptorPool()
    waiting = {file.name: file for file in files.file}
    while waiting:  # a file can be added when those it needs are there
        for name, file in list(waiting.items()):
            if not waiting.keys() & set(file.dependency):
                pool.Add(waiting.pop(name))
    names = (f"{file.package}.{item.name}" for file in files.file for item in file.message_type)
    return pool, tuple(sorted(names))


def message_names() -> tuple[str, ...]:
    """The full name of every message that is described, sorted."""
    return _pool()[1]


@cache
def message_class(name: str) -> Any:
    """The class of a message. Errors: `KeyError` if it is not described."""
    from google.protobuf import message_factory

    return message_factory.GetMessageClass(_pool()[0].FindMessageTypeByName(name))


def _decode_error() -> type[Exception]:
    from google.protobuf.message import DecodeError

    error: type[Exception] = DecodeError
    return error


def _parsed(name: str, data: bytes) -> Any:
    return message_class(name).FromString(data)


def _object(message: Any) -> Object:
    return dict(_fields(message))


def _fields(message: Any) -> Iterator[tuple[str, Any]]:
    for field, held in message.ListFields():
        if field.json_name == INLINE:
            yield from _fields(held)
            continue
        value = _field_value(field, held)
        if value is not None:
            yield field.json_name, value


def _field_value(field: Any, held: Any) -> Any:
    if not field.is_repeated:
        return json_value(held)
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return {key: json_value(held[key]) for key in sorted(held)}
    return [json_value(item) for item in held]


def json_value(held: Any) -> Any:
    """A scalar or a message in its JSON form; `None` for a zero time."""
    if isinstance(held, bytes):
        return base64.b64encode(held).decode()
    if isinstance(held, str | int | float):
        return held
    special = _SPECIAL.get(held.DESCRIPTOR.full_name)
    return special(held) if special else _object(held)


def _time(message: Any) -> str | None:
    if not message.ListFields():
        return None
    return f"{_moment(message):%Y-%m-%dT%H:%M:%SZ}"


def _micro_time(message: Any) -> str | None:
    if not message.ListFields():
        return None
    return f"{_moment(message):%Y-%m-%dT%H:%M:%S.%fZ}"


def _moment(message: Any) -> datetime:
    since = timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)
    return datetime(1970, 1, 1, tzinfo=UTC) + since


def _duration(message: Any) -> str:
    """In seconds, which is one of Go's ways to write it."""
    seconds, rest = divmod(message.duration, 10**9)
    return f"{seconds}.{rest:09}".rstrip("0").rstrip(".") + "s"


def _number_or_text(message: Any) -> int | str:
    """An IntOrString."""
    text: int | str = message.strVal if message.type else message.intVal
    return text


def _embedded(message: Any) -> Any:
    """JSON, or another object in protobuf form, kept as bytes."""
    raw = message.ListFields()[0][1] if message.ListFields() else b""
    if raw.startswith(_MAGIC):
        return read_protobuf(raw)
    return orjson.loads(raw) if raw else None


def _items(message: Any) -> list[str]:
    return list(message.items)


def _schema_or_bool(message: Any) -> Any:
    return _object(message.schema) if message.HasField("schema") else message.allows


def _schema_or_list(message: Any) -> Any:
    if message.HasField("schema"):
        return _object(message.schema)
    return [_object(schema) for schema in message.jSONSchemas]


def _schema_or_names(message: Any) -> Any:
    return _object(message.schema) if message.HasField("schema") else list(message.property)


_SPECIAL: dict[str, Callable[[Any], Any]] = {
    f"{_META}Time": _time,
    f"{_META}MicroTime": _micro_time,
    f"{_META}Duration": _duration,
    f"{_META}FieldsV1": _embedded,
    f"{_META}Verbs": _items,
    f"{_MACHINERY}runtime.RawExtension": _embedded,
    f"{_MACHINERY}api.resource.Quantity": lambda message: message.string,
    f"{_MACHINERY}util.intstr.IntOrString": _number_or_text,
    "k8s.io.api.authentication.v1.ExtraValue": _items,
    "k8s.io.api.authorization.v1.ExtraValue": _items,
    "k8s.io.api.certificates.v1.ExtraValue": _items,
    f"{_EXTENSIONS}JSON": _embedded,
    f"{_EXTENSIONS}JSONSchemaPropsOrBool": _schema_or_bool,
    f"{_EXTENSIONS}JSONSchemaPropsOrArray": _schema_or_list,
    f"{_EXTENSIONS}JSONSchemaPropsOrStringArray": _schema_or_names,
}
"""Messages that are no objects in JSON."""
