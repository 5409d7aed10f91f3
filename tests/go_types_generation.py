"""clusters/simulation/server/go_types.txt from the Go types that Kubernetes publishes.

`python -m tests.go_types_generation [VERSION]` writes it (VERSION is that of `k8s.io/api`). It
needs Go's `go mod download`, and compiles nothing: the JSON tags of a struct and the types of its
fields say all::

    ServiceName string            `json:"serviceName"`                   S  written when empty
    Replicas    *int32            `json:"replicas,omitempty"`               a pointer: out if nil
    Strategy    DeploymentStrategy `json:"strategy,omitempty"`           {  a struct: always there
    LastSeen    metav1.Time       `json:"lastSeen,omitempty"`            N  a time: null if zero

The letters are those of `clusters.simulation.server.go_types`.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from clusters.simulation.server import go_types
from clusters.simulation.server.schema import SCHEMA_VERSION, definitions
from tests.protobuf_generation import PACKAGES, module_folder

VERSION = f"v0.{SCHEMA_VERSION.partition('.')[2]}.2"
TABLE = Path(go_types.__file__).with_suffix(".txt")
STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.M | re.S)
NAMED = re.compile(r"^type (\w+) (=? ?[\w.\[\]*]+)$", re.M)
FIELD = re.compile(r'^\t(?:(\w+) +)?(\S+) +`[^`]*?json:"([^"]*)"', re.M)
LETTERS = {"string": "s", "bool": "b"} | dict.fromkeys(
    ("int", "int32", "int64", "uint32", "uint64", "float64"), "i"
)
ALWAYS = {"Time": "N", "MicroTime": "N", "Quantity": "Q", "IntOrString": "I"}
ORDER = "NSIBQsib{"


def main(version: str) -> None:
    """Write the table."""
    TABLE.write_text(table(version), "utf-8")


def table(version: str) -> str:
    """The whole table."""
    return "".join(sorted(f"{line}\n" for line in lines(version)))


def sources_are_here(version: str) -> bool:
    """Whether Go has all modules already, so that nothing is downloaded."""
    go = shutil.which("go")
    if go is None:
        return False
    told = subprocess.run([go, "env", "GOMODCACHE"], capture_output=True, text=True, check=True)
    return all((Path(told.stdout.strip()) / f"{name}@{version}").is_dir() for name in PACKAGES)


def lines(version: str) -> Iterator[str]:
    """A line for each published struct of which some field is written, or left out, when zero."""
    texts = {}
    for module, packages in (*PACKAGES.items(), ("k8s.io/api", ["storagemigration/v1"])):
        folder = module_folder(module, version)
        for package in (name for name in packages if "alpha" not in name):
            name = f"{module.partition('/')[2]}/{package}".replace("/", ".")
            texts[name] = sources(folder / package)
    aliases = {name: kind for text in texts.values() for name, kind in NAMED.findall(text)}
    aliases |= {"UID": "string", "NodeName": "string"}
    for package, text in texts.items():
        structs = dict(STRUCT.findall(text))
        for name in structs:
            if f"io.k8s.{package}.{name}" in definitions() and not name.endswith("List"):
                groups = grouped(name, structs, aliases)
                shown = (f"{key}:{','.join(sorted(groups[key]))}" for key in ORDER if key in groups)
                if groups:
                    yield f"{package}.{name} {' '.join(shown)}"


def sources(folder: Path) -> str:
    """The text of a package that people wrote."""
    names = (path for path in sorted(folder.glob("*.go")) if not path.name.endswith("_test.go"))
    return "\n".join(p.read_text("utf-8") for p in names if not p.name.startswith("zz_gener"))


def grouped(name: str, structs: dict[str, str], aliases: dict[str, str]) -> dict[str, list[str]]:
    """The fields of a struct by letter, with those of the structs that it embeds."""
    groups: dict[str, list[str]] = {}
    body = structs[name]
    for _, go_name, tag in FIELD.findall(body):
        field = tag.split(",")[0]
        if not field and go_name in structs and go_name != "TypeMeta":
            for letter, names in grouped(go_name, structs, aliases).items():
                groups.setdefault(letter, []).extend(names)
        letter = letter_of(go_name, tag, aliases)
        hidden = field in ("", "-") or (field == "metadata" and "TypeMeta" in body)
        if letter and not hidden:
            groups.setdefault(letter, []).append(field)
    return groups


def letter_of(go_name: str, tag: str, aliases: dict[str, str]) -> str:
    """The letter of a field, empty for one that is written if and only if it is set."""
    optional = "omit" in tag
    while (short := go_name.rpartition(".")[2]) in aliases and go_name[0] not in "*[":
        go_name = aliases[short]
    if go_name.startswith(("*", "[", "map[")):
        return "" if optional else "N"
    if letter := LETTERS.get(go_name):
        return letter if optional else letter.upper()
    if "omitzero" in tag or short == "RawExtension":
        return ""
    if short in ALWAYS:
        return ALWAYS[short]
    return "{"


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else VERSION)
