"""The JSON Schema and the models read the same documents, and refuse the same."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from clusters.objects import read_yaml
from fleet.rollout import presets
from fleet.rollout.policy import full_spec
from fleet.rollout.schema import Document, schema

ROOT = Path(__file__).resolve().parents[3]
SCHEMA = Draft202012Validator(schema())
WHOLE = (Path(__file__).parent / "whole.yaml").read_text("utf-8").split("---\n")
GROUPS = ("staging", "production")


def examples() -> Iterator[Any]:
    """Every policy that is shown to people, and the whole of what there is."""
    yield from (read_yaml(text) for text in WHOLE)
    yield read_yaml((ROOT / "deploy/example-fleet/clusters/rollout.yaml").read_text("utf-8"))
    for snippet in re.findall(r"```yaml\n(.*?)```", (ROOT / "docs/rollouts.md").read_text(), re.S):
        yield read_yaml(snippet)
    for name in ("default", "safe", "fast"):
        for groups in ((), GROUPS):
            yield rollout(presets.spec(name, groups))
            yield rollout(full_spec({"strategy": {"preset": name}}, groups))


def rollout(spec: Any) -> dict[str, Any]:
    head = {"apiVersion": "fleet.dev/v1", "kind": "Rollout", "metadata": {"name": "x"}}
    return {**head, "spec": spec}


def is_read(document: Any) -> bool:
    try:
        Document.validate_python(document)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("document", list(examples()))
def test_every_example_is_valid_by_the_schema_and_by_the_models(document: Any) -> None:
    assert [error.message for error in SCHEMA.iter_errors(document)] == []
    assert is_read(document)


def test_the_schema_itself_is_one() -> None:
    Draft202012Validator.check_schema(schema())


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every mapping and of every plain value of a document."""
    if isinstance(value, dict):
        yield path
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places(inner, (*path, index))
    else:
        yield path


def changed(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """A copy with another value there."""
    found = {"": copy.deepcopy(document)}
    place: Any = found
    for step, after in zip(("", *path), (*path, None), strict=True):
        if after is None:
            place[step] = value
        place = place[step]
    return found[""]


WRONG = (["no", "such"], {"noSuchField": 1}, 7.5, -1, "0s", "1.s", "101%", "\t", None)
ONLY_THE_MODEL = {"timezone", "default"}
"""Whether a zone exists, no schema knows."""


@pytest.mark.parametrize("document", [read_yaml(text) for text in WHOLE])
def test_a_wrong_value_anywhere_is_refused_by_both_alike(document: Any) -> None:
    tried = 0
    for path in places(document["spec"]):
        for wrong in WRONG:
            bad = changed(document, ("spec", *path), wrong)
            valid, read = SCHEMA.is_valid(bad), is_read(bad)
            tried += 1
            if read:
                assert valid, f"the schema refuses what is read: {path} = {wrong!r}"
            if valid and not ONLY_THE_MODEL & set(path):
                assert read or wrong is None, f"{path} = {wrong!r}"
    assert tried > 100


@pytest.mark.parametrize("document", [read_yaml(text) for text in WHOLE])
def test_an_unknown_field_anywhere_is_refused_by_both(document: Any) -> None:
    free = {"matchLabels"}
    for path in places(document):
        value = document
        for step in path:
            value = value[step]
        if not isinstance(value, dict) or free & set(path) or path[-1:] == ("metadata",):
            continue
        bad = changed(document, path, {**value, "noSuchField": 1}) if path else None
        if bad is not None:
            assert not SCHEMA.is_valid(bad), path
            assert not is_read(bad), path


BAD = {
    "no kind": {"apiVersion": "fleet.dev/v1", "metadata": {"name": "x"}, "spec": {}},
    "other version": {**rollout({}), "apiVersion": "fleet.dev/v9"},
    "no name": {**rollout({}), "metadata": {}},
    "parallelism 0": rollout({"stages": [{"name": "a", "group": "g", "parallelism": 0}]}),
    "parallelism 0%": rollout({"stages": [{"name": "a", "group": "g", "parallelism": "0%"}]}),
    "budget 101%": rollout({"stages": [{"name": "a", "group": "g", "failureBudget": "101%"}]}),
    "min 0": rollout({"stages": [{"name": "a", "group": "g", "minHealthy": 0}]}),
    "no time": rollout({"stages": [{"name": "a", "group": "g", "clusterDeadline": "0s"}]}),
    "bare number": rollout({"stages": [{"name": "a", "group": "g", "clusterDeadline": 30}]}),
    "empty ramp": rollout({"stages": [{"name": "a", "group": "g", "parallelism": {"ramp": []}}]}),
    "two gates in one": rollout(
        {"stages": [{"name": "a", "group": "g", "gates": {"after": [
            {"soak": "1m", "analysis": "x"}]}}]}
    ),
    "preset": rollout({"strategy": {"preset": "yolo"}}),
    "action": rollout({"onFailure": {"action": "Shrug"}}),
    "cron": rollout({"stages": [{"name": "a", "group": "g", "gates": {"before": [
        {"window": {"allow": [{"cron": "daily", "duration": "1h"}]}}]}}]}),
}  # fmt: skip


@pytest.mark.parametrize("document", BAD.values(), ids=BAD.keys())
def test_bad_documents_fail_in_both(document: Any) -> None:
    assert not SCHEMA.is_valid(document)
    assert not is_read(document)
