"""clusters/simulation/http/messages.binpb.xz from Kubernetes' published sources.

`python -m tests.protobuf_generation [VERSION]` writes it (VERSION is that of `k8s.io/api`, such as
v0.37.2). It needs Go's `go mod download`, and compiles nothing: `generated.proto` says which fields
a message has, and the tags in the Go types what a proto file cannot say::

    Replicas *int32 `json:"replicas,omitempty" protobuf:"varint,1,opt,name=replicas"`
             └ a pointer: 0 is a value, so the field has explicit presence; others have implicit
    ProbeHandler    `json:"" protobuf:"bytes,1,opt,name=handler"`
                           └ no name: its fields stand in the message around it, json_name `INLINE`

The result is a FileDescriptorSet (editions 2023) of the packages below, compressed.
"""

from __future__ import annotations

import json
import lzma
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from google.protobuf import descriptor_pb2

from clusters.simulation.http.protobuf import INLINE, MESSAGES
from clusters.simulation.server.schema import SCHEMA_VERSION

GROUPS = (
    "admissionregistration/v1 apps/v1 authentication/v1 authorization/v1 autoscaling/v1 "
    "autoscaling/v2 batch/v1 certificates/v1 coordination/v1 core/v1 discovery/v1 events/v1 "
    "flowcontrol/v1 networking/v1 node/v1 policy/v1 rbac/v1 resource/v1 scheduling/v1 "
    "scheduling/v1alpha3 storage/v1"
).split()
PACKAGES = {
    "k8s.io/apimachinery": [
        *("pkg/api/resource", "pkg/util/intstr", "pkg/runtime", "pkg/runtime/schema"),
        "pkg/apis/meta/v1",
    ],
    "k8s.io/api": GROUPS,
    "k8s.io/apiextensions-apiserver": ["pkg/apis/apiextensions/v1"],
    "k8s.io/kube-aggregator": ["pkg/apis/apiregistration/v1"],
}
Field = descriptor_pb2.FieldDescriptorProto
SCALARS = {
    "string": Field.TYPE_STRING,
    "bytes": Field.TYPE_BYTES,
    "bool": Field.TYPE_BOOL,
    "int32": Field.TYPE_INT32,
    "int64": Field.TYPE_INT64,
    "double": Field.TYPE_DOUBLE,
}
IMPORT = re.compile(r'^import "(.+)";$', re.M)
MESSAGE = re.compile(r"^message (\w+) \{\n(.*?)^\}", re.M | re.S)
FIELD = re.compile(
    r"^  (optional|repeated|map<string, ([.\w]+)>)(?: ([.\w]+))? (\w+) = (\d+);$", re.M
)
STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.M | re.S)
TAG = re.compile(
    r'^\t(?:\w+\s+)?(\S+)\s+`json:"([^"]*)"[^`]*\bprotobuf:"[\w,]*?(?:,name=(\w+)[^"]*)?"', re.M
)


class Said(NamedTuple):
    """What a Go type says of a field."""

    pointer: bool
    json_name: str
    """`INLINE` for a field that has none."""


def main(version: str) -> None:
    """Write the file."""
    found = descriptor_pb2.FileDescriptorSet()
    for module, packages in PACKAGES.items():
        root = module_folder(module, version)
        for package in packages:
            found.file.append(described(f"{module}/{package}", root / package))
    data = found.SerializeToString(deterministic=True)
    MESSAGES.write_bytes(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))


def module_folder(module: str, version: str) -> Path:
    """Where Go keeps a module, downloaded if need be."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["go", "mod", "download", "-json", f"{module}@{version}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, check=True)
    return Path(json.loads(done.stdout)["Dir"])


def described(name: str, folder: Path) -> descriptor_pb2.FileDescriptorProto:
    """One package as a descriptor of one file."""
    text = (folder / "generated.proto").read_text("utf-8")
    said = dict(tags(folder))
    file = descriptor_pb2.FileDescriptorProto(
        name=f"{name}/generated.proto",
        package=name.replace("/", ".").replace("-", "_"),
        dependency=IMPORT.findall(text),
        syntax="editions",
        edition=descriptor_pb2.EDITION_2023,
    )
    text = re.sub(r"^\s*//.*\n", "", text, flags=re.M)
    for message, body in MESSAGE.findall(text):
        fill(file.message_type.add(name=message), f".{file.package}", body, said)
    return file


def tags(folder: Path) -> Iterator[tuple[tuple[str, str], Said]]:
    """((message, field), what its Go type says) of a package's sources."""
    for path in sorted(folder.glob("*.go")):
        if not path.name.endswith("_test.go"):
            for struct, body in STRUCT.findall(path.read_text("utf-8")):
                for kind, json_name, name in TAG.findall(body):
                    own = name or f"{kind[0].lower()}{kind[1:]}"  # an embedded type
                    yield (struct, own), Said(kind[0] == "*", json_name.partition(",")[0] or INLINE)


def fill(
    message: descriptor_pb2.DescriptorProto,
    package: str,
    body: str,
    said: dict[tuple[str, str], Said],
) -> None:
    """The fields of a message."""
    for rule, map_value, kind, name, number in FIELD.findall(body):
        tag = said.get((message.name, name), Said(pointer=False, json_name=name))
        field = message.field.add(
            name=name, number=int(number), label=Field.LABEL_REPEATED, json_name=tag.json_name
        )
        if map_value:
            entry = f"{name[0].upper()}{name[1:]}Entry"
            set_type(field, f"{package}.{message.name}.{entry}", "")
            nested = message.nested_type.add(name=entry)
            nested.options.map_entry = True
            for place, (part, of) in enumerate((("key", "string"), ("value", map_value)), 1):
                inner = nested.field.add(name=part, number=place, label=Field.LABEL_OPTIONAL)
                set_type(inner, of, package)
            continue
        set_type(field, kind, package)
        if rule == "optional":
            field.label = Field.LABEL_OPTIONAL
            if kind in SCALARS and not tag.pointer:
                field.options.features.field_presence = descriptor_pb2.FeatureSet.IMPLICIT


def set_type(field: descriptor_pb2.FieldDescriptorProto, kind: str, package: str) -> None:
    """A scalar, or a message by its full name; a bare name is one of this package."""
    if kind in SCALARS:
        field.type = SCALARS[kind]
    else:
        field.type = Field.TYPE_MESSAGE
        field.type_name = kind if kind.startswith(".") else f"{package}.{kind}"


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else f"v0.{SCHEMA_VERSION.partition('.')[2]}.2")
