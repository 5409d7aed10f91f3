r"""YAML as Kubernetes reads it: YAML 1.1 booleans, no dates, duplicate keys are errors.

`kubectl` and Helm read `yes/on/y` as true, `014` and `0o14` as 12, `1_000` as 1000 and `1e3` as a
number, while dates, `12:30:45` and `=` stay text. PyYAML's C scanner does the parsing; only its
resolvers are ours. Documents are split by the parser itself, so `---# comment` (legal to Helm,
refused by a YAML parser) must be split by the caller before; `fleet.render` does that.

Never: constructs Python objects (`!!python/…` is an error), lets aliases grow a document past
`MAX_NODES`, or quotes a value in an error, since a file that does not parse may hold a Secret.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Any

import yaml

MAX_NODES = 2_000_000
"""Nodes that one document may expand to, aliases followed: a bomb stops here."""


class YamlError(ValueError):
    """Text that is not the YAML Kubernetes reads; `line` counts from 1, 0 if unknown."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


class _KubernetesLoader(yaml.CSafeLoader):
    """CSafeLoader with the resolvers of sigs.k8s.io/yaml and a check for duplicate keys."""


_KubernetesLoader.yaml_implicit_resolvers = {}
_KubernetesLoader.yaml_constructors = {
    f"tag:yaml.org,2002:{tag}": yaml.CSafeLoader.yaml_constructors[f"tag:yaml.org,2002:{tag}"]
    for tag in ("null", "seq", "str")
}
_BOOL = r"^(?:y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$"
_INT = r"^[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)$"
_FLOAT = r"^[-+]?(?:\.[0-9][0-9_]*|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?$"
_SPECIAL = r"^(?:[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
for _tag, _pattern, _first in (
    ("bool", _BOOL, "yYnNtTfFoO"),
    ("int", _INT, "-+0123456789"),
    ("float", _FLOAT, "-+0123456789."),
    ("float", _SPECIAL, "-+."),
    ("null", r"^(?:~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("merge", r"^(?:<<)$", "<"),
):
    _KubernetesLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first)
    )


def _construct_bool(loader: Any, node: yaml.ScalarNode) -> bool:
    return _text(loader, node, _BOOL).lower() in ("y", "yes", "true", "on")


def _text(loader: Any, node: yaml.Node, pattern: str) -> str:
    """A scalar's text, which an explicit tag alone does not make what the tag says."""
    text = str(loader.construct_scalar(node)) if isinstance(node, yaml.ScalarNode) else ""
    if not re.match(pattern, text):
        tag = node.tag.rpartition(":")[2]
        raise YamlError(f"a value is tagged !!{tag} and is none", node.start_mark.line + 1)
    return text


def _construct_int(loader: Any, node: yaml.ScalarNode) -> int:
    text = _text(loader, node, _INT).replace("_", "")
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.lstrip("+"))
    lower = digits.lower()
    for prefix, radix in (("0b", 2), ("0o", 8), ("0x", 16)):
        if lower.startswith(prefix):
            return sign * int(lower[2:], radix)
    return sign * int(digits, 8 if digits.startswith("0") and len(digits) > 1 else 10)


def _construct_float(loader: Any, node: yaml.ScalarNode) -> float | int:
    text = _text(loader, node, rf"{_FLOAT}|{_SPECIAL}").replace("_", "")
    if text.lower().lstrip("+-") in (".inf", ".nan"):
        raise YamlError(f"{text} is no number that JSON can hold", node.start_mark.line + 1)
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise YamlError("a number is too large", node.start_mark.line + 1)
    whole = int(number)
    return whole if whole == number and abs(whole) < 2**53 else number


def _construct_binary(loader: Any, node: yaml.ScalarNode) -> str:
    try:
        return base64.b64decode(_text(loader, node, ""), validate=False).decode()
    except (binascii.Error, ValueError) as error:
        raise YamlError("a value tagged !!binary is no text", node.start_mark.line + 1) from error


def _refuse_tag(loader: Any, node: yaml.Node) -> Any:
    """The tag is not named: it may be a password that begins with `!` and was not quoted."""
    raise YamlError(
        "a value has a tag that Kubernetes does not read; text that begins with ! needs quotes",
        node.start_mark.line + 1,
    )


def _construct_mapping(loader: Any, node: yaml.MappingNode) -> Iterator[dict[str, Any]]:
    _refuse_duplicates(loader, node)
    mapping: dict[str, Any] = {}
    yield mapping
    loader.flatten_mapping(node)
    for key_node, value_node in node.value:
        key = _text_key(loader.construct_object(key_node, deep=True), key_node)
        mapping[key] = loader.construct_object(value_node, deep=True)


def _refuse_duplicates(loader: Any, node: yaml.MappingNode) -> None:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        if key_node.tag == "tag:yaml.org,2002:merge":
            continue
        key = loader.construct_object(key_node, deep=True)
        if not isinstance(key, str | int | float | bool):
            raise YamlError("a key is not text", key_node.start_mark.line + 1)
        if key in seen:
            raise YamlError(f"key {key!r} is there twice", key_node.start_mark.line + 1)
        seen.add(key)


def _text_key(key: Any, node: yaml.Node) -> str:
    if isinstance(key, bool):
        return "true" if key else "false"
    if isinstance(key, str | int | float):
        return str(key)
    raise YamlError("a key is not text", node.start_mark.line + 1)


_KubernetesLoader.add_constructor("tag:yaml.org,2002:bool", _construct_bool)
_KubernetesLoader.add_constructor("tag:yaml.org,2002:int", _construct_int)
_KubernetesLoader.add_constructor("tag:yaml.org,2002:float", _construct_float)
_KubernetesLoader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)
_KubernetesLoader.add_constructor("tag:yaml.org,2002:binary", _construct_binary)
_KubernetesLoader.add_constructor(None, _refuse_tag)


def read_yaml_documents(text: str | bytes) -> list[Any]:
    """Every document of a YAML (or JSON) stream in order; empty documents are left out.

    Errors: `YamlError` with the line.
    """
    return [value for value, _ in read_yaml_documents_with_lines(text)]


def read_yaml_documents_with_lines(text: str | bytes) -> list[tuple[Any, int]]:
    """As `read_yaml_documents`, each with the line (from 1) at which it starts."""
    try:
        loader = _KubernetesLoader(text)
        try:
            return list(_documents(loader))
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise YamlError(error.problem or "not YAML", mark.line + 1 if mark else 0) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise YamlError(str(error).splitlines()[0]) from error
    except RecursionError as error:
        raise YamlError("nested too deeply") from error
    except ValueError as error:
        if isinstance(error, YamlError):
            raise
        raise YamlError("a value is not what its tag says, or too large") from error


def _documents(loader: Any) -> Iterator[tuple[Any, int]]:
    while loader.check_node():
        node = loader.get_node()
        if node is None:
            continue
        if _expanded_size(node, {}) > MAX_NODES:
            raise YamlError(f"expands to more than {MAX_NODES} nodes: an alias bomb?")
        value = loader.construct_document(node)
        if value is not None:
            yield value, node.start_mark.line + 1


def _expanded_size(node: yaml.Node, known: dict[int, int]) -> int:
    """Number of nodes with aliases followed, computed once for each node."""
    cached = known.get(id(node))
    if cached is not None:
        if cached < 0:
            raise YamlError("an alias contains itself", node.start_mark.line + 1)
        return cached
    known[id(node)] = -1
    total = 1
    if isinstance(node, yaml.SequenceNode):
        total += sum(_expanded_size(item, known) for item in node.value)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            total += _expanded_size(key, known) + _expanded_size(value, known)
    known[id(node)] = total
    return total


def read_yaml(text: str | bytes) -> Any:
    """The single document of a file; `None` for an empty file.

    Errors: `YamlError`, also if there is a second document.
    """
    documents = read_yaml_documents(text)
    if len(documents) > 1:
        raise YamlError(f"has {len(documents)} documents where one is expected")
    return documents[0] if documents else None


class _Dumper(yaml.CSafeDumper):
    """Block style, no aliases, quotes wherever Kubernetes' reading would differ from text."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_text(dumper: Any, text: str) -> Any:
    if "\n" in text:
        style = "|" if not re.search(r"[ \t]\n|\t|[\x00-\x08\x7f]|\r", text) else '"'
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)
    if any(
        pattern.match(text)
        for _, pattern in _KubernetesLoader.yaml_implicit_resolvers.get(text[:1], [])
    ):
        return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="'")
    return dumper.represent_scalar("tag:yaml.org,2002:str", text)


_Dumper.add_representer(str, _represent_text)


def dump_yaml(documents: list[Any]) -> str:
    """A YAML stream of the documents, `---` between them; reads back as equal values."""
    return str(
        yaml.dump_all(
            documents, Dumper=_Dumper, sort_keys=False, default_flow_style=False, width=4096
        )
    )
