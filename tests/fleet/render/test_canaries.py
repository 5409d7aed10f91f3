"""A Secret with a mistake in it: the mistake is named, and never the value that it is about."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clusters.objects import YamlError, read_yaml_documents
from fleet.model import Form
from fleet.render import Renderer
from tests.fleet.render.renders import helm, kustomization, problem, raw, render

CANARY = "c4n4ry"
HEAD = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: password\n"
MISTAKES = {
    "text that begins with !": f"  password: !{CANARY}\n",
    "text that begins with *": f"  password: *{CANARY}\n",
    "text that begins with @": f"  password: @{CANARY}\n",
    "a colon": f"  password: a: {CANARY}\n",
    "a quote that does not end": f'  password: "{CANARY}\n',
    "an escape that is none": f'  password: "{CANARY}\\q"\n',
    "a key twice": f"  password: {CANARY}\n  password: {CANARY}2\n",
    "a tab": f"\tpassword: {CANARY}\n",
    "a key that is a list": f"  ? [{CANARY}]\n  : x\n",
    "a number that is none": f"  password: !!int {CANARY}\n",
    "a fraction that is none": f"  password: !!float {CANARY}\n",
    "a truth that is none": f"  password: !!bool {CANARY}\n",
    "a time that is none": f"  password: !!timestamp {CANARY}\n",
    "bytes that are no text": f"  password: !!binary {CANARY}\n",
    "an object of Python": f"  password: !!python/object:{CANARY} x\n",
    "a map that is none": f"  password: !!map {CANARY}\n",
    "a merge of text": f"  <<: {CANARY}\n",
    "an indent that is less": f"  password: |\n {CANARY}\n",
}
KUSTOMIZATIONS: dict[str, dict[str, Any]] = {
    "a literal without a name": {"secretGenerator": [{"name": "a", "literals": [CANARY]}]},
    "a name twice": {
        "secretGenerator": [{"name": "a", "literals": [f"p={CANARY}", f"p={CANARY}2"]}]
    },
    "a field below a value": {
        "resources": ["secret.yaml"],
        "replacements": [{
            "source": {"kind": "Secret", "fieldPath": "stringData.password.x"},
            "targets": [{"select": {"kind": "Secret"}, "fieldPaths": ["stringData.x"]}],
        }],
    },
    "a patch of a value that differs": {
        "resources": ["secret.yaml"],
        "patches": [{
            "target": {"kind": "Secret"},
            "patch": f"- {{op: test, path: /stringData/password, value: {CANARY}2}}",
        }],
    },
    "an object twice": {"resources": ["secret.yaml", "again.yaml"]},
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_what_cannot_be_read_is_told_by_its_line_alone(mistake: str) -> None:
    with pytest.raises(YamlError) as refused:
        read_yaml_documents(f"{HEAD}stringData:\n{mistake}")
    assert str(refused.value)
    assert CANARY not in str(refused.value)


def test_no_form_of_a_source_shows_what_a_secret_holds(renderer: Renderer) -> None:
    for name, mistake in MISTAKES.items():
        text = f"{HEAD}stringData:\n{mistake}"
        chart = {"chart/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n"}
        for found in (
            raw(renderer, {"app/secret.yaml": text}),
            helm(renderer, {**chart, "chart/templates/secret.yaml": text}),
        ):
            assert CANARY not in repr(problem(found)), name


@pytest.mark.parametrize("name", ["text that begins with *", "a number that is none"])
def test_kustomize_does_not_show_what_it_could_not_read(renderer: Renderer, name: str) -> None:
    files = {
        "app/secret.yaml": f"{HEAD}stringData:\n{MISTAKES[name]}",
        "app/kustomization.yaml": kustomization(resources=["secret.yaml"]),
    }
    found = problem(render(renderer, files, Form.KUSTOMIZE, "app"))
    assert found.code == "kustomize-failed"
    assert CANARY not in found.what


@pytest.mark.parametrize("fields", KUSTOMIZATIONS.values(), ids=KUSTOMIZATIONS)
def test_kustomize_does_not_show_what_it_could_not_do_with_a_value(
    renderer: Renderer, fields: dict[str, Any]
) -> None:
    secret = json.dumps({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "password"},
        "stringData": {"password": CANARY},
    })  # fmt: skip
    files = {
        "app/secret.yaml": secret,
        "app/again.yaml": secret,
        "app/kustomization.yaml": kustomization(**fields),
    }
    found = problem(render(renderer, files, Form.KUSTOMIZE, "app"))
    assert found.code == "kustomize-failed"
    assert CANARY not in found.what
